"""The comparison on a fresh collection: what is read, and what the table says of it."""

from __future__ import annotations

from pathlib import Path

import fresh


def test_files_are_read_with_the_target_last_and_without_rare_classes(tmp_path: Path) -> None:
    path = tmp_path / "made.dat"
    path.write_text("1, a, yes\n2, ?, no\n" * 5 + "3, b, rare\n4, b, <null>\n")
    X, y = fresh.read(path)
    assert (list(X.columns), len(X), sorted(set(y))) == (["x0", "x1"], 10, ["no", "yes"])
    assert X["x1"].isna().sum() == 5


def test_the_table_compares_means_over_splits() -> None:
    def line(name: str, split: int, advice: float) -> dict[str, object]:
        loss = {
            "advice": advice,
            "LogisticRegressionCV": 1.0,
            "LogisticRegression": 1.1,
            "without a penalty": 2.0,
        }
        return {"set": name, "split": split, "loss": loss, "s": dict.fromkeys(loss, 1.0) | {"advice": 2.0}}

    text = fresh.table([line("a", 0, 0.9), line("a", 1, 1.3), line("b", 0, 0.98)])
    assert "| advice | +4.0% | +4.0% | 50% | 50% | 2 |" in text
    assert "| LogisticRegression | +10.0% | +10.0% | 0% | 100% | 1 |" in text
    assert "worst on a +10.0%, b -2.0%" in text
