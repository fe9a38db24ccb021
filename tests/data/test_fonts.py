import hashlib
import io
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitnet import DataError, cli, load
from digitnet.data import datasets, fonts
from digitnet.data.fonts import FONTS, Font, FontSet

CACHE = datasets.data_folder()
"""The user's own folder, known before a test moves it."""

NAMES = ("ann", "bob", "cem", "dee", "eve", "fay")


@pytest.fixture
def font(tmp_path):
    """A file with Pillow's own font."""
    path = tmp_path / "own.ttf"
    path.write_bytes(ImageFont.load_default(20).path.getvalue())
    return path


@pytest.fixture
def registry(font, monkeypatch, tmp_path):
    """A set of six fonts, an npm that packs them, and the list of what it was asked for."""
    content = font.read_bytes()
    (tmp_path / "bin").mkdir()
    (tmp_path / "packages").mkdir()
    for name in NAMES:
        pack(tmp_path, name, content)
    script = f"""#!{sys.executable}
import pathlib, shutil, sys
spec = sys.argv[2]
with open({str(tmp_path / "asked")!r}, "a") as asked:
    print(spec, file=asked)
name = spec.removeprefix("@fontsource/").removesuffix("@5.3.0")
kept = pathlib.Path({str(tmp_path / "packages")!r}, name + ".tgz")
if not kept.is_file():
    sys.exit("npm error code E404")
shutil.copy(kept, sys.argv[sys.argv.index("--pack-destination") + 1])
"""
    (tmp_path / "bin" / "npm").write_text(script)
    (tmp_path / "bin" / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    sha256 = hashlib.sha256(content).hexdigest()
    known = tuple(Font(name, len(content), sha256) for name in NAMES)
    small = FontSet("small", "for tests", known[:5], known[5:])
    monkeypatch.setitem(datasets.DATASETS, "small", small)
    return small


def pack(folder, name, content):
    """Write the npm package of a font."""
    with tarfile.open(folder / "packages" / f"{name}.tgz", "w:gz") as package:
        member = tarfile.TarInfo(f"package/files/{name}-latin-400-normal.woff2")
        member.size = len(content)
        package.addfile(member, io.BytesIO(content))


def asked(folder):
    return sorted((folder / "asked").read_text().split())


def test_every_font_comes_from_its_own_package_and_only_once(registry, tmp_path):
    paths = datasets.get(registry)
    assert [path.name.split("-")[0] for path in paths] == list(NAMES)
    assert {path.parent for path in paths} == {tmp_path / "cache" / "small"}
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)
    assert datasets.get(registry) == paths
    assert asked(tmp_path) == [f"@fontsource/{name}@5.3.0" for name in NAMES]


