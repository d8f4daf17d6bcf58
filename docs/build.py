"""Write what the docs show from what the program does: charts, and outputs in README.md and docs/reading.md.

usage: python docs/build.py            (tests/test_docs.py fails where docs/charts.md is out of date)
       python docs/build.py optuna     (the picture in docs/optuna.md)
       python docs/build.py pages      (the pictures of reports; takes Playwright and Chromium)
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from regadvisor.conversions import RULES
from regadvisor.flowchart.chart import CLASSIC, EXTENDED
from regadvisor.flowchart.draw import to_ascii, to_svg

ROOT = Path(__file__).parent.parent


def charts_page() -> str:
    """Return docs/charts.md."""
    parts = ["# The charts", "Drawn from the tables in `regadvisor/flowchart/chart.py` by `docs/build.py`."]
    for chart in (CLASSIC, EXTENDED):
        (ROOT / f"docs/chart-{chart.name}.svg").write_text(f"{to_svg(chart)}\n", encoding="utf-8")
        parts += [f"## {chart.name.capitalize()}", f"![The {chart.name} chart](chart-{chart.name}.svg)"]
        parts += [f"```text\n{to_ascii(chart)}\n```"]
    return "\n\n".join(parts) + "\n"


def conversions_page() -> str:
    """Return docs/conversions.md: its words as they are, and the table from the rules."""
    page = (ROOT / "docs/conversions.md").read_text(encoding="utf-8")
    rows = ["| for | what takes it | strengths in | parameters | source |", "|---|---|---|---|---|"]
    for rule in RULES:
        params = "<br>".join(f"`{name} = {formula}`" for name, formula in rule.formula.items())
        where = {None: "either", "loss": "the loss", "decoupled": "decoupled"}[rule.coupling]
        rows.append(f"| {rule.target} | `{rule.call}` | {where} | {params} | [source]({rule.source}) |")
    table = "\n".join(rows)
    return re.sub(r"\| for \|.*?\n(?!\|)", lambda _: f"{table}\n", page, flags=re.DOTALL)


def output(*words: str) -> str:
    """Return what a command prints."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    return "\n".join(line.rstrip() for line in done.stdout.rstrip().splitlines())


def readme(page: str) -> str:
    """Return the README with the output of its example and the chart as they are now."""
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert example is not None
    shown = {"```\n\n": output("-c", example[1]), "draws it:\n\n": to_ascii(CLASSIC).rstrip()}
    for before, text in shown.items():
        page = with_text(page, before, text)
    return page


def with_text(page: str, before: str, text: str) -> str:
    """Return a page with another text in its first block of text that stands right after `before`."""
    block = re.compile(rf"({re.escape(before)})```text\n.*?```", re.DOTALL)
    return block.sub(lambda found: f"{found[1]}```text\n{text}\n```", page, count=1)


def draw_study() -> None:
    """Write docs/optuna.png from the code in docs/optuna.md."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    code = re.search(r"```python\n(.*?)```", (ROOT / "docs/optuna.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(code[1], {})
    figure = plt.gcf()
    figure.set_size_inches(9.0, 4.5)
    figure.savefig(ROOT / "docs/optuna.png", dpi=90, bbox_inches="tight")


def draw_pages() -> None:
    """Write docs/report*.png: the top of three reports, down to the first picture."""
    from playwright.sync_api import sync_playwright
    from sklearn.datasets import load_breast_cancer, load_diabetes

    from regadvisor import advise

    cancer, sick = load_breast_cancer(return_X_y=True, as_frame=True)
    diabetes, progress = load_diabetes(return_X_y=True, as_frame=True)
    few = cancer[["mean texture", "mean smoothness", "mean symmetry"]].head(120)
    advices = {
        "report": advise(cancer, sick, effort="standard"),
        "report-tie": advise(diabetes, progress, effort="quick"),
        "report-open": advise(few, sick.head(120), effort="standard"),
    }
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 760, "height": 900})
        for name, advice in advices.items():
            file = Path(folder) / f"{name}.html"
            advice.to_html(file)
            page.goto(file.as_uri())
            box = page.locator("main > section > figure").first.bounding_box()
            assert box is not None
            clip = {"x": 0, "y": 0, "width": 760, "height": box["y"] + box["height"] + 4}
            path = ROOT / f"docs/{name}.png"
            page.screenshot(path=path, clip=clip, full_page=True)
            Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(
                path, optimize=True
            )
        browser.close()


if __name__ == "__main__" and sys.argv[1:] == ["optuna"]:
    draw_study()
elif __name__ == "__main__" and sys.argv[1:] == ["pages"]:
    draw_pages()
elif __name__ == "__main__":
    (ROOT / "docs/charts.md").write_text(charts_page(), encoding="utf-8")
    (ROOT / "docs/conversions.md").write_text(conversions_page(), encoding="utf-8")
    page = ROOT / "README.md"
    page.write_text(readme(page.read_text(encoding="utf-8")), encoding="utf-8")
    page = ROOT / "docs/reading.md"
    report = output("-m", "regadvisor", "demo")
    shown = with_text(page.read_text(encoding="utf-8"), "in a shell:\n\n", report)
    page.write_text(shown, encoding="utf-8")
