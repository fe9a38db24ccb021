import asyncio
import base64
import io
import itertools
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import save, write
from PIL import Image

pytest.importorskip("fastapi", reason="the service needs the extra serve")

from helpers import PROBLEM, Asked, httpx, png, refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digitnet import Digits
from digitnet.core import extras
from digitnet.core.errors import DataError, ImageError, ModelError
from digitnet.data.synthesis.strokes import hands
from digitnet.evaluation.metrics import evaluate
from digitnet.evaluation.misclassified import save_errors
from digitnet.imaging import pages
from digitnet.models import onnx_models
from digitnet.models.inspection import inside
from digitnet.models.run_folder import ERRORS, SCORES
from digitnet.reading.reader import Reader
from digitnet.serving.app import WEB, create_app
from digitnet.serving.batching import LateError
from digitnet.serving.requests import Limits
from digitnet.serving.service import Service, Settings


@pytest.fixture(scope="module")
def ask():
    with Asked(create_app(Settings(threads=2))) as asked:
        yield asked.until_ready()


@pytest.fixture(scope="module")
def few():
    """A service with small limits."""
    limits = Limits(body=20_000, files=2, images=3, waiting=0)
    with Asked(create_app(Settings(threads=1, limits=limits))) as asked:
        yield asked.until_ready()


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


