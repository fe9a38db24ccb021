import ast
import subprocess
import sys
from pathlib import Path

import pytest

import digitnet

PACKAGE = Path(digitnet.__file__).parent

MAY_IMPORT = {
    "__init__": {"classifiers", "data", "digits", "errors", "evaluate", "frame", "reader", "reading", "rules"},
    "__main__": {"cli", "interrupt"},
    "extras": set(),
    "interrupt": set(),
    "errors": set(),
    "files": {"errors"},
    "terminal": {"errors", "evaluate"},
    "pipes": {"errors"},
    "digits": {"errors", "show"},
    "fetch": {"errors", "files"},
    "trained_on": {"errors", "files"},
    "npz": {"errors", "files"},
    "formats": {"digits", "errors", "files", "frame", "npz"},
    "mnist": {"errors", "fetch", "files", "formats"},
    "fonts": {"digits", "errors", "fetch", "formats", "frame"},
    "data": {"digits", "errors", "fetch", "fonts", "formats", "mnist"},
    "unipen_archive": {"errors"},
    "unipen": {"data", "errors", "files", "unipen_archive"},
    "frame": {"digits", "errors", "ink"},
    "hands": {"digits", "frame", "unipen"},
    "texts": set(),
    "pens": set(),
    "paper": set(),
    "handstyle": {"unipen"},
    "scribe": {"__init__", "handstyle", "paper", "pens", "texts", "unipen"},
    "corrupt": {"digits", "errors"},
    "image": {"decoding", "errors", "extras", "grey", "pdf", "pipes"},
    "decoding": {"errors"},
    "grey": {"errors"},
    "pdf": {"errors"},
    "ink": {"errors"},
    "ruling": {"ink", "reading"},
    "group": set(),
    "find": {"group", "ink", "reading", "ruling"},
    "checksums": set(),
    "kinds": set(),
    "values": {"kinds"},
    "automaton": {"checksums", "errors", "kinds"},
    "rules": {"automaton", "checksums", "errors", "kinds", "values"},
    "decode": {"automaton", "errors", "kinds", "rules"},
    "reading": {"show", "values"},
    "blank": {"find", "group", "ink", "reading", "rules", "ruling"},
    "effort": {"digits", "find"},
    "draft": {"decode", "digits", "effort", "find", "kinds", "reading", "rules", "runtime", "values"},
    "reader": {
        *{"blank", "decode", "digits", "draft", "effort", "errors", "find", "frame", "image"},
        *{"ink", "kinds", "page_model", "page_regions", "reading", "rules", "runtime"},
    },
    "explain": {"ink", "model_file", "reader", "reading"},
    "batch": {"errors", "evaluate", "image", "reader", "reading", "rules"},
    "notes": {"batch", "errors", "reading", "terminal", "values"},
    "results": {"batch", "errors", "files", "reading", "values"},
    "store": {"batch", "errors", "files", "image"},
    "tables": {"batch", "store", "values"},
    "manifest": {"__init__", "batch", "errors", "files", "image", "reader", "rules", "store", "tables"},
    "scale": {"__init__", "errors", "manifest", "reader", "runtime"},
    "writers": {"digits", "hands"},
    "compose": {"digits", "writers"},
    "lines": {
        *{"digits", "errors", "evaluate", "frame"},
        *{"ink", "model_file", "models", "runtime", "scribe", "texts", "train"},
    },
    "line_sources": {"data", "digits", "hands", "scribe", "unipen", "writers"},
    "evaluate": {"digits", "errors", "show", "trained_on"},
    "show": {"digits", "evaluate", "reading", "terminal"},
    "compare": {"errors", "evaluate"},
    "model_file": {"digits", "kinds", "errors", "trust", "vet"},
    "runtime": {"decode", "digits", "errors", "kinds", "model_file", "trained_on", "vet"},
    "trust": {"errors"},
    "classifiers": {"__init__", "errors", "extras", "models", "runtime", "score"},
    "vet": {"trained_on"},
    "inside": {"digits", "runtime"},
    "check": {"__init__", "compose", "digits", "errors", "extras", "hands", "reader", "runtime"},
    "mistakes": {"digits", "errors", "evaluate", "files", "npz"},
    "figures": {"evaluate", "files"},
    "charts": {"evaluate", "figures", "terminal"},
    "figures_inside": {"figures"},
    "findings": {
        *{"__init__", "compare", "corrupt", "data", "digits", "errors", "evaluate"},
        *{"inside", "mistakes", "score"},
    },
    "drawings": {"charts", "evaluate", "figures", "figures_inside", "findings", "score", "terminal"},
    "words": {"compare", "drawings", "evaluate", "findings", "score", "terminal"},
    "report": {
        *{"__init__", "corrupt", "data", "drawings", "errors", "evaluate", "figures", "files", "findings"},
        *{"mistakes", "runtime", "score", "terminal", "words"},
    },
    "problems": set(),
    "batcher": set(),
    "shares": set(),
    "contents": {"digits", "errors", "problems"},
    "intake": {"contents", "problems", "shares"},
    "access": {"terminal"},
    "guard": {"access", "batcher", "problems"},
    "connection": {"access", "guard", "intake", "problems", "shares"},
    "service": {
        *{"batcher", "contents", "errors", "find", "frame", "guard", "hands", "image", "inside", "intake"},
        *{"mistakes", "model_file", "reader", "results", "rules", "runtime", "terminal"},
    },
    "openapi": {"digits", "guard", "intake", "problems", "reading", "service"},
    "serve": {
        *{
            "__init__",
            "access",
            "batcher",
            "connection",
            "contents",
            "errors",
            "guard",
            "intake",
            "openapi",
            "problems",
        },
        *{"checksums", "kinds", "service", "shares"},
    },
    "process": {"connection", "image", "intake", "serve", "service"},
    "score": {
        *{"checkpoint", "corrupt", "data", "digits", "errors", "evaluate", "extras"},
        *{"figures", "fonts", "formats", "models", "runtime", "trained_on"},
    },
    "models": {"digits", "errors", "texts", "trained_on"},
    "recipes": {"augment", "errors", "models"},
    "muon": set(),
    "augment": set(),
    "negatives": {"digits"},
    "checkpoint": {"errors", "files", "models", "trained_on"},
    "distributed": {"errors"},
    "train": {
        *{"augment", "checkpoint", "digits", "distributed", "errors", "evaluate"},
        *{"files", "models", "muon", "negatives", "recipes", "trained_on"},
    },
    "onnx_file": {"digits", "errors", "files", "model_file", "runtime", "trained_on", "trust"},
    "line_export": {"frame", "lines", "model_file", "onnx_file", "runtime", "scribe", "texts"},
    "export": {
        *{"checkpoint", "data", "digits", "errors", "line_export"},
        *{"line_sources", "model_file", "models", "onnx_file", "runtime", "trained_on"},
    },
    "audit": {
        *{"checkpoint", "data", "digits", "errors", "extras", "files"},
        *{"formats", "models", "terminal", "train"},
    },
    "run": {
        *{"__init__", "checkpoint", "data", "digits", "distributed", "errors", "evaluate"},
        *{"fonts", "hands", "line_sources", "lines", "mistakes", "models", "report", "score", "train", "unipen"},
    },
    "baselines": {"digits", "errors"},
    "testbed": {"corrupt", "data", "digits", "errors", "files", "fonts", "formats", "models", "negatives"},
    "benchmark": {
        *{"baselines", "checkpoint", "data", "digits", "errors", "export", "files"},
        *{"measures", "models", "run", "runtime", "score", "testbed", "train"},
    },
    "measures": {"corrupt", "data", "digits", "evaluate", "runtime", "score", "testbed"},
    "table": {"baselines", "benchmark", "corrupt", "files", "measures", "testbed"},
    "page_author": {"page_print", "page_sheet", "page_texture", "page_writers", "texts"},
    "page_charts": {"page_author", "page_forms", "page_sheet", "page_writers"},
    "page_compose": {
        "page_author",
        "page_charts",
        "page_documents",
        "page_forms",
        "page_numbers",
        "page_photo",
        "page_print",
        "page_sheet",
        "page_tables",
        "page_writers",
    },
    "page_documents": {"page_author", "page_forms", "page_print", "page_sheet"},
    "page_export": {"files", "page_model", "page_network"},
    "page_find": set(),
    "page_forms": {"page_sheet", "page_texture"},
    "page_model": {"errors", "model_file", "runtime", "trust", "vet"},
    "page_network": set(),
    "page_numbers": {"page_author", "page_forms", "page_sheet", "page_writers"},
    "page_photo": {"page_sheet", "page_texture"},
    "page_print": {"page_sheet"},
    "page_regions": {"find", "page_find"},
    "page_sheet": set(),
    "page_tables": {"page_author", "page_forms", "page_sheet", "page_writers"},
    "page_texture": set(),
    "page_train": {"page_network", "page_truth"},
    "page_truth": {"page_compose", "page_sheet"},
    "page_writers": {"handstyle", "page_sheet", "pens", "scribe", "unipen"},
}
"""Who may import whom: arrows point to digits.py, and nobody imports cli."""

