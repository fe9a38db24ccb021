import csv
import io
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from helpers import turn, write

from digitnet.reading.batch import Read
from digitnet.reading.reader import Reader
from digitnet.reading.result import Number, Reading
from digitnet.reading.sheets import ORANGE, RED, sheet_writer, table_writer
from digitnet.reading.tables import grids

GRID = (("12", "305", "7"), ("480", "61", "92"), ("5", "1984", "33"))


def number(text, x, y, confidence=0.99):
    """A number 20 pixels high whose right end is at x."""
    box = (x - 12 * len(text), y, x, y + 20)
    corners = ((box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3]))
    return Number(text, confidence, box, written=text, corners=corners)


def grid(rows, across=90, down=40, top=50):
    return [
        number(text, 100 + across * x, top + down * y)
        for y, row in enumerate(rows)
        for x, text in enumerate(row)
        if text
    ]


def reading(numbers):
    return Reading(tuple(numbers), np.full((500, 500), 255, np.uint8))


def texts(rows):
    return tuple(tuple(each and each.text for each in row) for row in rows)


def test_numbers_in_a_grid_are_a_table_with_rows_columns_and_box():
    (table,) = reading(grid(GRID)).tables
    assert texts(table.rows) == GRID
    assert table.box == (100 - 36, 50, 280, 150)


def test_an_empty_cell_is_none_and_the_order_of_numbers_does_not_matter():
    rows = (("12", "305"), ("480", None), ("5", "33"))
    (table,) = reading(reversed(grid(rows))).tables
    assert texts(table.rows) == rows


def test_numbers_beside_and_above_a_table_are_not_of_it_and_not_lost():
    title = [number("2024", 140, 5), number("31", 190, 5)]
    found = reading([*title, *grid(GRID, top=60)])
    (table,) = found.tables
    assert texts(table.rows) == GRID
    assert [texts(rows) for rows in grids(found.numbers, found.turned)] == [GRID, (("2024", "31"),)]


@pytest.mark.parametrize(
    "numbers",
    [
        [],
        [number("12", 100, 50)],
        [number("12", 100, 50), number("34", 200, 50), number("56", 300, 50)],
        [number("12", 100, 50), number("34", 100, 90), number("56", 100, 130)],
        [number("12345", 100, 50), number("3", 130, 50), number("5678", 140, 90), number("9012345", 240, 90)],
    ],
)
def test_lines_columns_and_loose_numbers_are_no_table(numbers):
    assert reading(numbers).tables == []


@pytest.mark.parametrize("degrees", [0, 90, 8])
def test_a_table_is_found_on_a_page_however_it_lies(degrees):
    page = write("412 739 156", "284 615 937", "741 328 596", "163 572 489", room=60)[0]
    (table,) = Reader(threads=1).read_page(turn(page, degrees)).tables
    assert texts(table.rows)[0] == ("412", "739", "156")
    assert [len(row) for row in table.rows] == [3] * 4


def sheet(tmp_path, *readings, least=0.0):
    from openpyxl import load_workbook

    with sheet_writer(tmp_path / "out.xlsx", least) as put:
        for index, each in enumerate(readings):
            put(Read(f"scans/page[{index}].png", 1, each))
        put(Read("broken.png", 1, None, "broken.png: damaged"))
    return load_workbook(tmp_path / "out.xlsx")


def test_a_workbook_has_a_sheet_for_each_page(tmp_path):
    book = sheet(tmp_path, reading(grid(GRID)), reading([]))
    assert book.sheetnames == ["1 page_0_.png", "2 page_1_.png"]
    assert [[cell.value for cell in row] for row in book.worksheets[0].rows] == [[int(t) for t in row] for row in GRID]


def test_numbers_are_numbers_and_leading_zeros_stay(tmp_path):
    price = replace(number("1250", 100, 90), written="12.50", values=(Decimal("12.50"),))
    day = replace(number("120396", 200, 90), written="12.03.1996", values=(date(1996, 3, 12),))
    book = sheet(tmp_path, reading([number("007", 100, 50), number("1" * 20, 400, 50), price, day]))
    values = [[cell.value for cell in row] for row in book.worksheets[0].rows]
    assert values[0] == ["007", "1" * 20]
    assert (values[1][0], values[1][1].date()) == (12.5, date(1996, 3, 12))


def test_cells_of_low_confidence_are_coloured(tmp_path):
    sure = [0.99, 0.9, 0.7, 0.3]
    numbers = [number("12", 100 + 60 * x, 50, confidence) for x, confidence in enumerate(sure)]
    (page,) = sheet(tmp_path, reading(numbers), least=0.8).worksheets
    colours = [cell.fill.fgColor.rgb[2:] if cell.fill.fill_type else None for cell in next(page.rows)]
    assert colours == [None, ORANGE, RED, RED]


def test_csv_has_rows_and_columns_as_on_the_page(capsys):
    numbers = grid((("12", "305"), ("480", None), ("5", "33")))
    with table_writer(None, False, 0.5) as put:
        put(Read("a.png", 1, reading([replace(numbers[0], confidence=0.2), *numbers[1:]])))
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [["?", "305"], ["480", ""], ["5", "33"]]


def test_csv_of_several_files_names_them(tmp_path):
    with table_writer(tmp_path / "out.csv", True, 0) as put:
        put(Read("=a.png", 1, reading(grid((("12", "3"), ("4", "56"))))))
        put(Read("b.png", 1, reading([number("7", 100, 50)])))
    assert (tmp_path / "out.csv").read_text() == "'=a.png,12,3\n'=a.png,4,56\n\nb.png,7\n"