def npy(array):
    """Return an array as a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


# Reading


def test_a_body_is_read_as_the_reader_reads_it(ask, reader):
    picture = png("1984 7265", "30")
    (result,) = ask.post("/v1/read", picture, headers={"content-type": "image/png"}).json()["results"]
    (page,) = result.pop("pages")
    assert result == {"name": None}
    assert all(number.pop("accepted") for number in page["numbers"])
    assert page == json.loads(json.dumps(reader.read(picture).to_dict()))
    assert page["text"] == "1984 7265\n30"


def test_every_file_of_a_form_is_read_and_a_bad_one_tells_what_is_wrong(ask, reader):
    answer = ask.files("/v1/read", ("ä.png", png("30")), ("bad.png", b"\x89PNG\r\n\x1a\n"), ("b.png", png("958")))
    assert answer.status_code == 200
    first, bad, last = answer.json()["results"]
    assert (first["name"], bad["name"], last["name"]) == ("ä.png", "bad.png", "b.png")
    assert [page["text"] for page in (*first["pages"], *last["pages"])] == ["30", "958"]
    with pytest.raises(ImageError) as caught:
        reader.read(b"\x89PNG\r\n\x1a\n", name="bad.png")
    assert bad["error"]["detail"] == str(caught.value)
    assert set(bad["error"]) == PROBLEM


def test_the_only_file_if_bad_is_refused_in_the_words_of_the_command_line(ask):
    assert refused(ask.files("/v1/read", ("a.txt", b"hello")), 422).startswith("a.txt: text that begins 'hello'; save")
    assert refused(ask.post("/v1/read", b"hello"), 422).startswith("the image: text that begins 'hello'; save it")


def test_the_limits_of_pages_hold_for_every_program_and_not_beyond_the_service():
    picture = io.BytesIO()
    Image.new("L", (60, 40), 255).save(picture, "PNG")
    with Asked(create_app(Settings(threads=1, limits=Limits(pixels=60 * 40 - 1)))) as asked:
        for path in ("/v1/read", "/v1/inside"):
            refused = asked.post(path, picture.getvalue())
            assert refused.status_code == 422
            assert "60x40 pixels, more than 0 million" in refused.json()["detail"]
    assert pages.page(picture.getvalue()).shape == (40, 60)


def test_all_pages_of_a_file_are_read_in_their_order(ask, tmp_path):
    path = Path(save("book.tif", "958", "4162 6071", "2839"))
    (result,) = ask.post("/v1/read", path.read_bytes()).json()["results"]
    assert [page["text"] for page in result["pages"]] == ["958", "4162 6071", "2839"]


def test_a_page_is_read_alone_turned_and_with_its_picture(ask, tmp_path, monkeypatch):
    sheets = [write(text)[0] for text in ("1984", "30")]
    file = tmp_path / "book.tif"
    turned = [Image.fromarray(np.ascontiguousarray(np.rot90(sheet, 1))) for sheet in sheets]
    turned[0].save(file, save_all=True, append_images=turned[1:])
    kept = []
    monkeypatch.setattr("digitnet.serving.cache.Answers.answer", lambda *_: kept.append(1))
    asked = "/v1/read?turn=90&picture=true&page="
    (page,) = ask.post(f"{asked}2", file.read_bytes()).json()["results"][0]["pages"]
    assert (page["text"], page["turned"], kept) == ("30", 0, [])
    head, _, data = page["picture"].partition(",")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert head == "data:image/jpeg;base64"
    assert shown.shape == (page["height"], page["width"]) == sheets[1].shape
    assert np.abs(shown.astype(int) - sheets[1]).mean() < 3
    answer = ask.post(f"{asked}3", file.read_bytes())
    assert (answer.status_code, "has 2 pages" in answer.json()["detail"]) == (404, True)


def test_a_long_file_lets_others_have_their_turn(ask, monkeypatch):
    monkeypatch.setattr("digitnet.serving.service.SLICE_SECONDS", 0.0)
    content = Path(save("book.tif", *["958"] * 30)).read_bytes()
    order, go, read_page = [], threading.Event(), Reader.read_page
    monkeypatch.setattr(Reader, "read_page", lambda *args, **more: go.wait() and read_page(*args, **more))
    with ThreadPoolExecutor(4) as pool:
        long = [pool.submit(lambda: (ask.post("/v1/read", content), order.append("long"))) for _ in range(3)]
        short = pool.submit(lambda: (ask.post("/v1/read", png("30")), order.append("short")))
        while "digitnet_queue_depth 2.0" not in ask("GET", "/metrics").text:  # two threads hold two of the four
            time.sleep(0.01)
        go.set()
        short.result()
        assert order == ["short"]
        for each in long:
            assert len(each.result()[0].json()["results"][0]["pages"]) == 30


@pytest.mark.parametrize(
    ("query", "rules"),
    [("length=4", "length 4"), ("lengths=2-3&range=0..500", "length 2-3, range 0..500"), ("checksum=luhn", "luhn")],
)
def test_rules_are_kept_as_on_the_command_line(ask, query, rules):
    (result,) = ask.post(f"/v1/read?single=true&{query}", png("1984")).json()["results"]
    assert result["pages"][0]["rules"] == rules


def test_on_a_page_rules_apply_only_to_numbers_that_can_keep_them(ask):
    (result,) = ask.post("/v1/read?checksum=luhn", png("55632 55638")).json()["results"]
    numbers = result["pages"][0]["numbers"]
    assert [(number["text"], number["rules_applied"]) for number in numbers] == [("55632", True), ("55638", False)]


def test_blank_and_crossed_out_fields_are_told_apart(ask):
    blank = np.full((90, 200), 240, np.uint8)
    crossed = cv2.line(cv2.line(blank.copy(), (60, 20), (140, 70), 30, 5), (140, 20), (60, 70), 30, 5)
    for sheet, status in ((blank, "empty"), (crossed, "unreadable")):
        (result,) = ask.post("/v1/read?single=true", cv2.imencode(".png", sheet)[1].tobytes()).json()["results"]
        (number,) = result["pages"][0]["numbers"]
        assert (number["text"], number["status"], number["accepted"]) == ("", status, status == "empty")
        assert (number["confidence"] > 0.95) == (status == "empty")


def test_a_line_reader_of_ones_own_reads(tmp_path):
    path = tmp_path / "mine.onnx"
    content = (onnx_models.WEIGHTS / "line.onnx").read_bytes()
    path.write_bytes(content + b"\x12\x02me")  # the producer's name, in protobuf: another file of the same weights
    service = Service(Settings(line=str(path)))
    assert service.models.named()["line"]["sha256"] == onnx_models.line_reader(path).sha256 != Reader().line.sha256
    with pytest.raises(ModelError, match=r"nosuch\.onnx"):
        Service(Settings(line="nosuch.onnx"))


def test_empty_query_parameters_ask_nothing(ask):
    (result,) = ask.post("/v1/read?lengths=&range=&checksum=", png("30")).json()["results"]
    assert result["pages"][0]["rules"] is None


def test_numbers_less_sure_than_asked_are_not_accepted(ask):
    numbers = ask.post("/v1/read?min_confidence=1", png("30")).json()["results"][0]["pages"][0]["numbers"]
    assert [number["accepted"] for number in numbers] == [False]


@pytest.mark.parametrize(
    ("query", "fact"),
    [
        ("length=0", "length: input should be greater"),
        ("single=perhaps", "single: input should be a valid boolean"),
        ("range=5..1", "range '5..1': expected minimum"),
        ("checksum=crc", "checksum 'crc': choose one of"),
        ("kind=roman", "kind 'roman': choose one of"),
        ("kind=date&order=xyz", "order 'xyz': choose one of dmy, mdy, ymd"),
        ("decimal=x", "decimal 'x': expected . or ,"),
        ("length=3&lengths=2-4", "length and lengths set the same"),
        ("length=3&range=0..5&checksum=ean", "no number satisfies all of these constraints"),
        ("min_confidence=nan", "min_confidence: input should"),
        ("lenght=4", "unknown query parameter 'lenght'; did you mean 'length'?"),
        ("Checksum=luhn", "unknown query parameter 'Checksum'; did you mean 'checksum'?"),
        ("min-confidence=1", "unknown query parameter 'min-confidence'; did you mean 'min_confidence'?"),
        ("value_range=0..5", "unknown query parameter 'value_range'; "),
        ("xyz", "; choose one of single, print, length, lengths, range, checksum, kind, "),
        ("length=3&length=4", "query parameter 'length' is given 2 times; give it once"),
    ],
)
def test_rules_that_make_no_sense_are_refused(ask, query, fact):
    assert fact in refused(ask.post(f"/v1/read?{query}", png("30")), 422)


def test_the_answer_names_the_models_by_their_hashes(ask):
    hashes = onnx_models.hashes()
    model = ask.post("/v1/read", png("30")).json()["model"]
    assert (model["line"]["sha256"], model["digits"]["sha256"]) == (hashes["line"], hashes["strong"])
    told = {each["name"]: each["sha256"] for each in ask("GET", "/v1/models").json()["models"]}
    assert told == {name: hashes[name] for name in ("strong", "digitnet", "line")}


# Classifying and looking inside


@pytest.mark.parametrize("model", ["strong", "digitnet"])
def test_images_are_classified_as_the_model_does(ask, model):
    images = hands(200, 4).images
    classifier = onnx_models.classifier(model, 1)
    probs, digitness = classifier.classify(images)
    said = ask.post(f"/v1/classify?model={model}", npy(images)).json()
    assert said["threshold"] == classifier.threshold
    assert said["model"] == {"name": model, "sha256": classifier.sha256}
    assert np.array([row["probabilities"] for row in said["results"]]) == pytest.approx(probs, abs=2e-6)
    assert [row["digit"] for row in said["results"]] == probs.argmax(axis=1).tolist()
    assert [row["accepted"] for row in said["results"]] == (digitness >= classifier.threshold).tolist()
    assert [row["confidence"] for row in said["results"]] == pytest.approx(probs.max(axis=1), abs=2e-6)


def test_json_and_every_kind_of_npy_give_the_same(ask):
    images = hands(3, 4).images
    bodies = [npy(images), npy(np.asfortranarray(images)), json.dumps({"images": images.tolist()}).encode()]
    first, *others = [ask.post("/v1/classify", body).json() for body in bodies]
    assert others == [first, first]
    assert ask.post("/v1/classify", npy(images[:0])).json()["results"] == []


def test_many_clients_at_a_time_each_get_their_own_answer(ask):
    images = hands(40, 6).images
    alone = ask.post("/v1/classify", npy(images)).json()["results"]
    with ThreadPoolExecutor(6) as pool:  # as many as are never refused: 2 are served, 4 may wait for any time
        together = pool.map(lambda i: ask.post("/v1/classify", npy(images[i : i + 1])).json()["results"][0], range(40))
    for one, other in zip(alone, together, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


def bad_npy(header):
    return b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no",
        b"[" * 50_000,
        b"[]",
        b'{"images": [[[0]]]}',
        b'{"images": 3}',
        b'{"images": [], "more": 1}',
        json.dumps({"images": [[[0.5] * 28] * 28]}).encode(),
        json.dumps({"images": [[[256] * 28] * 28]}).encode(),
        json.dumps({"images": [[[True] * 28] * 28]}).encode(),
        npy(np.zeros((2, 28, 28))),
        npy(np.zeros((28, 28), np.uint8)),
        npy(np.zeros((2, 28, 28), np.uint8))[:-1],
        npy(np.array([{}], object)),
        bad_npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (9, 28, 28)}\n"),
        bad_npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 28, 28)}\n"),
        bad_npy(b"__import__('os').system('true')\n"),
        b"\x93NUMPY\x09\x09",
    ],
)
def test_what_is_no_images_is_refused(ask, body):
    refused(ask.post("/v1/classify", body), 422)


def url(content, head="data:image/png;base64,"):
    return (head + base64.b64encode(content).decode()).encode()


CURL = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda content: (url(content), {}),
        lambda content: (url(content, "DATA:;BASE64,"), {"content-type": "text/plain;charset=UTF-8"}),
        lambda content: (re.sub(b"(.{76})", b"\\1\r\n", url(content)), CURL),
        lambda content: (json.dumps({"image": url(content).decode()}).encode(), {"content-type": "application/json"}),
        lambda content: (b' {"image": "' + url(content) + b'"}', CURL),
        lambda content: (content, CURL),  # curl --data-binary
    ],
)
def test_a_picture_may_come_as_a_data_url_alone_or_in_json_however_curl_sends_it(ask, wrapped):
    body, headers = wrapped(png("7"))
    (result,) = ask.post("/v1/read", body, headers=headers).json()["results"]
    assert result["pages"][0]["text"] == "7"
    assert ask.post("/v1/inside", body, headers=headers).json()["digit"] == 7


def test_a_form_s_field_may_be_a_data_url(ask):
    answer = ask("POST", "/v1/read", files=[("file", (None, url(png("7")))), ("file", ("a.png", png("30")))])
    assert [each["pages"][0]["text"] for each in answer.json()["results"]] == ["7", "30"]


@pytest.mark.parametrize(
    ("body", "headers", "fact"),
    [
        (b"data:image/png,%89PNG", {}, "a data URL without base64; send data:image/png;base64,..."),
        (b"data:image/png;base64,iVBORw0KGgo", {}, "a data URL with damaged base64 (incorrect padding); send it again"),
        (b"data:image/png;base64,iVB?", {}, "a data URL with damaged base64"),
        (url(b"hello"), {}, "the image: text that begins 'hello'"),
        (base64.b64encode(png("7")), {}, "base64 without the head of a data URL; send data:image/png;base64,..."),
        (b'{"image": "iVBORw0KGgo="}', {}, '"image" is text, but not a data URL; send "data:image/png;base64,..."'),
        (b"file=%89PNG", CURL, "a form as sent by curl -d; send files with curl -F file=@page.png"),
        (b"file=@page.png", CURL, "a form as sent by curl -d; send files with curl -F file=@page.png"),
    ],
)
def test_what_is_nearly_a_picture_is_refused_with_what_to_send_instead(ask, body, headers, fact):
    for route in ("/v1/read", "/v1/inside"):
        assert refused(ask.post(route, body, headers=headers), 422, paths=False).startswith(fact)


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "webp"])
def test_a_picture_whose_line_breaks_curl_has_removed_is_never_read(ask, kind):
    file = io.BytesIO()
    Image.fromarray(write("1984 7265")[0]).save(file, kind)
    damaged = file.getvalue().replace(b"\r", b"").replace(b"\n", b"")
    detail = refused(ask.post("/v1/read", damaged, headers=CURL), 422, paths=False)
    assert detail.startswith("the body contains no line break, as if sent by curl -d")
    assert "--data-binary @page.png" in detail


def test_arrays_and_pictures_sent_to_the_wrong_route_are_told_the_right_one(ask):
    rows = json.dumps({"image": hands(1).images[0].tolist()}).encode()
    assert "only /v1/classify accepts" in refused(ask.post("/v1/read", rows), 422, paths=False)
    texts = json.dumps({"images": [url(png("7")).decode()]}).encode()
    assert "send image files to /v1/read or /v1/inside" in refused(ask.post("/v1/classify", texts), 422, paths=False)


def test_inside_tells_what_the_network_makes_of_a_frame_or_a_picture(ask):
    digit = hands(10, 4).images[7]
    classifier = onnx_models.classifier("digitnet", 1)
    expected = json.loads(json.dumps(inside(classifier, digit).to_dict()))
    body = json.dumps({"image": digit.tolist()}).encode()
    head = {"content-type": "application/json"}
    assert ask.post("/v1/inside?model=digitnet", body, headers=head).json() == expected
    said = ask.post("/v1/inside", png("7"), headers={"content-type": "image/png"}).json()
    assert said["digit"] == 7
    assert max(said["image"]) == 255
    for wrong in (b"{}", b'{"image": [[1]]}', b'{"image": null}'):
        refused(ask.post("/v1/inside", wrong, headers=head), 422)
    refused(ask.post("/v1/inside", b"no picture"), 422)
    assert refused(ask.post("/v1/inside?model=nosuch", png("7")), 422) == (
        "model 'nosuch': choose one of strong, digitnet"
    )


def test_a_model_file_of_ones_own_reads_and_classifies(exported):
    service = Service(Settings(model=str(exported), threads=1))
    models = service.models
    assert (models.default, [*models.by_name]) == ("taught", ["taught", *onnx_models.built_in()])
    assert models.reader.digits.name == "taught"
    service.work.close()
    with pytest.raises(ModelError):
        Service(Settings(model="nosuch"))


# The page, the documents, the report


def test_the_page_is_served_whole_with_its_types_and_is_not_sent_twice(ask):
    for path in WEB.iterdir():
        place = {"index.html": "/", "docs.html": "/docs"}.get(path.name, f"/{path.name}")
        answer = ask("GET", place)
        assert answer.content == path.read_bytes()
        kinds = {".html": "text/html", ".css": "text/css", ".js": "javascript", ".svg": "image/svg+xml"}
        assert kinds[path.suffix] in answer.headers["content-type"]
        assert answer.headers["cache-control"] == "no-cache"
        again = ask("GET", place, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_nothing_that_is_served_names_another_host(ask):
    for place in ("/", "/docs", *(f"/{path.name}" for path in WEB.glob("*.[cj]s*"))):
        text = ask("GET", place).text.replace("http://www.w3.org/", "")
        assert not re.search(r"(src|href|url|from|import)[\s=(\"']+(https?:)?//", text), place


def test_every_answer_carries_the_headers_that_keep_others_out(ask):
    for answer in (ask("GET", "/"), ask("GET", "/nosuch"), ask.post("/v1/read", b"x"), ask("GET", "/health/live")):
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["content-security-policy"].startswith("default-src 'self'; img-src 'self' blob: data:")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("place", ["/health/live", "/health/ready", "/metrics", "/v1/models", "/", "/openapi.json"])
def test_what_answers_get_answers_head_without_a_body(ask, place):
    whole, head = ask("GET", place), ask("HEAD", place)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    if place != "/metrics":  # whose numbers change
        assert head.headers["content-length"] == whole.headers["content-length"]


def test_routes_without_parameters_take_none(ask):
    for place in ("/v1/models", "/health/live", "/metrics"):
        assert refused(ask("GET", f"{place}?modle=1"), 422) == "unknown query parameter 'modle'; omit it"
    wrong = ask.post("/v1/classify?modle=strong", npy(hands(1).images))
    assert refused(wrong, 422) == "unknown query parameter 'modle'; did you mean 'model'?"
    assert ask("GET", "/?utm=1").status_code == 200, "the page is for people, who follow links"


def test_addresses_and_methods_that_are_not_there_are_problems(ask):
    assert refused(ask("GET", "/v2/read"), 404) == "unknown address; /docs lists all addresses"
    answer = ask("GET", "/v1/read")
    assert "/docs" in answer.json()["detail"]
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_the_examples_of_the_documents_are_what_is_really_answered(ask):
    document = ask("GET", "/openapi.json").json()
    for name in ("classify", "inside"):
        operation = document["paths"][f"/v1/{name}"]["post"]
        given = operation["requestBody"]["content"]["application/json"]["example"]
        answered = ask("POST", f"/v1/{name}", json=given).json()
        assert answered == operation["responses"]["200"]["content"]["application/json"]["example"]
    read = document["paths"]["/v1/read"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    assert read["results"][0]["pages"][0]["text"] == "1984"


def test_the_documents_name_their_schemas_once_and_tell_who_needs_a_token(ask, closed):
    document = closed("GET", "/openapi.json").json()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    schemas = document["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named == set(schemas)
    assert "HTTPValidationError" not in schemas
    for path, operations in document["paths"].items():
        for operation in operations.values():
            guarded = path.startswith("/v1/") or path == "/metrics"
            assert operation["security"] == ([{"token": []}] if guarded else [])
            assert ("401" in operation["responses"]) == guarded
            assert operation["responses"]["422"]["content"]["application/problem+json"]["schema"] == {
                "$ref": "#/components/schemas/Problem"
            }
    open_to_all = ask("GET", "/openapi.json").json()["paths"]
    assert all(operation["security"] == [] for each in open_to_all.values() for operation in each.values())


@pytest.fixture
def run(drawn):
    """A run's folder as training leaves it; every 4 was read as a 9."""
    digits = Digits(drawn.images[:100], drawn.labels[:100])
    probs = np.eye(10, dtype=np.float32)[np.where(digits.labels == 4, 9, digits.labels)]
    scores = evaluate(lambda images: probs, digits)
    folder = Path("run/mine")
    folder.mkdir(parents=True)
    (folder / SCORES).write_text(json.dumps(scores.to_dict()))
    save_errors(scores, digits, folder / ERRORS)
    return folder, scores, digits


