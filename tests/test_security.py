"""What SECURITY.md promises: nothing is unpickled, no text is run, nothing goes out to a network."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import regadvisor

PACKAGE = Path(regadvisor.__file__).parent
RUN_TEXT = {"eval", "exec", "compile", "__import__"}
UNPICKLE_OR_CONNECT = {
    *("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"),
    *("subprocess", "socket", "requests", "ftplib", "http", "urllib.request", "xmlrpc"),
    *("ctypes", "code", "runpy"),
}
READERS_OF_PICKLES = {"read_pickle", "torch.load", "np.load", "numpy.load"}


def forbidden(source: str) -> list[str]:
    """Return what a module does that SECURITY.md says it does not do."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            # NumPy's own format is read without pickles in it.
            is_safe = name == "np.load" and "allow_pickle=False" in map(ast.unparse, node.keywords)
            is_found = name in RUN_TEXT or name.endswith(tuple(READERS_OF_PICKLES))
            found += [name] if is_found and not is_safe else []
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        found += [
            module
            for module in modules
            if any(module == name or module.startswith(f"{name}.") for name in UNPICKLE_OR_CONNECT)
        ]
    return found


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load('x')",
        "from urllib import request",
        "import urllib.request",
        "pd.read_pickle('x')",
    ],
)
def test_the_check_sees_what_is_forbidden(source: str) -> None:
    assert forbidden(source)


def test_the_check_lets_the_rest_pass() -> None:
    assert not forbidden(
        "from urllib.parse import urlsplit\nmodule.eval()\nre.compile('x')\nimport json\njson.load(f)"
    )


def test_the_package_unpickles_nothing_runs_no_text_and_connects_nowhere() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): names
        for path in sorted(PACKAGE.rglob("*.py"))
        if (names := forbidden(path.read_text(encoding="utf-8")))
    }
    # The model goes to the workers of executor=, as SECURITY.md says. Nothing else is ever unpickled.
    assert found.pop("scale/sending.py") == ["pickle", "joblib", "joblib.wrap_non_picklable_objects"]
    assert not found
