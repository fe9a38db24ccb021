"""The command `compose`: test pages for reading."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from digitnet.cli.command import Option
from digitnet.cli.options import DataDir
from digitnet.core.errors import ImageError
from digitnet.core.terminal import put


def compose(
    out: Annotated[Path, Option(help="New folder for the images and truth.csv.")],
    numbers: Annotated[int, Option(min=1, max=1_000_000, help="Total number of numbers.")] = 1000,
    form: Annotated[
        str | None,
        Option(show_default=False, help="Fill in sheets of a form: marks, meters, order, or a *.form.json file."),
    ] = None,
    sheets: Annotated[int, Option(min=1, max=100_000, help="With --form: number of sheets.")] = 20,
    per_page: Annotated[int, Option(min=1, max=500, help="Numbers per page.")] = 1,
    seed: Annotated[int, Option(min=0, help="Random seed; the same seed produces the same bytes.")] = 0,
    data_dir: DataDir = None,
) -> None:
    """Write images of numbers with ground truth, to test a reader. Example: digitnet compose --out pages --per-page 20.

    With --form, the images are filled sheets: scanned, photographed, turned and creased; truth.csv has their fields.

    The digits are MNIST's test digits and drawings of many countries' shapes; the models were not trained on them.
    """
    import cv2

    from digitnet.core.files import write_atomic
    from digitnet.data.datasets import load
    from digitnet.data.synthesis.composer import Composer
    from digitnet.data.synthesis.writers import inventions, styles

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ImageError(f"{out}: already exists and is not an empty folder; choose another --out")
    if form is not None:
        _sheets(out, form, sheets, seed, data_dir)
        return
    composer = Composer([(0.6, styles(load("mnist", "test", data_dir))), (0.4, inventions(100, 2**31))], (), seed)
    lines = ["file,digits"]
    while numbers:
        count = min(per_page, numbers)
        numbers -= count
        texts = [composer.text() for _ in range(count)]
        image = composer.page(texts).image if per_page > 1 else composer.line(texts[0]).image
        name = f"{len(lines):06}.png"
        write_atomic(out / name, cv2.imencode(".png", image)[1].tobytes())
        lines.append(f"{name},{' '.join(texts)}")
    write_atomic(out / "truth.csv", "".join(line + "\n" for line in lines).encode())
    command = f"digitnet evaluate --read --data {out}" + (" --single" if per_page == 1 else "")
    put(f"{out}: {len(lines) - 1:,} images and truth.csv; try: {command}")


def _sheets(out: Path, form: str, count: int, seed: int, data_dir: Path | None) -> None:
    """Fill sheets of a form, with truth.csv: a row a sheet, what should be read in each field."""
    import csv
    import io

    import cv2

    from digitnet.core.errors import DataError
    from digitnet.core.files import cell, write_atomic
    from digitnet.core.terminal import say
    from digitnet.data.datasets import load
    from digitnet.forms.composing import SheetComposer, hands_of
    from digitnet.forms.examples import file_of
    from digitnet.forms.template import load as load_template
    from digitnet.forms.truth import expected

    template = load_template(file_of(form))
    try:
        hands = hands_of(load("mnist", "test", data_dir))
    except DataError as error:
        say(f"All handwriting is invented, because MNIST's digits are missing ({error})")
        hands = hands_of()
    composer = SheetComposer(template, hands, seed)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["file", "way", "turned", *(field.name for field in template.fields)])
    for number in range(1, count + 1):
        filled = composer.sheet()
        name = f"{number:06}.png"
        write_atomic(out / name, cv2.imencode(".png", filled.image)[1].tobytes())
        truth = [cell(expected(field, filled.contents[field.name])) for field in template.fields]
        rows.writerow([name, filled.way, filled.turned, *truth])
    write_atomic(out / "truth.csv", table.getvalue().encode())
    put(f"{out}: {count:,} sheets and truth.csv; try: digitnet form read {form} {out} --out {template.name}.csv")