def test_a_report_has_the_scores_and_the_pictures_of_what_was_wrong(run):
    folder, scores, digits = run
    with Asked(create_app(Settings(report=folder, threads=1))) as asked:
        told = asked("GET", "/v1/report").json()
    assert told["run"] == "mine"
    assert {name: told[name] for name in scores.to_dict()} == json.loads(json.dumps(scores.to_dict()))
    assert len(told["wrong"]) == scores.n - scores.correct > 0
    for wrong in told["wrong"]:
        assert (wrong["true"], wrong["predicted"], wrong["probability"]) == (4, 9, 1.0)
        assert wrong["image"] == digits.images[wrong["index"]].ravel().tolist()


def test_a_report_of_a_run_that_kept_no_pictures_says_so(run):
    (run[0] / ERRORS).unlink()
    with Asked(create_app(Settings(report=run[0], threads=1))) as asked:
        assert asked("GET", "/v1/report").json()["wrong"] is None


def test_a_folder_without_a_report_is_said_before_anything_is_served(run):
    folder, _, _ = run
    (folder / ERRORS).write_bytes(b"PK no zip")
    for path, fact in ((folder, "errors.npz: not a readable"), (Path("nosuch"), "scores.json cannot be read")):
        with pytest.raises(DataError, match=fact):
            create_app(Settings(report=path))
    (folder / SCORES).write_text('{"accuracy": 1}')
    with pytest.raises(DataError, match="no confusion matrix"):
        create_app(Settings(report=folder))


