"""The docs show what the program does now."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import regadvisor
from regadvisor.flowchart.chart import CLASSIC
from regadvisor.flowchart.draw import to_ascii

ROOT = Path(__file__).parent.parent
PAGES = [
    path.relative_to(ROOT).as_posix()
    for folder in ("", "docs", "docs/decisions", "benchmarks")
    for path in sorted((ROOT / folder).glob("*.md"))
]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading)).strip().lower() for heading in headings)
    return {text.replace(" ", "-") for text in words}


def names_in_code(text: str) -> set[str]:
    """Return what backticks name: `folder/`, `file.py` or `folder/file.py`, with `*` for any."""
    return set(re.findall(r"`((?:[\w.*-]+/)*[\w.*-]+(?:\.py|/))`", text))


@pytest.mark.parametrize("page", ["charts", "conversions"])
def test_pages_from_tables_are_up_to_date(page: str) -> None:
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs/build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    assert text == getattr(build, f"{page}_page")(), "run docs/build.py"


def test_the_readme_shows_the_classic_chart() -> None:
    assert to_ascii(CLASSIC).rstrip() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_method_page_names_what_there_is() -> None:
    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "regadvisor").rglob("*.py")}
    code = "\n".join(sources.values())
    constants = set(re.findall(r"`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)`", text))
    assert len(constants) > 20
    assert not {name for name in constants if not re.search(rf"^{name}\b", code, re.MULTILINE)}
    files = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", text))
    known = [path.relative_to(ROOT).as_posix() for path in (*sources, *(ROOT / "benchmarks").rglob("*.py"))]
    assert not {name for name in files if not any(f"/{path}".endswith(f"/{name}") for path in known)}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in (link for link in links if not re.match(r"[a-z]+:", link)):
        target, _, anchor = link.partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{name} links to {link}"
        assert found.is_relative_to(ROOT.resolve()), f"{name} links outside of the project: {link}"
        assert not anchor or anchor in anchors(found), f"{name} links to {link}"


def test_every_decision_is_in_the_index_by_its_title() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    titles = [path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for path in pages]
    rows = [
        f"| {title[:3]} | [{title[5:]}]({path.name}) |" for title, path in zip(titles, pages, strict=True)
    ]
    assert len(rows) > 10
    assert [path.name[:3] for path in pages] == [f"{n:03}" for n in range(1, len(pages) + 1)]
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert rows == [line for line in index.splitlines() if re.match(r"\| \d", line)]


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md", "benchmarks/README.md"])
def test_maps_of_the_code_name_what_there_is(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    names = names_in_code(text)
    assert names
    roots = (ROOT, ROOT / "regadvisor", ROOT / "benchmarks", ROOT / "regadvisor" / "families" / "neural")
    places = [*roots, *(path for path in (ROOT / "regadvisor").rglob("*") if path.is_dir())]
    assert not {known for known in names if not any(any(place.glob(known)) for place in places)}


def test_the_map_of_the_code_is_short_and_names_every_part_of_the_package() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    parts = [path for path in (ROOT / "regadvisor").iterdir() if not path.name.startswith("_")]
    named = names_in_code(text)
    missing = {path.name for path in parts if path.suffix == ".py"} - named
    missing |= {f"{path.name}/" for path in parts if path.is_dir()} - named
    assert not missing


def test_every_benchmark_is_in_the_list() -> None:
    named = names_in_code((ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8"))
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py")}
    listed = {name for name in scripts if any(Path(name).match(pattern) for pattern in named)}
    assert scripts == listed


def test_the_changelog_has_a_section_for_the_version_and_one_for_what_comes_next() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(regadvisor.__version__)}\] - \d{{4}}-\d\d-\d\d", headings[1])


def test_the_project_has_one_version() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["version"] == regadvisor.__version__