KNOW_HTTP = {"connection", "guard", "intake", "openapi", "problems", "process", "serve"}

KNOW_TORCH = {
    *{"models", "muon", "augment", "negatives", "checkpoint", "distributed", "train", "lines", "export", "run"},
    *{"line_export", "onnx_file", "testbed", "benchmark", "page_export", "page_network", "page_train"},
}


def imported(path):
    """Return the names of the digitnet modules and of the other top-level packages that a file imports."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "digitnet":
            names = [f"digitnet.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        for name in names:
            top, _, rest = name.partition(".")
            if top == "digitnet":
                module = rest.split(".")[0]
                ours.add(module if (PACKAGE / f"{module}.py").is_file() else "__init__")
            else:
                others.add(top)
    return ours, others


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_a_module_imports_only_what_it_may(path):
    ours, others = imported(path)
    assert not ours & {"cli"} or path.stem == "__main__"
    commands = {"cli_audit", "cli_benchmark", "cli_read", "cli_report", "cli_serve", "cli_train"}
    assert not ours & commands or path.stem in ("cli", "cli_train")
    assert "cli_tables" not in ours or path.stem == "cli_read"
    if not path.stem.startswith("cli"):
        assert ours <= MAY_IMPORT[path.stem]
    assert ("torch" in others) <= (path.stem in KNOW_TORCH)
    assert ("ray" in others) <= (path.stem in ("scale", "cli_tables"))
    http = {"fastapi", "starlette", "uvicorn", "prometheus_client", "python_multipart"}
    assert bool(http & others) <= (path.stem in KNOW_HTTP)


HEAVY = {
    *("torch", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "cv2", "onnxruntime", "onnx", "safetensors"),
    *("fastapi", "starlette", "uvicorn", "prometheus_client", "jinja2", "filelock", "cleanlab", "pypdfium2"),
    *("pyarrow", "ray", "fsspec", "platformdirs"),
}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["train"],
        ["evaluate"],
        ["export"],
        ["trust"],
        ["check"],
        ["data"],
        ["read"],
        ["compose"],
        ["serve"],
        ["report"],
        ["audit"],
        ["benchmark"],
    ],
)
def test_the_command_line_and_its_help_load_nothing_heavy(words, environment):
    code = (
        "import sys; before = set(sys.modules)\n"
        "import digitnet.cli\n"
        f"sys.argv = ['digitnet', *{words}, '--help']\n"
        "try: digitnet.cli.main()\n"
        "except SystemExit: print(*set(sys.modules) - before, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "Usage: " in done.stdout
    loaded = set(done.stderr.split())
    assert not HEAVY & loaded
    own = {name.partition(".")[2] for name in loaded if name.startswith("digitnet.")}
    assert {name for name in own if not name.startswith("cli")} == {"errors", "extras", "interrupt", "terminal"}


def test_loading_and_scoring_need_no_torch(environment, drawn_npz):
    code = (
        "import digitnet, sys, numpy as np\n"
        f"digits = digitnet.load({str(drawn_npz)!r})\n"
        "scores = digitnet.evaluate(lambda images: np.full((len(images), 10), 0.1), digits)\n"
        "assert scores.n == 600\n"
        "assert not {'torch', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_every_public_name_is_there_and_listed():
    assert set(digitnet.__all__) - {"__version__"} == set(digitnet._HOMES)
    for name in digitnet.__all__:
        assert getattr(digitnet, name) is not None
        assert name in dir(digitnet)
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        digitnet.missing  # noqa: B018


def test_the_models_and_the_frame_are_at_hand():
    from digitnet.imaging.normalization import frame
    from digitnet.models.loading import classifier

    assert digitnet.classifier is classifier
    assert digitnet.frame is frame
    assert {"classifier", "frame"} <= set(digitnet.__all__)


def test_a_public_function_wins_over_the_module_of_its_name(environment):
    code = (
        "import digitnet.evaluate, digitnet.frame, digitnet\n"
        "from digitnet.evaluation.metrics import Scores\n"
        "assert callable(digitnet.evaluate) and digitnet.Scores is Scores\n"
        "assert callable(digitnet.frame)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_every_public_function_and_class_is_documented():
    for path in PACKAGE.glob("*.py"):
        tree = ast.parse(path.read_text())
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
        for node in [*tree.body, *(part for one in classes for part in one.body)]:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            overload = "overload" in [ast.unparse(each) for each in getattr(node, "decorator_list", ())]
            assert not public or overload or ast.get_docstring(node), f"{path.name}: {node.name}"


def test_no_file_outgrows_a_sitting():
    for path in PACKAGE.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path.name


def test_no_test_looks_at_a_clock():
    """What makes a call fast is asserted instead: the tests must pass on a slow machine that is busy."""
    clocks = {"monotonic", "perf_counter", "process_time", "thread_time"}
    for path in Path(__file__).parent.glob("*.py"):
        used = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not clocks & used, path.name