def test_without_a_report_there_is_a_problem_that_says_how_to_have_one(ask):
    assert refused(ask("GET", "/v1/report"), 404).startswith("no report; start the service with --report")


# Limits


def test_a_body_over_the_limit_is_refused_by_what_it_declares(few):
    detail = refused(few.post("/v1/read", bytes(20_001)), 413)
    assert detail == "the body has 20,001 bytes, more than 0.02 MB; send less at a time"


def test_a_body_without_a_length_is_refused_while_it_comes(few):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 1000
            yield bytes(1000)

    assert few.post("/v1/read", endless()).status_code == 413
    assert sent <= 22_000
    form = {"content-type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

    async def endless_form():
        yield part
        async for chunk in endless():
            yield chunk

    assert few.post("/v1/read", endless_form(), headers=form).status_code == 413


def test_a_body_that_does_not_come_is_given_up():
    async def stuck():
        yield b"\x89PNG"
        await asyncio.Event().wait()

    with Asked(create_app(Settings(threads=1, limits=Limits(arrival=0.3)))) as asked:
        detail = refused(asked.post("/v1/read", stuck()), 408)
    assert detail == "the body paused for 0.3 s or arrived at less than 10,000 bytes per second; send it again"


def test_too_many_files_and_images_are_refused(few):
    assert refused(few.files("/v1/read", *[("a", b"x")] * 3), 422) == "more than 2 files; send fewer at a time"
    four = np.zeros((4, 28, 28), np.uint8)
    for body in (npy(four), json.dumps({"images": four.tolist()}).encode()):
        assert refused(few.post("/v1/classify", body), 422).startswith("4 images, more than 3; send")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"x", "multipart/form-data", 400),
        (b"x", "multipart/form-data; boundary=edge", 400),
        (b"--edge\r\nContent-Disposition: form-data; name=file\r\n\r\nabc", "multipart/form-data; boundary=edge", 400),
        (b"--edge--\r\n", "multipart/form-data; boundary=edge", 422),
        (
            b"--edge\r\nContent-Disposition: form-data; name=x\r\n\r\na\r\n--edge--\r\n",
            "multipart/form-data; boundary=edge",
            422,
        ),
        (b"", "image/png", 422),
    ],
)
def test_damaged_forms_and_empty_bodies_are_refused(ask, body, kind, status):
    refused(ask.post("/v1/read", body, headers={"content-type": kind}), status)


