"""The extras of an installation: the packages of each, and how to add one.

digitnet comes as a checkout or as a wheel; no package index has it.
"""

from collections.abc import Mapping

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "pdf": ("pypdfium2",),
    "forms": ("pydantic", "reportlab"),
    "review": ("alembic", "psycopg", "scipy", "sqlalchemy"),
    "xlsx": ("openpyxl",),
    "serve": ("fastapi", "httptools", "prometheus_client", "python_multipart", "segno", "uvicorn"),
    "scale": ("fsspec", "pyarrow", "ray"),
    "train": ("filelock", "jinja2", "matplotlib", "onnx", "safetensors", "sklearn", "torch"),
    "audit": ("cleanlab",),
    "keras": ("h5py",),
    "rapidocr": ("rapidocr",),
}
"""The modules that each extra brings; `audit` brings those of `train` as well."""


def add(extra: str) -> str:
    """Say how to add an extra, as the end of a sentence."""
    return (
        f"install digitnet's extra {extra}: pip install -c constraints.txt '.[{extra}]' in its checkout, "
        f"or pip install 'FILE.whl[{extra}]'"
    )


def missing(module: str | None) -> str | None:
    """Say that a module is not installed and how to add its extra, or None where no extra brings it."""
    top = (module or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if top in modules), None)
    return None if extra is None else f"{top} is not installed; {add(extra)}"
