"""Print the lower bounds of pyproject.toml as constraints for pip: ``numpy>=2.0`` becomes ``numpy==2.0``.

usage: python .ci/lowest.py > constraints.txt

torch is left out: its builds for a CPU are not where other packages are. So are the tools: their versions say
nothing about users.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
#: The extras that users install.
EXTRAS = ("parquet", "polars")


def lowest(requirements: list[str]) -> list[str]:
    """Return the constraints, each package once."""
    bounds = {}
    for requirement in requirements:
        found = re.fullmatch(r"([A-Za-z0-9_.-]+)>=([0-9.]+)", requirement)
        if found is None:
            raise SystemExit(f"a dependency must be like name>=1.2, got {requirement!r}")
        name, version = found.groups()
        if bounds.setdefault(name, version) != version:
            raise SystemExit(f"{name} must have one lower bound, got {bounds[name]} and {version}")
    return [f"{name}=={version}" for name, version in bounds.items() if name != "torch"]


if __name__ == "__main__":
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(r for name in EXTRAS for r in project["optional-dependencies"][name]),
    ]
    print("\n".join(lowest(wanted)))
