import ast
import importlib
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import digitnet

PACKAGE = Path(digitnet.__file__).parent

MAY_IMPORT = {
    "core": set(),
    "imaging": {"core"},
    "data": {"core", "imaging"},
    "models": {"core", "data"},
    "reading": {"core", "imaging", "data", "models"},
    "evaluation": {"core", "imaging", "data", "models", "reading"},
    "forms": {"core", "imaging", "data", "models", "reading", "evaluation"},
    "training": {"core", "imaging", "data", "models", "evaluation"},
    "review": {"core", "imaging", "reading", "forms"},
    "serving": {"core", "imaging", "data", "models", "reading", "evaluation", "forms", "review"},
    "experiments": {"core", "data", "models", "evaluation", "training"},
    "cli": {
        "core",
        "imaging",
        "data",
        "models",
        "reading",
        "evaluation",
        "forms",
        "review",
        "training",
        "serving",
        "experiments",
    },
}
"""The wings of the package and which of the others each may import."""

ALONE = {
    ("torch", "safetensors"): (
        r"models/(networks|checkpoint|page_network|plain_network|keras_file|child)|training/(?!config)\w+|experiments/\w+"
    ),
    ("fastapi", "starlette", "uvicorn", "prometheus_client", "python_multipart"): r"serving/\w+",
    ("sqlalchemy", "alembic", "psycopg"): r"review/(store|tables|database|migrations/.+)",
    ("ray",): r"reading/bulk/workers|cli/read_tables",
}
"""Heavy packages and the only modules that may import them."""

FILES = {
    "digitnet." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")
}
MODULES = {name.removesuffix(".__init__"): path for name, path in FILES.items()}


def imported(path):
    """Return the full names that a file imports anywhere, within functions and for type checkers, too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else node.module for name in inside}
    return names


def test_a_wing_imports_only_what_it_may():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == MAY_IMPORT.keys()
    for name, path in MODULES.items():
        wing = name.split(".")[1] if "." in name else ""
        if wing in MAY_IMPORT:
            others = {other for other in imported(path) if other.split(".")[0] == "digitnet"}
            wings = {other.split(".")[1] if "." in other else "the root" for other in others}
            assert wings - {wing} <= MAY_IMPORT[wing], name


def test_no_files_import_each_other_in_a_circle():
    graph = {name: imported(path) & MODULES.keys() for name, path in MODULES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError and names the circle


def test_a_test_file_stands_in_the_wing_of_the_module_that_it_is_named_after():
    for path in Path(__file__).parent.rglob("test_*.py"):
        where = path.parent.relative_to(Path(__file__).parent)
        if where.parts and where.parts[0] not in ("end_to_end", "fuzz"):
            modules = {module.stem for module in (PACKAGE / where).rglob("*.py")}
            assert path.stem.removeprefix("test_") in modules, path


@pytest.mark.parametrize(("packages", "where"), ALONE.items())
def test_heavy_packages_stay_where_they_belong(packages, where):
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE).with_suffix("").as_posix()
        found = {name.split(".")[0] for name in imported(path)} & set(packages)
        assert not found or re.fullmatch(where, place), place


@pytest.mark.parametrize("wing", ["", *MAY_IMPORT])
def test_a_wing_exports_what_it_lists_and_no_module_by_that_name(wing):
    face = importlib.import_module(f"digitnet.{wing}".rstrip("."))
    for name in getattr(face, "__all__", ()):
        assert getattr(face, name) is not None
        assert name in dir(face)
        assert f"{face.__name__}.{name}" not in MODULES
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        face.missing  # noqa: B018


HEAVY = {
    *("torch", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "cv2", "onnxruntime", "onnx", "safetensors"),
    *("fastapi", "starlette", "uvicorn", "prometheus_client", "jinja2", "filelock", "cleanlab", "pypdfium2"),
    *("pyarrow", "ray", "fsspec", "platformdirs", "reportlab", "openpyxl", "sqlalchemy", "alembic", "psycopg"),
}


COMMANDS = (
    *("train", "evaluate", "export", "trust", "check", "data", "read", "predict", "compose", "form", "serve"),
    *("review", "learn", "report", "audit", "benchmark"),
)


def test_the_command_line_and_its_help_load_nothing_heavy(environment):
    code = (
        "import sys; before = set(sys.modules)\n"
        "import digitnet.cli\n"
        f"for words in ([], *map(str.split, {COMMANDS})):\n"
        "    sys.argv = ['digitnet', *words, '--help']\n"
        "    try: digitnet.cli.main()\n"
        "    except SystemExit: print(*set(sys.modules) - before, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.count("Usage: ") == 1 + len(COMMANDS)
    listed = done.stdout.split("Usage: ")[1].partition("Commands:")[2]
    assert set(COMMANDS) == set(re.findall(r"^  (\w+)  ", listed, re.MULTILINE))
    for words, line in zip(["", *COMMANDS], done.stderr.splitlines(), strict=True):
        assert not HEAVY & set(line.split()), words
    loaded = set(done.stderr.split())
    own = {name.partition(".")[2] for name in loaded if name.startswith("digitnet.")}
    light = {
        "core",
        *(
            f"core.{name}"
            for name in ("classes", "errors", "extras", "interrupt", "lazy", "terminal", "text", "version")
        ),
        *("training", "training.config"),  # the choices and the help of `train`
    }
    assert {name for name in own if not name.startswith("cli")} <= light


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
    homes = [name for names in digitnet._HOMES.values() for name in names]
    assert sorted(homes) == sorted(set(digitnet.__all__) - {"__version__"})


def test_every_public_function_and_class_is_documented():
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
        for node in [*tree.body, *(part for one in classes for part in one.body)]:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            overload = "overload" in [ast.unparse(each) for each in getattr(node, "decorator_list", ())]
            assert not public or overload or ast.get_docstring(node), f"{path.name}: {node.name}"


def test_no_file_outgrows_a_sitting():
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path.name


def test_no_test_looks_at_a_clock():
    """What makes a call fast is asserted instead: the tests must pass on a slow machine that is busy."""
    clocks = {"monotonic", "perf_counter", "process_time", "thread_time"}
    for path in Path(__file__).parent.rglob("*.py"):
        used = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not clocks & used, path.name
