import json
import subprocess
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import onnx
import pytest

from digitnet import DataError, ModelError, classifier
from digitnet.data.synthesis.strokes import hands
from digitnet.models import vetting
from digitnet.models.inspection import STEP, WINDOW, inside

SHAPES = {
    "digitnet": [(16, 14, 14), (32, 7, 7), (128,)],
    "strong": [(32, 14, 14), (48, 7, 7), (96, 3, 3), (256,)],
}
every_model = pytest.mark.parametrize("name", ["digitnet", "strong"])


@pytest.fixture(scope="module")
def model(exported):
    return classifier(exported)


def seven(bar=True):
    """A seven of two strokes; without its bar, what is left is a one."""
    image = np.zeros((28, 28), np.uint8)
    for row in range(4, 24):
        left = 18 - (row - 4) // 3
        image[row, left : left + 3] = 255
    if bar:
        image[4:7, 7:19] = 255
    return image


@every_model
def test_the_built_in_models_can_be_looked_into(name):
    model, digits = classifier(name), hands(5, seed=2)
    for image in digits.images:
        seen = inside(model, image)
        assert [maps.shape for maps in (*seen.layers, seen.hidden)] == SHAPES[name]
        assert all(maps.dtype == np.float32 and maps.min() == 0 < maps.max() for maps in (*seen.layers, seen.hidden))
        assert seen.occlusion.shape == (28, 28)
        assert seen.occlusion.dtype == np.float32
        assert np.abs(seen.occlusion).max() <= 1


def test_it_says_what_the_model_says(model, drawn):
    images = [*drawn.images[:20], np.zeros((28, 28), np.uint8)]
    probs, digitness = model.classify(np.stack(images))
    for i, image in enumerate(images):
        seen = inside(model, image)
        assert (seen.image == image).all()
        assert seen.probs == pytest.approx(probs[i], abs=1e-5)
        assert seen.digitness == pytest.approx(digitness[i], abs=1e-5)
        assert seen.accepted == (seen.digitness >= model.threshold)
    assert not seen.accepted
    with pytest.raises(FrozenInstanceError):
        seen.accepted = True


@every_model
def test_where_there_is_no_ink_none_was_needed(name):
    assert not inside(classifier(name), np.zeros((28, 28), np.uint8)).occlusion.any()


@every_model
def test_the_bar_of_a_seven_is_needed_and_an_empty_corner_is_not(name):
    model = classifier(name)
    seen = inside(model, seven())
    assert seen.probs.argmax() == 7
    assert model(seven(bar=False)[None])[0, 7] < 0.5
    bar = seen.occlusion[3:8, 7:16]
    assert bar.max() > 0.1
    assert bar.max() > 5 * np.abs(seen.occlusion[18:, :8]).max()
    assert not seen.occlusion[:, :2].any()
    assert not seen.occlusion[20:, 20:].any()


