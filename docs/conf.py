"""Settings of the documentation site: `make docs` builds it into docs/_build/html, offline."""

from __future__ import annotations

import re
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import regadvisor

ROOT = Path(__file__).parent.parent

project = "regadvisor"
author = "the regadvisor developers"
release = version = regadvisor.__version__
language = "en"

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
#: Charts are drawn as text beside the diagram, which needs a script from elsewhere.
suppress_warnings = ["misc.highlighting_failure", "config.cache"]

html_theme = "pydata_sphinx_theme"
html_title = f"regadvisor {release}"
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": []}
html_show_sourcelink = False

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

#: Examples of libraries that are not there.
_ABSENT = [
    name
    for name in ("keras_model", "lightning_module", "skorch_net")
    if find_spec(name.split("_")[0]) is None
]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": "|".join(["__init__", *_ABSENT]),
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    # The card of an advice, and no names of objects such as axes.
    "capture_repr": ("_repr_html_",),
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "plot_gallery": "True",
    "abort_on_example_error": True,
}
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"sphinx.*")
sys.path.insert(0, str(ROOT))

#: Pages outside of docs/ that pages inside link to, as pages of the site.
_INSIDE = {
    "../README.md": "index.md",
    "../../ARCHITECTURE.md": "../architecture.md",
    "../ARCHITECTURE.md": "architecture.md",
    "../benchmarks/RESULTS.md": "RESULTS.md",
    "../../benchmarks/RESULTS.md": "../RESULTS.md",
    "../benchmarks/OLDER_RESULTS.md": "OLDER_RESULTS.md",
    "../../benchmarks/OLDER_RESULTS.md": "../OLDER_RESULTS.md",
}


def _as_pages(app: object, name: str, source: list[str]) -> None:
    """Turn links to files of the project into links within the site, or into plain names."""

    def replaced(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        if target in _INSIDE:
            return f"[{text}]({_INSIDE[target]}{anchor})"
        return text

    source[0] = re.sub(r"\[([^\]]*)\]\((\.\./[^)#\s]*)(#[^)\s]*)?\)", replaced, source[0])


def _included(app: object, relative: Path, parent: str, source: list[str]) -> None:
    """Links of files that are included from elsewhere: these name their neighbours, not pages of the site."""
    source[0] = re.sub(r"\[([^\]]*)\]\((?![a-z]+:|#)[^)\s]*\)", r"\1", source[0])


def _skipped(app: object, what: str, name: str, member: object, skip: bool, options: object) -> bool | None:
    """Leave out what scikit-learn makes for every estimator: its docstrings link to pages of scikit-learn."""
    return True if re.fullmatch(r"set_\w+_request|score", name) else None


def setup(app: object) -> None:
    """Register what runs while the site is built."""
    app.connect("source-read", _as_pages)  # type: ignore[attr-defined]
    app.connect("include-read", _included)  # type: ignore[attr-defined]
    app.connect("autodoc-skip-member", _skipped)  # type: ignore[attr-defined]