def test_no_upload_ever_reaches_the_disk(ask, monkeypatch):
    def never(*_, **__):
        raise AssertionError("a temporary file")

    for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, never)
    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", never)
    noise = np.random.default_rng(0).integers(200, 256, (1800, 1800)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    assert len(file.getvalue()) > 2_000_000, "where Starlette would spool"
    assert ask.files("/v1/read", ("big.png", file.getvalue())).status_code == 200


def test_a_full_service_answers_429_at_once(few, monkeypatch):
    begun, go = threading.Event(), threading.Event()

    def held(*_, **__):
        begun.set()
        go.wait()
        raise ImageError("held")

    monkeypatch.setattr(pages, "pages", lambda *_: iter(lambda: held(), None))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(few.post, "/v1/read", b"x")
        begun.wait()
        answer = few.post("/v1/read", b"x")  # while the first is held: nothing waits for it
        assert refused(answer, 429).startswith("busy: ")
        assert answer.headers["retry-after"] == "1"
        assert few("GET", "/health/live").status_code == 200, "who only asks how it is takes no place"
        go.set()
        assert first.result().status_code == 422


def test_who_waited_too_long_is_told_so(ask, monkeypatch):
    async def late(*_):
        raise LateError

    monkeypatch.setattr(Service, "read", late)
    answer = ask.post("/v1/read", b"x")
    assert "waited too long" in refused(answer, 503)
    assert answer.headers["retry-after"] == "1"


def test_what_fails_inside_is_a_problem_and_tells_nobody_but_the_log(ask, monkeypatch, caplog):
    def fails(*_, **__):
        raise RuntimeError("secret of /home/somebody")

    monkeypatch.setattr(Reader, "read_page", fails)
    assert refused(ask.post("/v1/read", png("303")), 500) == "internal error; see the log of the service"
    assert "secret" in caplog.text


# Who may ask


@pytest.fixture(scope="module")
def closed():
    """A service with a token."""
    with Asked(create_app(Settings(token="sésame", threads=1))) as asked:
        yield asked


def test_with_a_token_only_who_names_it_is_answered(closed):
    for place in ("/v1/models", "/v1/report", "/metrics"):
        for head, fact in (
            ({}, "no token"),
            ({"authorization": "Bearer wrong"}, "the token is wrong"),
            ({"authorization": "Bearer"}, "the token is wrong"),
            ({"authorization": "sésame".encode()}, "the Authorization header does not use the scheme Bearer"),
            ({"authorization": "Basic czpz"}, "the Authorization header does not use the scheme Bearer"),
        ):
            answer = closed("GET", place, headers=head)
            send = "send the token of this service as: Authorization: Bearer TOKEN"
            assert refused(answer, 401) == f"{fact}; {send}"
            assert answer.headers["www-authenticate"] == "Bearer"
    refused(closed.post("/v1/read", png("30")), 401)
    for kind in ("Bearer", "bearer"):
        assert closed("GET", "/v1/models", headers={"authorization": f"{kind} sésame".encode()}).status_code == 200


def test_the_page_and_how_the_service_is_need_no_token(closed):
    for place in ("/", "/docs", "/openapi.json", "/health/live"):
        assert closed("GET", place).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://127.0.0.1:9000"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://[bad"}, 403),
    ],
)
def test_a_web_page_of_another_site_cannot_ask(ask, headers, status):
    body = npy(hands(1).images)
    assert ask.post("/v1/classify", body, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost:8000", 200),
        ("[::1]:8000", 200),
        ("my.example", 200),
        ("evil.example:8000", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
        ("[bad", 403),
    ],
)
def test_a_name_that_strangers_point_to_this_machine_is_refused(host, status):
    with Asked(create_app(Settings(hosts=frozenset({"my.example"}), threads=1))) as asked:
        assert asked("GET", "/v1/models", headers={"host": host}).status_code == status


