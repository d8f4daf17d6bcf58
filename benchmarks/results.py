"""Where tables of results go: between the markers of their section in RESULTS.md."""

from __future__ import annotations

from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def write(section: str, text: str) -> None:
    """Put `text` between the markers of `section` in RESULTS.md, at its end where there are none."""
    begin, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    page = RESULTS.read_text(encoding="utf-8")
    if begin not in page:
        page += f"\n{begin}\n{end}\n"
    before, rest = page.split(begin)
    RESULTS.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")
