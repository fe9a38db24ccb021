"""A model file from anywhere: what is no chain of plain operators over its own numbers is refused unopened."""

import json
import resource

import numpy as np
import onnx
import onnxruntime
import pytest
from helpers import few_hands
from onnx import TensorProto, helper, numpy_helper

from digitnet import ModelError, classifier
from digitnet.models import onnx_models, vetting
from digitnet.models.onnx_models import WEIGHTS, line_reader
from digitnet.models.page_model import page_model


def node(operator, takes, gives, **attributes):
    return helper.make_node(operator, takes, gives, **attributes)


def constant(name, values):
    return numpy_helper.from_array(np.asarray(values), name)


def plain():
    """A classifier that says of every image that it may be any digit."""
    nodes = [
        node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        node("Flatten", ["x"], ["flat"], axis=1),
        node("Gemm", ["flat", "w"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"], axis=1),
        node("ReduceMean", ["probabilities"], ["digitness"], axes=[1], keepdims=0),
    ]
    return nodes, [constant("w", np.zeros((784, 10), np.float32))]


def model(nodes, weights, about=None, opset=17, ir_version=8):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "graph",
        [value("images", TensorProto.UINT8, ["n", 28, 28])],
        [value("probabilities", TensorProto.FLOAT, None), value("digitness", TensorProto.FLOAT, None)],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    helper.set_model_props(made, {"digitnet": json.dumps({"name": "x", "threshold": 0.5} | (about or {}))})
    return made


def refused(made, tmp_path):
    path = tmp_path / "their.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    with pytest.raises(ModelError) as caught:
        classifier(path)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ").removesuffix(f"; if it is your own: digitnet trust {path}")


def accepted(made, tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes(made.SerializeToString())
    return classifier(path)


@pytest.mark.parametrize("path", sorted(WEIGHTS.glob("*.onnx")), ids=lambda path: path.stem)
def test_the_built_in_models_pass_as_strangers_do(path, tmp_path):
    (tmp_path / "copy.onnx").write_bytes(path.read_bytes() + b"\x32\x01x")  # some words more: another hash
    opener = {"line": line_reader, "rows": line_reader, "page": page_model}.get(path.stem, classifier)
    opened = opener(tmp_path / "copy.onnx")
    assert opened.sha256 not in onnx_models.hashes().values()


def test_a_page_network_that_enlarges_without_bounds_or_finds_nothing_is_refused(tmp_path):
    made = onnx.load(WEIGHTS / "page.onnx")
    scales = {node.input[2] for node in made.graph.node if node.op_type == "Resize"}
    for node in made.graph.node:
        if node.output[0] in scales:
            node.attribute[0].t.CopyFrom(numpy_helper.from_array(np.array([1, 1, 400, 400], np.float32)))
    path = tmp_path / "large.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ModelError, match="fails, or takes more than"):
        page_model(path)
    path.write_bytes((WEIGHTS / "line.onnx").read_bytes() + b"\x32\x01x")
    with pytest.raises(ModelError, match="not a page network"):
        page_model(path)


@pytest.mark.parametrize("name", ["digitnet", "strong", "line"])
def test_what_is_exported_passes(name, drawn, tmp_path):
    import torch

    from digitnet.models.networks import MODELS
    from digitnet.training.export import export
    from digitnet.training.line_export import export_lines

    torch.manual_seed(0)
    network = MODELS[name]().eval()
    if name == "line":
        export_lines(network, few_hands().lines(2), {"name": name}, tmp_path / "mine.onnx")
    else:
        export(network, drawn[:20], {"name": name}, tmp_path / "mine.onnx")
    assert vetting.fault((tmp_path / "mine.onnx").read_bytes()) is None


def test_a_plain_model_is_accepted(tmp_path):
    assert accepted(model(*plain()), tmp_path)(np.zeros((3, 28, 28), np.uint8)) == pytest.approx(0.1)


def body():
    """A graph that gives back what it takes from outside."""
    value = helper.make_tensor_value_info
    return helper.make_graph(
        [node("Identity", ["logits"], ["out"])], "body", [], [value("out", TensorProto.FLOAT, None)]
    )


@pytest.mark.parametrize(
    "operator",
    [
        node("If", ["yes"], ["more"], then_branch=body(), else_branch=body()),
        node("Loop", ["", "yes"], ["more"], body=body()),
        node("Scan", ["logits"], ["more"], body=body(), num_scan_inputs=1),
        node("Range", ["a", "b", "c"], ["more"]),
        node("Expand", ["logits", "shape"], ["more"]),
        node("ConstantOfShape", ["shape"], ["more"]),
        node("Tile", ["logits", "shape"], ["more"]),
        node("Resize", ["logits", "", "shape"], ["more"]),
        node("StringNormalizer", ["logits"], ["more"]),
        node("Relu\n\x1b[2J", ["logits"], ["more"]),
    ],
    ids=lambda made: ascii(made.op_type),
)
def test_an_operator_that_no_export_has_is_refused_by_its_name(operator, tmp_path):
    nodes, weights = plain()
    message = refused(model([*nodes, operator], weights), tmp_path)
    assert message == f"has the operator {operator.op_type!a}, which digitnet's own models do not need; it is not run"


def test_an_allowed_operator_with_a_graph_inside_is_refused(tmp_path):
    nodes, weights = plain()
    message = refused(model([*nodes, node("Relu", ["logits"], ["more"], body=body())], weights), tmp_path)
    assert "with a field that digitnet does not write" in message


def test_operators_of_others_are_not_run(tmp_path):
    nodes, weights = plain()
    made = model([*nodes, node("Relu", ["logits"], ["more"], domain="com.example")], weights)
    assert refused(made, tmp_path) == "has operators that are not ONNX's own; they are not run"


def test_functions_are_refused(tmp_path):
    made = model(*plain())
    made.functions.append(
        helper.make_function("", "Relu", ["a"], ["b"], [node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 17)])
    )
    assert "with a field that digitnet does not write" in refused(made, tmp_path)


def test_sparse_weights_are_refused(tmp_path):
    made = model(*plain())
    values, places = constant("s", np.ones(1, np.float32)), constant("s_places", np.zeros(1, np.int64))
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [1 << 40]))
    assert "with a field that digitnet does not write" in refused(made, tmp_path)


