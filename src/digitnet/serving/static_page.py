"""A page that needs no server: one file with a model in it, which runs in any browser, opened from a disk.

Browsers load no modules from a disk, so the scripts of `web/` that the page needs are put into one, each in a function
of its own.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np

from digitnet.core.digits import IMAGE_SIZE, require_digits
from digitnet.core.errors import ModelError
from digitnet.core.files import write_atomic
from digitnet.core.text import listed
from digitnet.models.onnx_models import LINE, WEIGHTS, OnnxClassifier
from digitnet.models.vetting import operators

WEB = Path(__file__).parent / "web"
"""The scripts and styles that the page is made of."""

OPERATORS = frozenset(
    {
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Concat",
        "Constant",
        "Conv",
        "Div",
        "Exp",
        "Flatten",
        "Gather",
        "Gemm",
        "GlobalAveragePool",
        "GreaterOrEqual",
        "Identity",
        "LayerNormalization",
        "LogSoftmax",
        "MatMul",
        "MaxPool",
        "Mul",
        "ReduceLogSumExp",
        "ReduceMean",
        "Relu",
        "Reshape",
        "Shape",
        "Sigmoid",
        "Slice",
        "Softmax",
        "Squeeze",
        "Sub",
        "Tanh",
        "Transpose",
        "Unsqueeze",
    }
)
"""The operators that `web/operators.js` knows."""

_TOOLS = re.compile(r"<!-- tools -->\n(.*?) *<!-- /tools -->", re.DOTALL)
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|const|class) (\w+))", re.MULTILINE)


def write_page(model: OnnxClassifier, folder: Path, reader: bool = False) -> Path:
    """Write the page of a model to `folder` and return its path, `folder`/index.html.

    reader: whether the built-in line reader goes into the page, too, so that it reads numbers of several digits.

    Raises ModelError if the model has other classes than the ten digits, has operators that the page cannot run, or
    does not name its layers.
    """
    require_digits(model, f"model {model.name}", "the page")
    if unknown := operators(model.content) - OPERATORS:
        raise ModelError(
            f"model {model.name}: the page cannot run its operators {listed(sorted(unknown))}; "
            "export it with --out FILE.onnx and use digitnet serve --model FILE.onnx"
        )
    model.layers(
        np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    )  # what the page shows; says what to do where there are none
    page = (WEB / "alone.html").read_text("utf-8")
    style = "\n".join((WEB / name).read_text("utf-8") for name in ("style.css", "stage.css"))
    (tools,) = _TOOLS.findall((WEB / "index.html").read_text("utf-8"))
    parts = {
        "<!-- tools -->": tools.strip(),
        "<!-- style -->": f"<style>\n{style}</style>",
        "<!-- model -->": base64.b64encode(model.content).decode(),
        "<!-- reader -->": _reader() if reader else "",
        "// script": script("alone"),
    }
    for mark, content in parts.items():
        page = page.replace(mark, content)
    path = folder / "index.html"
    write_atomic(path, page.encode())
    return path


def _reader() -> str:
    """Return the elements with the line reader's file and the script of its thread."""
    model = base64.b64encode((WEIGHTS / f"{LINE}.onnx").read_bytes()).decode()
    parts = {"line": model, "thread": script("line_worker")}
    return "\n".join(f'<script type="text/plain" id="{name}">{content}</script>' for name, content in parts.items())


def script(name: str) -> str:
    """Return a module of `web/` and all that it imports as one classic script."""
    made: dict[str, str] = {}
    _add(name, made)
    return "\n".join(made.values())


def _add(name: str, made: dict[str, str]) -> None:
    """Add a module after those that it imports."""
    text = (WEB / f"{name}.js").read_text("utf-8")
    for _, other in _IMPORT.findall(text):
        if other not in made:
            _add(other, made)
    exported = ", ".join(_EXPORT.findall(text))
    text = _EXPORT.sub("", _IMPORT.sub(r"const {\1} = $\2;\n", text))
    made[name] = f'const ${name} = (() => {{\n"use strict";\n{text}return {{ {exported} }};\n}})();'