def test_occlusion_is_the_fall_where_a_window_is_paper(model, drawn):
    image = drawn.images[3]
    seen, before = inside(model, image), model(image[None])[0]
    most = np.unravel_index(seen.occlusion[2:-2, 2:-2].argmax(), (24, 24))
    assert seen.occlusion.max() > 0.01
    for row, column in ((4, 4), (10, 12), (14, 9), (21, 17), (25, 25), (most[0] + 2, most[1] + 2)):
        top, left = ((place - WINDOW // 2 + 1) // STEP * STEP for place in (row, column))
        covered = image.copy()
        covered[top : top + WINDOW, left : left + WINDOW] = 0
        assert abs(row + 0.5 - top - WINDOW / 2) <= 1
        fall = before.max() - model(covered[None])[0, before.argmax()]
        assert seen.occlusion[row, column] == pytest.approx(fall, abs=1e-5)
    assert (seen.occlusion[:2] == seen.occlusion[2]).all(), "as the window nearest to the edge"


def test_the_image_stays_as_it_is(model, drawn):
    image = drawn.images[0].copy()
    image.flags.writeable = False
    inside(model, image)
    assert (image == drawn.images[0]).all()


@every_model
def test_it_becomes_plain_values(name):
    seen = inside(classifier(name), hands(1, seed=4).images[0])
    plain = seen.to_dict()
    assert len(json.dumps(plain)) < 50_000
    assert json.loads(json.dumps(plain)) == plain
    assert np.array_equal(np.reshape(plain["image"], (28, 28)), seen.image)
    assert plain["digit"] == seen.probs.argmax()
    assert plain["probs"] == pytest.approx(seen.probs, abs=1e-6)
    assert plain["accepted"] is seen.accepted
    for told, maps in zip(plain["layers"], seen.layers, strict=True):
        assert (told["channels"], told["height"], told["width"]) == maps.shape
        values = np.reshape(told["maps"], maps.shape)
        assert (values.min(), values.max()) == (0, 255)
        assert values / 255 * told["maximum"] == pytest.approx(maps, abs=told["maximum"] / 500)
    assert plain["hidden"]["units"] == len(seen.hidden)
    values = [unit["value"] for unit in plain["hidden"]["strongest"]]
    assert values == sorted(values, reverse=True)
    assert len(values) == (seen.hidden > 0).sum()
    for unit in plain["hidden"]["strongest"]:
        assert unit["value"] == pytest.approx(seen.hidden[unit["index"]], abs=1e-4)
    assert np.reshape(plain["occlusion"], (28, 28)) / 255 == pytest.approx(seen.occlusion, abs=1 / 500)


def test_a_layer_where_nothing_is_becomes_zeros(drawn, tmp_path):
    import torch

    from digitnet.models.networks import DigitNet
    from digitnet.training.export import export

    network = DigitNet()
    torch.nn.init.constant_(network.feature_stage_2[0].bias, -1e3)
    plain = inside(export(network, drawn[:20], {"name": "dark"}, tmp_path / "dark.onnx"), drawn.images[0]).to_dict()
    assert plain["layers"][1]["maximum"] == 0
    assert not np.any(plain["layers"][1]["maps"])


@pytest.mark.parametrize(
    "image", [np.zeros((1, 28, 28), np.uint8), np.zeros((28, 27), np.uint8), np.zeros((28, 28)), np.uint8(3)]
)
def test_an_image_of_another_shape_or_type_is_refused(model, image):
    with pytest.raises(DataError, match=r"expected \(n, 28, 28\) uint8"):
        inside(model, image)
    with pytest.raises(DataError, match=r"expected \(n, 28, 28\) uint8"):
        model.layers(image)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (None, "does not name its layers"),
        ([], "does not name its layers"),
        ("hidden", "does not name its layers"),
        (["layer_1", 5], "does not name its layers"),
        (["layer_1", "layer_9"], "has no layers layer_1, layer_9"),
        (["hidden", "layer_1"], "its layers hidden, layer_1 have unexpected shapes"),
        (["layer_1"], "its layers layer_1 have unexpected shapes"),
    ],
)
def test_a_file_without_its_layers_answers_and_says_what_to_do(exported, drawn, layers, message, tmp_path, capfd):
    proto = onnx.load(exported)
    about = json.loads(proto.metadata_props[0].value)
    about.pop("layers")
    about |= {} if layers is None else {"layers": layers}
    onnx.helper.set_model_props(proto, {"digitnet": json.dumps(about)})
    onnx.save(proto, tmp_path / "older.onnx")
    model = classifier(tmp_path / "older.onnx")
    assert model(drawn.images[:1]).shape == (1, 10)
    with pytest.raises(ModelError) as caught:
        inside(model, drawn.images[0])
    assert str(caught.value) == f"model taught: {message}; export its run again: digitnet export RUN --out FILE.onnx"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("n", [0, 1, 127, 128, 300, 20_000])
def test_what_is_appended_to_a_model_is_read_as_part_of_it(n):
    graph = onnx.ModelProto(graph=onnx.GraphProto(name="small"))
    together = onnx.ModelProto.FromString(
        graph.SerializeToString() + vetting.field(7, vetting.field(12, vetting.field(1, b"x" * n)))
    )
    assert together.graph.name == "small"
    assert [output.name for output in together.graph.output] == ["x" * n]


def test_looking_inside_loads_nothing_that_training_needs(environment):
    code = (
        "import sys, numpy as np\n"
        "from digitnet import classifier\n"
        "from digitnet.models.inspection import inside\n"
        "assert inside(classifier('digitnet'), np.zeros((28, 28), np.uint8)).to_dict()['accepted'] is False\n"
        "assert not {'torch', 'sklearn', 'matplotlib', 'onnx', 'safetensors', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
