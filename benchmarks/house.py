"""How large the package is, how deep its imports go, and how many of its files the simplest advice enters.

usage: python benchmarks/house.py [--entered]

Lines are counted by package: all, code, docstrings. A chain counts imports that run when ``regadvisor.api``
is imported; those of type checkers and inside functions do not run. ``--entered`` asks for advice on the
diabetes data of scikit-learn, twice, and lists the files in which a function is called the second time.
"""

from __future__ import annotations

import ast
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType

PACKAGE = Path(__file__).parents[1] / "regadvisor"


def lines(path: Path) -> Counter[str]:
    """Return the lines of a file: all of them, code, and those of docstrings."""
    text = path.read_text(encoding="utf-8")
    docs: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            docs |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    rows = enumerate(text.splitlines(), start=1)
    code = sum(bool(row.strip()) and not row.strip().startswith("#") and i not in docs for i, row in rows)
    return Counter(files=1, lines=text.count("\n"), code=code, docs=len(docs))


def imported(path: Path, modules: dict[str, Path]) -> set[str]:
    """Return the modules of the package that a module imports when it is imported itself."""

    def running(node: ast.AST) -> Iterator[ast.ImportFrom]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef) or (
                isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            ):
                continue
            if isinstance(child, ast.ImportFrom):
                yield child
            yield from running(child)

    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {f"{each.module}.{alias.name}" for each in running(tree) for alias in each.names}
    found = {name if name in modules else name.rpartition(".")[0] for name in names}
    return found & set(modules)


def longest_chain(start: str = "regadvisor.api") -> tuple[str, ...]:
    """Return the longest chain of imports from a module on."""
    parts = {path: path.relative_to(PACKAGE.parent).with_suffix("").parts for path in PACKAGE.rglob("*.py")}
    modules = {".".join(part).removesuffix(".__init__"): path for path, part in parts.items()}

    @cache
    def chain(name: str) -> tuple[str, ...]:
        further = sorted(imported(modules[name], modules) - {name})  # of chains as long, the same each time
        return (name, *max(map(chain, further), key=len, default=()))

    return chain(start)


def entered() -> dict[str, int]:
    """Return the functions called by file, in advice on a small table."""
    from sklearn.datasets import load_diabetes

    from regadvisor import advise

    called: dict[str, set[str]] = defaultdict(set)

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(PACKAGE)) and code.co_name != "<module>":
            called[str(Path(code.co_filename).relative_to(PACKAGE))].add(code.co_qualname)

    X, y = load_diabetes(return_X_y=True)
    advise(X, y, effort="quick", progress=False)
    sys.setprofile(note)
    threading.setprofile(note)
    try:
        advise(X, y, effort="quick", progress=False)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return {name: len(functions) for name, functions in sorted(called.items())}


def main() -> None:
    """Run from the command line."""
    total: dict[str, Counter[str]] = defaultdict(Counter)
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts
        total[part[0] if len(part) > 1 else "."] += lines(path)
    total["in all"] = sum(total.values(), Counter())
    print(f"{'':12}{'files':>7}{'lines':>8}{'code':>8}{'docs':>8}")
    for name, found in sorted(total.items(), key=lambda pair: pair[1]["lines"]):
        print(f"{name:12}{found['files']:7}{found['lines']:8,}{found['code']:8,}{found['docs']:8,}")
    chain = longest_chain()
    print(f"\nlongest chain of imports, {len(chain)}: {' > '.join(chain)}")
    if "--entered" in sys.argv:
        found_files = entered()
        print(f"\nfiles entered, {len(found_files)}: {', '.join(found_files)}")


if __name__ == "__main__":
    main()