def test_the_command_fetches_them_and_says_where(registry, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["digitnet", "data", "get", "small"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert not caught.value.code
    assert capsys.readouterr().out == f"{tmp_path / 'cache' / 'small'}\n"


def test_without_npm_one_message_names_the_way_out(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(DataError) as caught:
        datasets.get(registry)
    message = str(caught.value)
    assert message.count("npm is not installed") == 1
    for part in ("@fontsource/ann@5.3.0", "ann-latin-400-normal.woff2", "and 2 more", "--data-dir", "DIGITNET_DATA"):
        assert part in message
    assert str(tmp_path / "cache" / "small") in message


def test_where_nothing_can_be_had_one_package_is_tried(registry, tmp_path):
    for package in (tmp_path / "packages").iterdir():
        package.unlink()
    with pytest.raises(DataError, match="npm error code E404"):
        datasets.get(registry)
    assert asked(tmp_path) == ["@fontsource/ann@5.3.0"]


def test_a_package_with_another_font_is_refused_and_the_rest_kept(registry, font, tmp_path):
    pack(tmp_path, "fay", font.read_bytes()[:-1] + b"!")
    with pytest.raises(DataError, match=r"@fontsource/fay@5\.3\.0: fay-latin-400-normal\.woff2: sha256"):
        datasets.get(registry)
    kept = sorted(path.name.split("-")[0] for path in (tmp_path / "cache" / "small").iterdir())
    assert "ann" in kept
    assert "fay" not in kept
    pack(tmp_path, "fay", font.read_bytes())
    assert len(datasets.get(registry)) == 6


def test_the_set_loads_by_name_and_only_fetches_its_handwriting(registry, tmp_path):
    train = load("small", "train")
    assert np.unique(train.labels).tolist() == list(range(10))
    assert asked(tmp_path) == [f"@fontsource/{name}@5.3.0" for name in NAMES[:5]]


def test_training_and_testing_share_no_font():
    train, test = FONTS.part("train"), FONTS.part("test")
    assert not set(train) & set(test)
    assert {*train, *test} == {font.file for font in FONTS.hand}
    assert len(test) == len(FONTS.hand) // 6


def test_every_font_is_pinned_and_free():
    known = FONTS.hand + FONTS.printed
    assert len({font.name for font in known}) == len(known)
    assert len({font.sha256 for font in known}) == len(known)
    assert {font.licence for font in known} == {"OFL-1.1", "Apache-2.0"}
    for font in known:
        assert len(bytes.fromhex(font.sha256)) == 32
        assert 1_000 < font.size < 1_000_000
        assert font.file.name == f"{font.name}-latin-400-normal.woff2"


def tight(image):
    """A picture's ink alone, stretched to 20x20."""
    return np.ravel(image.crop(image.getbbox()).resize((20, 20)))


def test_digits_look_like_what_the_font_draws(font):
    drawn = fonts.digits([font])
    large = ImageFont.truetype(str(font), 200)
    for digit in range(10):
        page = Image.new("L", (300, 300))
        ImageDraw.Draw(page).text((150, 150), str(digit), fill=255, font=large, anchor="mm")
        same = [np.corrcoef(tight(page), tight(Image.fromarray(image)))[0, 1] for image in drawn.images]
        assert drawn.labels[np.argmax(same)] == digit
        assert max(same) > 0.7


def test_wider_pens_leave_more_ink_and_the_fonts_own_is_kept(font, monkeypatch):
    drawn = fonts.digits([font])
    monkeypatch.setattr(fonts, "PENS", ())
    own = fonts.digits([font])
    assert own.labels.tolist() == list(range(10))
    for digit in range(10):
        images = drawn.images[drawn.labels == digit]
        assert (images[0] == own.images[digit]).all()
        ink = images.sum(axis=(1, 2), dtype=int)
        assert (np.diff(ink) > 0).all()


@pytest.mark.parametrize("width", [4, 10, 20])
def test_a_rings_stroke_is_as_wide_as_it_was_drawn(width):
    page = Image.new("L", (120, 120))
    ImageDraw.Draw(page).ellipse((10, 10, 110, 110), outline=255, width=width)
    assert fonts._stroke(np.asarray(page)) == pytest.approx(width, rel=0.1)


def test_letters_have_no_labels_and_are_those_that_the_font_has(font):
    few = fonts.letters([font], "AE")
    assert few.labels is None
    more = fonts.letters([font], "AE\u4e00")  # a character that Pillow's font lacks
    assert (more.images == few.images).all()
    assert (few.images.max(axis=(1, 2)) == 255).all()


def test_no_fonts_are_no_digits():
    assert len(fonts.digits([])) == len(fonts.letters([])) == 0


def test_what_is_no_font_is_said(tmp_path):
    (tmp_path / "mine.ttf").write_bytes(b"no font at all")
    for draw in (fonts.digits, fonts.letters):
        with pytest.raises(DataError, match=r"mine\.ttf: not a font that Pillow can open"):
            draw([tmp_path / "mine.ttf"])


def test_a_font_without_all_digits_is_refused(font, monkeypatch):
    draw = fonts._draw
    monkeypatch.setattr(fonts, "_draw", lambda *rest: [pair for pair in draw(*rest) if pair[0] not in "47"])
    with pytest.raises(DataError, match=r"own\.ttf: has no 4, 7; choose a font with all ten digits"):
        fonts.digits([font])


def test_the_real_fonts_draw_every_digit_and_letter():
    found = [datasets.find(FONTS, file, CACHE) for file in FONTS.files]
    if not all(found):
        pytest.skip("the fonts are not here; get them: digitnet data get fonts")
    digits = load("fonts", "all", CACHE)
    assert np.bincount(digits.labels).min() > 3 * len(FONTS.hand)
    assert len(load("fonts", "test", CACHE)) < len(digits) / 4
    letters = fonts.letters([hit[0] for hit in found])
    assert len(letters) > 1.5 * len(FONTS.files) * len(fonts.LETTERS)
    for images in (digits.images, letters.images):
        assert (images.max(axis=(1, 2)) == 255).all()
