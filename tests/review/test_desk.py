"""What clerks see and type, the table of a job, and how often accepted fields are wrong."""

import csv
import json

import cv2
import numpy as np
import pytest

from digitnet.core.errors import DataError, ImageError
from digitnet.forms.template import parsed
from digitnet.imaging.pages import page
from digitnet.review.desk import Desk, NotPermittedError
from digitnet.review.export import export
from digitnet.review.jobs import digest_of
from digitnet.review.records import Policy, StoredField, StoredSheet
from digitnet.review.sampling import Estimate, at_most, estimate, interval, threshold_for
from digitnet.review.store import Store

FIELDS = [
    {
        "name": "pupil",
        "label": "Pupil",
        "kind": "digits",
        "box": [10, 10, 40, 20],
        "values": {"12": "Ada", "17": "Ben"},
    },
    {"name": "day", "kind": "date", "box": [10, 30, 40, 40], "order": "dmy"},
    {"name": "amount", "kind": "decimal", "box": [10, 50, 40, 60], "decimal": ",", "decimals": 2},
    {
        "name": "group",
        "kind": "choice",
        "box": [10, 70, 40, 80],
        "options": {"a": [10, 70, 15, 75], "b": [20, 70, 25, 75]},
    },
    {"name": "here", "kind": "mark", "box": [10, 90, 15, 95]},
]
READ = {"pupil": ("12", ("17",)), "day": ("2024-03-01", ("2024-03-07",)), "amount": ("12.50", ())}
READ |= {"group": ("a", ("b",)), "here": ("1", ("0",))}


def small_template():
    return parsed(json.dumps({"version": 1, "name": "small", "page": [100, 100], "fields": FIELDS}).encode(), "t")


def small_sheet(picture=None, path="", digest=None, number=1, **changes):
    fields = []
    for place, its in enumerate(FIELDS):
        text, others = READ[its["name"]]
        left, top, right, bottom = (4 * edge for edge in its["box"])
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        plain = {"text": text, "confidence": 0.5, "status": "read", "alternatives": others, "doubt": 0.5 - place / 50}
        fields.append(StoredField(its["name"], its["kind"], False, corners, **(plain | changes)))
    return StoredSheet(
        *(path or "a.png", number, path, "small", "read", 0, (), None, None, digest, {}, picture), tuple(fields)
    )


@pytest.fixture
def desk(place):
    store = Store(place, create=True)
    store.add_forms([small_template()])
    sheet = np.full((400, 400), 255, np.uint8)
    sheet[40:80, 40:160] = 100
    store.add(small_sheet(cv2.imencode(".png", sheet)[1].tobytes()))
    yield Desk(store)
    store.close()


def finals(desk):
    return {field.name: (field.final_text, field.final_status) for field in next(desk.store.sheets()).fields}


def decide(desk, name, text, status="read", insists=False):
    numbers = {task["name"]: task["field"] for task in desk.tasks("amara", 9)}
    key = f"{name}-{text}-{insists}"
    desk.decide("amara", numbers[name], text, status, key=key, seconds=1.0, insists=insists)
    return finals(desk)[name]


def test_a_task_has_what_a_clerk_needs_and_nothing_that_tells_a_sample(desk):
    tasks = {task["name"]: task for task in desk.tasks("amara", 9)}
    assert list(tasks) == ["pupil", "day", "amount", "group", "here"]
    assert (tasks["pupil"]["label"], tasks["pupil"]["names"]) == ("Pupil", {"12": "Ada", "17": "Ben"})
    assert (tasks["day"]["text"], tasks["day"]["alternatives"]) == ("01.03.2024", ["07.03.2024"])
    assert not {"confidence", "doubt", "lot", "rank"} & set(tasks["pupil"])


def test_what_is_typed_becomes_a_value(desk):
    assert decide(desk, "pupil", " 17 ") == ("17", "read")
    assert decide(desk, "day", "07.03.2024") == ("2024-03-07", "read")
    assert decide(desk, "amount", "1250,75") == ("1250.75", "read")
    assert decide(desk, "group", "b") == ("b", "read")
    assert decide(desk, "here", "", "unreadable") == ("", "unreadable")