def test_what_happens_is_counted_and_no_name_or_number_is_among_it(ask):
    ask.files("/v1/read", ("secret.png", png("958")))
    ask.post("/v1/read", b"x")
    text = ask("GET", "/metrics").text
    for line in (
        r'digitnet_requests_total\{route="/v1/read",status="200"\} [1-9]',
        r'digitnet_request_seconds_count\{route="/v1/read"\} [1-9]',
        r'digitnet_refusals_total\{reason="request"\} [1-9]',
        r"digitnet_queue_depth 0",
        r'digitnet_confidence_bucket\{le="0.95",what="number"\}',
        r"digitnet_batch_size_count [1-9]",
    ):
        assert re.search(line, text), line
    assert "secret" not in text


def test_the_same_picture_is_read_once_and_answered_from_memory_until_something_differs(ask, monkeypatch):
    def cached(known):
        found = re.search(rf'digitnet_cached_answers_total{{known="{known}"}} (\d+)', ask("GET", "/metrics").text)
        return int(found[1]) if found else 0

    picture, reads, read_page = png("4162"), [], Reader.read_page
    monkeypatch.setattr(Reader, "read_page", lambda *args, **more: reads.append(more) or read_page(*args, **more))
    before = cached("yes")
    first = ask.post("/v1/read?min_confidence=0.3", picture)
    assert ask.post("/v1/read?min_confidence=0.3", picture).content == first.content
    assert (len(reads), cached("yes") - before) == (1, 1)
    ask.post("/v1/read?min_confidence=0.4", picture)
    ask.files("/v1/read?min_confidence=0.3", ("other.png", picture))
    assert (len(reads), cached("yes") - before) == (3, 1)


