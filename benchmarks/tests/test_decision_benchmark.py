"""benchmarks/decision.py on references made by hand: what every policy chooses, and the paired table."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import decision
import numpy as np
import pytest
from regret import figures, grids, policies, references
from regret.cache import save_arrays
from scipy import stats
from test_regret_benchmark import CHARTED, hand_made

from regadvisor.compare.paired import spread
from regadvisor.thresholds import OVERRULED_FROM

UNLESS_LOWER = "chart, unless another's lowest is {:.1%} lower"
#: The comparisons tie, so the chart ends at L2; the best L1 is 0.3% lower.
TIED = (2.0, 1.003, 1.0, 1.002)


def made(losses: tuple[float, ...], *, family: str = "mlp", name: str = "made", split: int = 0, n: int = 40):
    """Return a reference whose points have the same losses in cross-validation and on the test rows."""
    reference = hand_made(list(losses), list(losses), CHARTED)
    meta = {**reference.meta, "set": name, "family": family, "split": split, "n_train": n}
    return replace(reference, meta=meta)


def keep(reference: references.Reference, out: Path) -> None:
    """Write a reference where the benchmark looks for it."""
    meta = {
        **reference.meta,
        "configs": [{f.name: getattr(c, f.name) for f in fields(c)} for c in reference.configs],
    }
    names = ("cv_losses", "constant", "fold", "test_losses", "test_constant")
    path = out / "references" / f"{meta['set']}-{meta['family']}-{meta['split']}-0.npz"
    save_arrays(path, meta, {name: getattr(reference, name) for name in names})


def chosen_kinds(reference: references.Reference) -> dict[str, str]:
    return {name: reference.configs[k].kind for name, k in decision.choices(reference).items()}


def test_policies_part_where_the_comparisons_tie() -> None:
    found = chosen_kinds(made(TIED))
    assert found[policies.CHART] == "l2", "a tie keeps the simpler"
    assert found[policies.WITHOUT_LOWEST] == "l2"
    for name in (decision.LOWEST, decision.HONEST, decision.EXPECTED):
        assert found[name] == "l1"
    edges = {edge: found[UNLESS_LOWER.format(edge)] for edge in decision.EDGES}
    assert edges == {0.001: "l1", 0.005: "l2", 0.01: "l2"}
    assert found["chart, unless another is better with mass 0.9"] == "l1"  # by little, but surely


@pytest.mark.parametrize("losses", [(2.0, 1.03, 1.0, 1.04), (1.0, 1.5, 1.4, 1.3)])
def test_the_library_s_edge_is_the_chart_as_it_is(
    losses: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision, "EDGES", (OVERRULED_FROM,))
    found = decision.choices(made(losses))
    assert found[UNLESS_LOWER.format(OVERRULED_FROM)] == found[policies.CHART]


def test_nothing_overrules_that_there_is_no_signal() -> None:
    found = chosen_kinds(made((5.6, 5.9, 5.8, 6.0)))
    assert found.pop(decision.LOWEST) == "none"
    assert found.pop(decision.HONEST) == found.pop(decision.EXPECTED) == "none"
    assert found.pop(decision.CLASSIC) == "l2"  # knows no constant, and L2 has a lower loss than L1+L2
    assert set(found.values()) == {"l1"}  # the penalised point nearest to the constant


def test_mass_is_that_of_a_student_t() -> None:
    honest = policies.honest_of(made((2.0, 1.0, 1.0001, 1.5)))
    measured = spread(honest.of("l2") - honest.of("l1"), honest.panel)
    expected = stats.t.cdf(0.0, measured.df, loc=measured.mean, scale=np.sqrt(measured.variance))
    assert decision.mass_below(honest, "l2", "l1") == pytest.approx(expected)
    assert decision.mass_below(honest, "l1", "l2") == pytest.approx(1 - expected)


def test_few_points_are_the_named_ones_or_every_third() -> None:
    points = [grids.Config(kind="l2", values=(v,)) for v in (0.03, 1.0, 2.0, 4.0)]
    points = [grids.Config(kind="none", values=()), *points, grids.Config(kind="l1", values=(0.7,))]
    rows = np.arange(6, dtype=np.float32)[:, None]
    wide = replace(
        made(TIED), configs=tuple(points), cv_losses=rows, test_losses=rows[:, None], small_cv=np.arange(6.0)
    )
    kept = decision.few(wide)
    assert [config.values for config in kept.configs] == [(), (1.0,), (4.0,), (0.7,)]  # L1 has no named one
    np.testing.assert_array_equal(kept.cv_losses[:, 0], [0, 2, 4, 5])
    assert kept.small_cv is not None
    np.testing.assert_array_equal(kept.small_cv, [0, 2, 4, 5])
    linear = decision.few(replace(wide, meta={**wide.meta, "family": "linear"}))
    assert [config.values for config in linear.configs] == [(), (2.0,)]


def test_regret_is_against_the_best_of_all_points() -> None:
    found = decision.regrets(made(TIED, family="linear"))
    assert found["all"][decision.LOWEST] == pytest.approx(0.0, abs=1e-5)
    assert found["all"][policies.WITHOUT_LOWEST] == pytest.approx(0.3, abs=1e-4)


def test_few_points_are_judged_by_the_oracle_over_all() -> None:
    reference = made((2.0, 1.0, 1.5, 1.4))
    configs = (*reference.configs, grids.Config(kind="l2", values=(0.5,)))  # not among the few
    better = np.float32(0.8)
    reference = replace(
        reference,
        configs=configs,
        cv_losses=np.concatenate([reference.cv_losses, better * reference.cv_losses[1:2]]),
        test_losses=np.concatenate([reference.test_losses, better * reference.test_losses[1:2]]),
    )
    found = decision.regrets(reference)
    assert found["all"][decision.LOWEST] == pytest.approx(0.0, abs=1e-4)
    assert found["few"][decision.LOWEST] == pytest.approx(25.0, abs=1e-4)


def test_differences_in_the_table_are_paired_over_sets() -> None:
    rng = np.random.default_rng(0)
    base, difference = rng.normal(size=12), rng.normal(size=12)
    difference[:5] = 0.0
    cases = [
        decision.Case(
            set=str(k),
            n_train=1_000 if k < 7 else 3_000,
            regrets={"all": {policies.CHART: base[k], "other": base[k] + difference[k]}},
        )
        for k in range(12)
    ]
    _, _, chart, other = decision.table(cases, "all").splitlines()
    assert chart.count("–") == 5
    cells = [cell.strip() for cell in other.strip("|").split("|")]
    assert len(cells) == len(decision.HEAD)
    assert cells[1] == figures.interval(base + difference, figures.winsorised).text()
    exact = base + difference - base
    means = [f"{part.mean():+.2f}" for part in (exact, exact[:7], exact[7:])]
    assert [cell.split()[0] for cell in cells[5:8]] == means
    assert cells[8] == f"{(exact < 0).sum()} / {(exact > 0).sum()}"


def test_command_averages_splits_and_writes_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(made(TIED, name="twice"), tmp_path)
    keep(made((2.0, 1.004, 1.0, 1.003), name="twice", split=1), tmp_path)
    keep(made((2.0, 1.0, 1.5, 1.9), name="large", n=3_000), tmp_path)
    keep(replace(made(TIED, name="untested"), fold=np.full(40, -1)), tmp_path)
    page = tmp_path / "RESULTS.md"
    page.write_text("before\n<!-- decision -->\nold\n<!-- /decision -->\nafter\n", encoding="utf-8")
    # Through the function: other tests import a module of that name anew, and then the real
    # page was overwritten.
    monkeypatch.setitem(decision.write.__globals__, "RESULTS", page)
    cases = {case.set: case for case in decision.study(tmp_path, "mlp")}
    assert set(cases) == {"twice", "large"}
    assert cases["twice"].regrets["all"][policies.WITHOUT_LOWEST] == pytest.approx(0.35, abs=1e-3)
    decision.main([str(tmp_path), "--write"])
    assert "Networks, few points: 2 sets, 1 below 2,000" in capsys.readouterr().out
    written = page.read_text(encoding="utf-8")
    assert written.startswith("before\n<!-- decision -->\nNetworks, all points")
    assert written.endswith("<!-- /decision -->\nafter\n")
    assert "old" not in written
    with pytest.raises(SystemExit, match="No references"):
        decision.main([str(tmp_path), "--sets", "other"])