def test_words_as_weights_are_refused(tmp_path):
    nodes, weights = plain()
    words = helper.make_tensor("words", TensorProto.STRING, [1], [b"word"])
    assert refused(
        model(nodes, [*weights, words]), tmp_path
    ) == "has a tensor that does not contain numbers; export it again" or (
        "with a field that digitnet does not write" in refused(model(nodes, [*weights, words]), tmp_path)
    )


@pytest.mark.parametrize("where", ["a graph's weights", "an operator's value"])
@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "/etc/hostname", "*/_ORT_MEM_ADDR_/*"])
@pytest.mark.parametrize("said", [True, False])
def test_no_tensor_may_lie_in_another_file(location, where, said, tmp_path):
    tensor = TensorProto(name="far", data_type=TensorProto.FLOAT, dims=[1])
    tensor.external_data.add(key="location", value=location)
    if said:
        tensor.data_location = TensorProto.EXTERNAL
    nodes, weights = plain()
    if where == "a graph's weights":
        weights.append(tensor)
    else:
        nodes.append(node("Constant", [], ["far"], value=tensor))
    assert "other files" in refused(model(nodes, weights), tmp_path)


def test_onnx_runtime_alone_would_have_read_that_file(tmp_path, monkeypatch):
    """Otherwise the test above could not fail."""
    monkeypatch.chdir(tmp_path)
    made = model(*plain())
    onnx.external_data_helper.convert_model_to_external_data(made, location="weights.bin", size_threshold=0)
    onnx.save(made, tmp_path / "their.onnx")
    onnxruntime.InferenceSession((tmp_path / "their.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    assert "other files" in refused((tmp_path / "their.onnx").read_bytes(), tmp_path)


@pytest.mark.parametrize("dims", [[1 << 40], [1 << 20, 1 << 20], [-1], [1 << 62, 4], [100_000]])
def test_a_tensor_that_claims_more_than_it_brings_is_refused(dims, tmp_path):
    nodes, weights = plain()
    message = refused(model(nodes, [*weights, TensorProto(name="w2", data_type=1, dims=dims)]), tmp_path)
    assert message.startswith("has a tensor (") or "can run" in message


@pytest.mark.parametrize(
    "attributes", [{"pads": [0, 0, 10**6, 10**6]}, {"kernel_shape": [65, 1]}, {"dilations": [-65, 1]}]
)
def test_windows_that_blow_an_image_up_are_refused(attributes, tmp_path):
    nodes, weights = plain()
    attributes = {"kernel_shape": [1, 1]} | attributes
    made = model([*nodes, node("MaxPool", ["x"], ["more"], **attributes)], weights)
    assert refused(made, tmp_path) == "has an operator with an integer above 64; it is not run"


def test_a_graph_of_very_many_parts_is_refused_unopened(tmp_path, monkeypatch):
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("opened"))
    nodes, weights = plain()
    made = model([*nodes, *[node("Relu", ["logits"], [f"r{n}"]) for n in range(20_000)]], weights).SerializeToString()
    assert refused(made, tmp_path) == "has more than 50,000 parts; digitnet's own models have fewer"


@pytest.mark.parametrize("versions", [{"opset": 999}, {"ir_version": 99}])
def test_versions_that_are_not_known_are_said(versions, tmp_path):
    assert "not a model that ONNX Runtime" in refused(model(*plain(), **versions), tmp_path)


def test_a_product_of_weights_cannot_fill_the_memory(tmp_path):
    """(30,000 x 30,000) floats are 3.6 GB, of 240 kB of weights; ONNX Runtime alone would make them when it opens."""
    nodes, weights = plain()
    column, line = np.ones((30_000, 1), np.float32), np.ones((1, 30_000), np.float32)
    nodes.append(node("Gemm", ["column", "line"], ["huge"]))
    nodes.append(node("ReduceMean", ["huge"], ["more"], keepdims=0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made = model(nodes, [*weights, constant("column", column), constant("line", line)])
    assert "takes more than 5 s and 800 MB" in refused(made, tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kB


def test_a_graph_that_takes_long_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(vetting, "SECONDS", 0.2)
    nodes, weights = plain()
    square = np.zeros((1500, 1500), np.float32)
    for n in range(500):  # some minutes
        nodes.append(node("Gemm", [f"m{n}" if n else "square", "square"], [f"m{n + 1}"]))
    made = model(nodes, [*weights, constant("square", square)])
    assert "takes more than 0.2 s" in refused(made, tmp_path)


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.zeros((784, 7), np.float32), "its probabilities are (1, 7) float32, expected (1, 10) float32"),
        (np.full((784, 10), np.nan, np.float32), "its probabilities are not finite"),
        (np.zeros((784, 10)), "not a model that ONNX Runtime"),
    ],
)
def test_answers_of_another_kind_are_told_before_anyone_asks(weight, words, tmp_path):
    assert words in refused(model(plain()[0], [constant("w", weight)]), tmp_path)


def test_probabilities_that_are_none_are_told(tmp_path):
    nodes, weights = plain()
    nodes[3] = node("Sigmoid", ["logits"], ["probabilities"])
    assert refused(model(nodes, weights), tmp_path) == "its probabilities do not sum to 1; export it again"


def test_values_that_become_infinite_later_are_told_when_they_do(tmp_path):
    """The trial is with one picture; another makes logits that are no numbers."""
    weight = np.zeros((784, 10), np.float32)
    weight[0] = np.float32(3e38)  # the first pixel, which is paper in the trial
    opened = accepted(model(plain()[0], [constant("w", weight)]), tmp_path)
    assert opened(np.zeros((1, 28, 28), np.uint8)) == pytest.approx(0.1)
    with pytest.raises(ModelError, match="model x: returns values that are not finite"):
        opened(np.full((1, 28, 28), 255, np.uint8))


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"name": "a\nb"}, "the model name in its metadata is empty"),
        ({"name": "\x1b[2J"}, "the model name in its metadata is empty"),
        ({"name": ""}, "the model name in its metadata is empty"),
        ({"name": "x" * 300}, "the model name in its metadata is empty"),
        ({"name": "\udcff"}, "not a model that ONNX Runtime"),
        ({"threshold": 1e9}, "its threshold is 1e+09, not between 0 and 1"),
        ({"threshold": float("nan")}, "not a model that ONNX Runtime"),
        ({"more": float("inf")}, "not a model that ONNX Runtime"),
        ({"more": [{}] * 500_000}, "has metadata of more than 1,000,000 bytes"),
    ],
)
def test_metadata_that_could_not_be_shown_is_refused(about, words, tmp_path):
    assert words in refused(model(*plain(), about=about), tmp_path)


@pytest.mark.parametrize("layers", [["probabilities"], ["images", "w"], ["digitness"], ["logits", "x" * 500]])
def test_layers_that_are_none_are_told(layers, tmp_path):
    opened = accepted(model(*plain(), about={"layers": layers}), tmp_path)
    if layers == ["probabilities"]:
        assert opened.layers(np.zeros((28, 28), np.uint8))[0].shape == (10,)
        return
    with pytest.raises(ModelError, match="model x: ") as caught:
        opened.layers(np.zeros((28, 28), np.uint8))
    assert len(str(caught.value)) < 400


def test_any_cut_of_a_file_is_refused(exported, tmp_path):
    whole = exported.read_bytes()
    for at in [*range(0, 400, 7), *range(len(whole) - 400, len(whole) - 1, 7)]:
        try:
            opened = refused(whole[:at], tmp_path)
        except pytest.fail.Exception:  # cut between two fields: a whole message, of which metadata may be missing
            continue
        assert opened


@pytest.mark.parametrize("content", [b"hello, world\n", b"12,13\n", b"{}", b"<svg/>"])
def test_a_text_file_is_not_called_a_model(content):
    message = vetting.fault(content)
    assert message is not None
    assert message.startswith("not a model that ONNX Runtime can run (")