def test_two_applications_of_a_process_count_apart(ask):
    with Asked(create_app(Settings(threads=1))) as other:
        assert "/v1/read" not in other("GET", "/metrics").text


def test_it_is_ready_once_it_has_read_something(monkeypatch):
    go = threading.Event()
    read_page = Reader.read_page
    monkeypatch.setattr(Reader, "read_page", lambda *args, **more: go.wait() and read_page(*args, **more))
    with Asked(create_app(Settings(threads=1))) as asked:
        assert refused(asked("GET", "/health/ready"), 503).startswith("still opening the models")
        assert asked("GET", "/health/live").json() == {"status": "live"}
        go.set()
        while (answer := asked("GET", "/health/ready")).status_code != 200:
            time.sleep(0.01)
        assert answer.json() == {"status": "ready"}


# The command


@pytest.fixture
def served(environment):
    """Start `digitnet serve` with some words; gives the process and its address."""
    processes = []

    def start(*words, **more):
        command = [sys.executable, "-m", "digitnet", "serve", "--port", "0", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, env=environment | more, **pipes)
        processes.append(process)
        said = process.stdout.readline()
        assert re.fullmatch(r"Open http://127\.0\.0\.1:\d+ \(stop with Ctrl\+C\)\n", said), process.communicate()
        return process, said.split()[1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_the_command_serves_and_what_it_accepted_is_finished_when_it_stops(served):
    process, address = served()
    host, port = address.removeprefix("http://").split(":")
    content = Path(save("book.tif", *["1984 7265"] * 10)).read_bytes()
    head = f"POST /v1/read HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(content)}\r\n"
    asked = [socket.create_connection((host, int(port))) for _ in range(4)]
    for each in asked:
        each.sendall(f"{head}Expect: 100-continue\r\nConnection: close\r\n\r\n".encode())
    for each in asked:
        assert each.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"  # the service waits for the body
    process.send_signal(signal.SIGTERM)
    while accepts(host, int(port)):
        time.sleep(0.01)
    for each in asked:
        each.sendall(content)
    for each in asked:
        with each, each.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
            _, body = answer.read().split(b"\r\n\r\n", 1)
        assert len(json.loads(body)["results"][0]["pages"]) == 10
    out, err = process.communicate()
    assert (out, err) == ("", "")


def accepts(host, port):
    try:
        socket.create_connection((host, port)).close()
    except ConnectionError:
        return False
    return True


def test_several_processes_serve_at_one_address(served):
    process, address = served("--workers", "2")
    with httpx.Client(base_url=address, timeout=None, trust_env=False) as client:
        text = client.post("/v1/read", content=png("30")).json()["results"][0]["pages"][0]["text"]
    process.send_signal(signal.SIGTERM)
    assert (text, process.communicate()) == ("30", ("", ""))


def test_bound_wider_than_this_machine_without_a_token_one_is_warned(served):
    for more, warned in (({}, True), ({"DIGITNET_TOKEN": "x"}, False)):
        process, address = served("--host", "0.0.0.0", **more)
        httpx.get(f"{address}/health/live", timeout=None, trust_env=False)  # it serves: signals are taken
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        assert err.startswith("Warning: everyone who can reach 0.0.0.0") == warned
        assert (process.returncode, err.splitlines()[warned:]) == (130, ["Stopped."])


def test_what_keeps_it_from_starting_is_one_line(digitnet, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = digitnet("serve", "--port", port)
    assert (code, out) == (1, "")
    assert err == f"Error: 127.0.0.1:{port}: Address already in use; choose another --host or --port\n"
    assert digitnet("serve", "--model", "nosuch")[2].startswith("Error: model 'nosuch': choose one of")
    assert digitnet("serve", "--report", "nosuch")[2].startswith("Error: nosuch: scores.json cannot be read")
    monkeypatch.setenv("DIGITNET_TOKEN", "")
    assert digitnet("serve")[2] == "Error: DIGITNET_TOKEN is empty; give it a value, or unset it\n"


def test_without_the_extra_one_line_says_how_to_get_it(environment):
    code = (
        "import sys; sys.modules['fastapi'] = None\n"
        "sys.argv = ['digitnet', 'serve']\n"
        "import digitnet.cli; digitnet.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr == f"Error: {extras.missing('fastapi')}\n"


# Requests that nobody thought of


def test_whatever_is_sent_the_service_keeps_to_its_own_description(ask):
    schemathesis = pytest.importorskip("schemathesis")
    pictures = st.sampled_from([png("30"), png("7", "1984")])
    schemathesis.openapi.format("binary", pictures)
    schemathesis.openapi.format("data-url", pictures.map(lambda picture: url(picture).decode()))
    for kind in ("image/png", "image/jpeg", "image/tiff", "image/webp", "image/bmp", "image/gif", "application/pdf"):
        schemathesis.openapi.media_type(kind, pictures)
    schemathesis.openapi.media_type("application/x-npy", st.just(npy(hands(2).images)))
    schema = schemathesis.openapi.from_asgi("/openapi.json", ask.app)
    operations = [each.ok() for each in schema.get_all_operations()]
    assert len(operations) == 18
    schemathesis.checks.load_all_checks()
    accepted = schemathesis.checks.CHECKS.get_one("positive_data_acceptance")
    rejected = schemathesis.checks.CHECKS.get_one("negative_data_rejection")
    seen = set()
    for operation, mode in itertools.product(operations, schemathesis.GenerationMode):
        if mode is schemathesis.GenerationMode.NEGATIVE and not (operation.body or operation.query):
            continue  # there is nothing to get wrong

        @settings(max_examples=6, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def keeps(case):
            answer = case.call()
            # No schema can say which rules contradict each other, or that a text is a picture.
            asked = answer.status_code == 422 and answer.json()["detail"]
            contrary = asked and asked.endswith(
                (
                    "a range such as 4-6",
                    "omit one",
                    "omit one of them",
                    "narrow one of them",
                    "change one",
                    "omit the order",
                    "such as 10..",
                    "images of sheets",
                    "its reference image",
                    'base64,..."',
                )
            )
            # Too large is refused before it is looked at; schemathesis counts 413 as no refusal.
            excluded = [accepted] * bool(contrary) + [rejected] * (answer.status_code == 413)
            case.validate_response(answer, excluded_checks=excluded)
            seen.add(answer.status_code)

        keeps()
    assert {200, 404, 422} <= seen
