"""Write what the docs show from what the program does: the charts, and the outputs in the README.

usage: python docs/build.py            (tests/test_docs.py fails where docs/charts.md is out of date)
       python docs/build.py optuna     (the picture in docs/optuna.md)
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from regadvisor.conversion_table import RULES
from regadvisor.flowchart.chart import CLASSIC, EXTENDED
from regadvisor.flowchart.draw import to_ascii, to_mermaid

ROOT = Path(__file__).parent.parent


def charts_page() -> str:
    """Return docs/charts.md."""
    parts = ["# The charts", "Drawn from the tables in `regadvisor/flowchart/chart.py` by `docs/build.py`."]
    for chart in (CLASSIC, EXTENDED):
        parts += [f"## {chart.name.capitalize()}", f"```mermaid\n{to_mermaid(chart).rstrip()}\n```"]
        parts += [f"```text\n{to_ascii(chart).rstrip()}\n```"]
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
    """Return the README with its three outputs as they are now."""
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert example is not None
    outputs = iter([output("-c", example[1]), output("-m", "regadvisor", "demo")])
    page = re.sub(
        r"```text\n(?!  Q1  Can|regadvisorCHART).*?```",
        lambda _: f"```text\n{next(outputs)}\n```",
        page,
        flags=re.DOTALL,
    )
    chart = to_ascii(CLASSIC).rstrip()
    return re.sub(
        r"(draws it:\n\n)```text\n.*?```", lambda m: f"{m[1]}```text\n{chart}\n```", page, flags=re.DOTALL
    )


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


if __name__ == "__main__" and sys.argv[1:] == ["optuna"]:
    draw_study()
elif __name__ == "__main__":
    (ROOT / "docs/charts.md").write_text(charts_page(), encoding="utf-8")
    (ROOT / "docs/conversions.md").write_text(conversions_page(), encoding="utf-8")
    page = ROOT / "README.md"
    page.write_text(readme(page.read_text(encoding="utf-8")), encoding="utf-8")