def test_a_date_may_be_typed_without_signs(desk):
    assert decide(desk, "day", "31122023") == ("2023-12-31", "read")


def test_what_is_not_permitted_is_kept_only_if_the_clerk_insists(desk):
    for name, text in [("pupil", "13"), ("day", "31.02.2024"), ("amount", "12x")]:
        with pytest.raises(NotPermittedError, match="is not permitted here; accept once more"):
            decide(desk, name, text)
        assert decide(desk, name, text, insists=True) == (text, "read")
    with pytest.raises(DataError, match="choose one of a, b"):
        decide(desk, "group", "c", insists=True)


def test_a_field_is_cut_out_upright_and_its_page_is_shown(desk):
    number = desk.tasks("amara", 1)[0]["field"]
    cut = cv2.imdecode(np.frombuffer(desk.pictures.field(number), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert cut.shape[1] > cut.shape[0]
    assert cut[cut.shape[0] // 2, cut.shape[1] // 2] == pytest.approx(100, abs=3)
    assert cut[2, 2] == 255
    content, scale = desk.pictures.page(number)
    assert scale == 1
    assert cv2.imdecode(np.frombuffer(content, np.uint8), 0).shape == (400, 400)


def test_a_scan_is_read_again_from_its_place_unless_it_changed(tmp_path):
    from PIL import Image

    first, second = (np.full((3000, 2600), grey, np.uint8) for grey in (200, 120))
    second[160:240, 160:400] = 0
    path = str(tmp_path / "two.pdf")
    Image.fromarray(first).save(path, save_all=True, append_images=[Image.fromarray(second)])
    pytest.importorskip("pypdfium2")
    store = Store(str(tmp_path / "a.job"), create=True)
    store.add_forms([small_template()])
    store.add(small_sheet(path=path, digest=digest_of(page(path, number=2)), number=2))
    desk = Desk(store)
    number = desk.tasks("amara", 1)[0]["field"]
    content, scale = desk.pictures.page(number)
    shown = cv2.imdecode(np.frombuffer(content, np.uint8), 0)
    assert max(shown.shape) == 2400
    assert scale < 1
    assert shown[-1, -1] == pytest.approx(120, abs=5)
    Image.fromarray(first).save(path, save_all=True, append_images=[Image.fromarray(first)])
    with pytest.raises(DataError, match="the scan has changed since it was read"):
        Desk(store).pictures.page(number)
    (tmp_path / "two.pdf").unlink()
    with pytest.raises(ImageError, match=r"two\.pdf"):
        Desk(store).pictures.page(number)
    store.close()


def test_a_page_is_asked_for_by_a_number_that_it_has(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((50, 60), 255, np.uint8))
    with pytest.raises(ImageError, match=r"a\.png: has 1 pages, and page 2 is not one of them"):
        page(tmp_path / "a.png", number=2)


def test_the_table_carries_corrections_and_says_so(desk, tmp_path):
    decide(desk, "pupil", "17")
    decide(desk, "day", "01.03.2024")
    decide(desk, "amount", "", "empty")
    decide(desk, "here", "", "unreadable")
    counts = export(desk.store, tmp_path / "t.csv")
    (row,) = csv.DictReader((tmp_path / "t.csv").read_text().splitlines())
    assert (row["pupil"], row["pupil_name"], row["pupil_status"], row["pupil_by"]) == (
        "17",
        "Ben",
        "corrected",
        "amara",
    )
    assert (row["day"], row["day_status"], row["day_by"]) == ("2024-03-01", "confirmed", "amara")
    assert (row["amount"], row["amount_status"]) == ("", "corrected")
    assert (row["group"], row["group_status"], row["group_by"]) == ("a", "read", "")
    assert (row["here"], row["here_status"]) == ("", "unreadable")
    assert counts == {"corrected": 2, "confirmed": 1, "read": 1, "unreadable": 1}


def test_every_kind_of_table_carries_corrections(desk, tmp_path):
    openpyxl, parquet = pytest.importorskip("openpyxl"), pytest.importorskip("pyarrow.parquet")
    decide(desk, "amount", "1x", insists=True)
    for suffix in ("jsonl", "xlsx", "parquet"):
        export(desk.store, tmp_path / f"t.{suffix}")
    row = json.loads((tmp_path / "t.jsonl").read_text())
    assert (row["amount"], row["amount_by"]) == ("1x", "amara")
    book = openpyxl.load_workbook(tmp_path / "t.xlsx", read_only=True)
    head, cells = (list(each) for each in book.active.iter_rows(values_only=True))
    book.close()
    assert cells[head.index("amount")] == "1x"
    assert parquet.read_table(tmp_path / "t.parquet").column("amount_by").to_pylist() == ["amara"]


def test_review_writes_the_table_and_sets_what_is_reviewed(digitnet, tmp_path):
    store = Store("a.job", create=True)
    store.add_forms([small_template()])
    store.add(small_sheet())
    status, out, said = digitnet("review", "a.job", "--out", "t.csv", "--threshold", 0.4, "--sample", 0.5)
    assert (status, out.strip()) == (0, "t.csv: 5 fields, 0 corrected, 0 confirmed")
    assert "of 5 fields to review, 0 reviewed" in said
    assert "error of accepted fields: not known yet" in said
    assert store.policy() == Policy(0.4, 0.5)
    store.close()
    for words, wrong in [
        (["--out", "t.csv"], "t.csv: already exists"),
        (["--out", "t.txt"], "expected a name that ends in"),
        (["--threshold", 0.4, "--target-error", 0.1], "--threshold and --target-error: choose one"),
        (["--target-error", 0.001], "is not certain at any threshold after 0 checked fields"),
    ]:
        status, _, said = digitnet("review", "a.job", *words)
        assert (status, wrong in said) == (1, True), said
    assert "no such job; make it with digitnet read" in digitnet("review", "b.job")[2]


def test_the_interval_is_that_of_clopper_and_pearson():
    scipy = pytest.importorskip("scipy.stats")
    for wrong, checked in [(0, 50), (1, 1240), (7, 30), (30, 30)]:
        known = scipy.binomtest(wrong, checked).proportion_ci(0.95, "exact")
        assert interval(wrong, checked) == pytest.approx((known.low, known.high))
        assert at_most(wrong, checked) <= interval(wrong, checked)[1]
    assert interval(0, 0) == (0.0, 1.0)
    assert str(Estimate(1240, 1, 0.00002, 0.0045)) == (
        "0.08% of accepted fields wrong (95% interval 0.00% to 0.45%), 1,240 checked"
    )


def simulated(rng, count=4_000):
    """A job with known truth: how doubtful each field is, whether it is wrong, and its lot."""
    doubt = rng.beta(0.3, 4, count)
    return doubt, rng.random(count) < doubt * rng.uniform(0.3, 1.2), rng.random(count)


def test_the_interval_holds_the_truth_of_simulated_jobs():
    rng = np.random.default_rng(5)
    held, policy = 0, Policy(0.9, 0.1)
    for _ in range(100):
        doubt, wrong, lot = simulated(rng)
        accepted = doubt <= 1 - policy.threshold
        sampled = lot < policy.share
        checked = [(d, True, bool(w)) for d, w in zip(doubt[sampled], wrong[sampled], strict=True)]
        found = estimate(checked, policy.threshold)
        held += found.low <= wrong[accepted].mean() <= found.high
    assert held >= 93


def test_the_threshold_for_a_target_keeps_it():
    rng = np.random.default_rng(6)
    kept = chosen = 0
    for _ in range(60):
        doubt, wrong, lot = simulated(rng, 20_000)
        sampled = lot < 0.15
        checked = [(d, True, bool(w)) for d, w in zip(doubt[sampled], wrong[sampled], strict=True)]
        threshold = threshold_for(0.02, checked, 0.95)
        chosen += threshold < 0.95
        kept += wrong[doubt <= 1 - threshold].mean() <= 0.02
    assert kept >= 57
    assert chosen > 30  # and it is not only ever the safest one


def test_a_lower_threshold_waits_for_all_sampled_fields_from_it_on():
    checked = [(0.001, True, False)] * 2_000 + [(0.2, True, False)] * 500
    assert threshold_for(0.01, checked, 0.95) == 0.5
    assert threshold_for(0.01, [*checked, (0.2, False, False)], 0.95) >= 0.8
