"""Does what is released work? Looks into the archives of a folder, then installs the wheel apart and runs it.

usage: python .ci/try_dist.py dist

The wheel goes into a fresh environment, with the dependencies of the environment that runs this script: no
second download of torch. The commands run in an empty folder, so nothing of the checkout is imported.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = "regadvisor"
#: What the page needs of the installed package: templates are data, which a wheel easily misses.
PAGE = (
    f"import {PACKAGE} as r; r.advise_without_data(correlated=True).to_html('page.html'); print(r.__file__)"
)


def only(folder: Path, pattern: str) -> Path:
    """Return the one file of a folder that fits the pattern."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise SystemExit(f"{folder} must hold one {pattern}, got {[path.name for path in found]}")
    return found[0]


def look_inside(wheel: Path, sdist: Path) -> None:
    """Stop unless the archives hold every file of the package and the licence, and the wheel nothing else."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", PACKAGE, "tests", "LICENSE", "README.md", "constraints.txt"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")[:-1]  # fmt: skip
    package = {name for name in tracked if name.startswith(f"{PACKAGE}/")}
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    info = {name for name in in_wheel if name.split("/")[0].endswith(".dist-info")}
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    problems = {
        "not in the wheel": package - in_wheel,
        "in the wheel, but no part of the package": in_wheel - info - package,
        "not in the source archive": set(tracked) - in_sdist,
    }
    if not any(name.endswith("licenses/LICENSE") for name in info):
        problems["not in the wheel "] = {"LICENSE"}
    for what, names in problems.items():
        if names:
            raise SystemExit(f"{what}: {', '.join(sorted(names))}")


def run(*command: str, cwd: Path) -> str:
    """Return what a command prints; stop with its errors if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def try_wheel(wheel: Path, version: str) -> None:
    """Install the wheel without its dependencies into an environment that borrows ours, and run it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        environment, empty = folder / "environment", folder / "empty"
        empty.mkdir()
        run(sys.executable, "-m", "venv", "--without-pip", str(environment), cwd=folder)
        python = environment / "bin" / "python"
        run(
            *(sys.executable, "-m", "pip", "--python", str(python)),
            *("install", "--quiet", "--no-deps", "--no-index", str(wheel.resolve())),
            cwd=folder,
        )
        site = Path(
            run(str(python), "-c", "import sysconfig as s; print(s.get_path('purelib'))", cwd=empty).strip()
        )
        # A .pth file only names a place to look: .pth files there, as of the editable install, do nothing.
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        command = str(environment / "bin" / PACKAGE)
        said = run(command, "--version", cwd=empty)
        if version not in said:
            raise SystemExit(f"{PACKAGE} --version must say {version}, got {said!r}")
        imported = run(str(python), "-c", PAGE, cwd=empty).strip()
        if not Path(imported).is_relative_to(site):
            raise SystemExit(f"the installed package must be used, got {imported}")
        print(run(command, "demo", cwd=empty).partition("\nWhy")[0])
        left = sorted(path.name for path in empty.iterdir())
        if left != ["page.html"]:
            raise SystemExit(f"nothing else must be written, got {left}")


def main(folder: Path) -> None:
    """Check the archives of a folder."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    wheel = only(folder, f"{PACKAGE}-{version}-*.whl")
    look_inside(wheel, only(folder, f"{PACKAGE}-{version}.tar.gz"))
    try_wheel(wheel, version)
    print(f"{wheel.name} works.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
