"""benchmarks/sizes.py and transfer.py: samples, lengths, vertices, powers, gains, whole runs that resume."""

from __future__ import annotations

import doctest
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sizes
import transfer
import transfer_costs
import transfer_fits
import transfer_gains
from regret.data import choose_sets, load
from scipy import stats

from regadvisor.full_size import laws
from regadvisor.full_size.laws import PowerLaw


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one small set of three classes, one of them too rare, and one of numbers."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, 3))
    frame = pd.DataFrame(X, columns=list("abc"))
    logit = X @ [1.0, -1.0, 0.0] + rng.logistic(size=700)
    classes = np.where(logit > 0, "yes", "no")
    classes[:5] = "rare"
    frame.assign(target=classes).to_parquet(root / "classes.parquet")
    frame.assign(target=X[:, 0] + rng.normal(size=700)).to_parquet(root / "numbers.parquet")
    entries = [("classes", "multiclass", "classes.parquet"), ("numbers", "regression", "numbers.parquet")]
    index = pd.DataFrame(entries, columns=["name", "task", "file"])
    index.assign(n=700, p=3, kind="tabular", n_targets=1).to_csv(root / "index.csv", index=False)
    return root


def study(folder: Path, name: str) -> sizes.Study:
    (entry,) = choose_sets(folder, name)
    return sizes.make_study(load(folder, entry, max_rows=1_000), most_rows=480)


@pytest.mark.parametrize("module", [sizes, transfer_costs, transfer_fits, transfer_gains])
def test_examples(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------- samples


@pytest.mark.parametrize("name", ["classes", "numbers"])
def test_samples_are_disjoint_parts_of_the_training_rows(folder: Path, name: str) -> None:
    made = study(folder, name)
    for ratio in (2, 4, 16):
        samples = made.samples(ratio)
        rows = np.concatenate(samples)
        assert len(samples) == sizes.SAMPLES[ratio]
        assert {len(sample) for sample in samples} == {made.n_full // ratio}
        assert len(np.unique(rows)) == len(rows)
        assert np.isin(rows, made.train).all()
    assert not np.isin(made.test, made.train).any()


def test_samples_have_the_shares_of_the_classes(folder: Path) -> None:
    made = study(folder, "classes")
    share = (made.data.y.iloc[made.train] == "yes").mean()
    for sample in made.samples(4):
        n_yes = (made.data.y.iloc[sample] == "yes").sum()
        assert abs(n_yes - share * len(sample)) <= 1


def test_a_class_too_rare_for_small_samples_is_left_out(folder: Path) -> None:
    made = study(folder, "classes")
    assert set(made.data.y.iloc[np.concatenate([made.train, made.test])]) == {"yes", "no"}
    assert made.fits(4)
    assert not made.fits(16)  # 30 rows


def test_lengths_follow_their_rules() -> None:
    found = sizes.lengths(1_024, n_full=4_096)
    full = sizes.full_recipe(4_096).epochs
    assert full is not None
    assert found["epochs"] == full
    assert found["steps"] == 4 * full
    assert found["geometric"] == 2 * full


# ------------------------------------------------------------------------------------ strength


def test_the_vertex_of_a_parabola_is_found_between_points() -> None:
    logs = np.array([-1.0, 0.5, 1.0, 3.0])
    losses = np.exp(0.3 * (logs - 0.8) ** 2 + 0.1)
    assert transfer_fits.best_at(logs, losses) == pytest.approx(0.8)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_minimum_on_the_edge_stays_there(sign: float) -> None:
    logs = np.array([0.0, 1.0, 2.0])
    assert transfer_fits.best_at(logs, np.exp(sign * logs)) == (2.0 if sign < 0 else 0.0)


def simulated_run(ratio: int, *, power: float, shift: float) -> transfer_fits.Run:
    """Return a run whose l2 curve is a parabola around a best unit strength that falls as rows^-power."""
    rows = 4_096 // ratio
    logs = np.linspace(-6.0, 6.0, 9)
    centre = power * np.log(ratio) - 1.5 + shift
    losses = np.exp(0.05 * (logs - centre) ** 2)
    configs = (("none", ()), *(("l2", (float(np.exp(log)),)) for log in logs))
    return transfer_fits.Run(
        ratio=ratio,
        rows=rows,
        rules=frozenset({"planned"}),
        configs=configs,  # type: ignore[arg-type]
        losses=np.concatenate([[2.0], losses]),
        constant=3.0,
        n_features=4,
    )


def test_the_power_of_a_set_is_recovered() -> None:
    rng = np.random.default_rng(0)
    shifts = {ratio: rng.normal(0.0, 0.2, sizes.SAMPLES[ratio]) for ratio in sizes.SAMPLES}
    runs = [
        simulated_run(ratio, power=0.6, shift=shift) for ratio in sizes.SAMPLES for shift in shifts[ratio]
    ]
    found = transfer_fits.set_power(runs, "l2", "network")
    assert abs(found.power - 0.6) < 2 * found.error < 0.5
    linear = transfer_fits.set_power(runs, "l2", "linear")
    assert linear.power == pytest.approx(found.power + 1.0)


def test_weighted_slopes_are_those_of_least_squares() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=9), rng.normal(size=9)
    expected = stats.linregress(x, y)
    power, error = transfer_fits.power_of(x, y, np.full(9, 1e-3))
    assert power == pytest.approx(-expected.slope)
    assert error == pytest.approx(expected.stderr)


def test_rescaling_by_the_true_power_leaves_nothing_on_the_table() -> None:
    power = 3.0 / np.log(16)  # two steps of the grid
    small, full = (simulated_run(ratio, power=power, shift=0.0) for ratio in (16, 1))
    assert transfer_fits.rescaled_excess(small, full, {"l2": power}) == pytest.approx(0.0, abs=1e-9)
    not_moved = transfer_fits.rescaled_excess(small, full, {"l2": 0.0})
    assert not_moved == pytest.approx(100 * np.expm1(0.05 * 3.0**2))


def test_the_law_of_the_power_is_a_line_in_the_log_of_the_features() -> None:
    sets = {
        str(features): [replace(simulated_run(1, power=0.0, shift=0.0), n_features=features)]
        for features in (4, 10, 40, 90)
    }
    powers = {
        name: transfer_fits.SetPower(power=1.5 - 0.4 * np.log(int(name)), error=0.1, at_edge=0.0)
        for name in sets
    }
    law = transfer_fits.law_of(sets, powers)
    assert (law.intercept, law.slope) == pytest.approx((1.5, -0.4), abs=1e-9)
    by_law, by_mean = transfer_fits.law_error(sets, powers)
    assert by_law == pytest.approx(0.0, abs=1e-9)
    assert by_mean > 0.4


def test_all_runs_of_a_set_keep_the_points_that_all_of_them_have() -> None:
    full, small = (simulated_run(ratio, power=0.5, shift=0.0) for ratio in (1, 4))
    more = replace(small, configs=(("l1", (1.0,)), *small.configs), losses=np.append(9.0, small.losses))
    kept = transfer_fits.with_common_points([full, more])
    assert [run.configs for run in kept] == [full.configs, small.configs]
    np.testing.assert_array_equal(kept[1].losses, small.losses)


def test_a_kind_that_is_carried_badly_is_passed_over_for_a_cost() -> None:
    """L2 is a little better than L1 on the sample, and far off once it is rescaled by the wrong power."""
    rng = np.random.default_rng(5)

    def made(ratio: int, wrong: float) -> transfer_fits.Run:
        run = simulated_run(ratio, power=wrong, shift=0.0)
        return replace(run, configs=(*run.configs, ("l1", (1.0,))), losses=np.append(run.losses, 1.02))

    sets = {}
    for number in range(4):
        wrong = 0.5 + rng.uniform(0.3, 0.6)  # the law below is the mean over sets, these are far from 0
        sets[str(number)] = [made(1, wrong), *(made(ratio, wrong) for ratio in (4, 16))]
    law = {"l2": PowerLaw(intercept=0.0, slope=0.0), "l1": PowerLaw(intercept=0.0, slope=0.0)}
    for runs in sets.values():
        free = transfer_costs.excess_of(runs, 16, law, {})
        paid = transfer_costs.excess_of(runs, 16, law, {"l2": 0.01})
        assert free > 10.0
        assert paid == pytest.approx(2.0, abs=0.2)
        assert np.isnan(transfer_costs.excess_of(runs, 64, law, {}))


def test_dropout_that_loses_its_gain_with_the_rows_costs_more_than_l2() -> None:
    """Dropout beats L2 by 2% on the samples and loses by 10% at N; L2 itself is rescaled as it should be."""

    def made(ratio: int, n_features: int) -> transfer_fits.Run:
        run = simulated_run(ratio, power=0.5, shift=0.0)
        strengths = [values for kind, values in run.configs if kind == "l2"]
        others = [("l1", values) for values in strengths]
        others += [("elasticnet", (values[0], values[0])) for values in strengths]
        dropout = run.losses.min() * (0.98 if ratio > 2 else 1.1)
        worse = 1.5 * run.losses[-len(strengths) :]
        return replace(
            run,
            n_features=n_features,
            configs=(*run.configs, *others, ("dropout", (0.1,))),  # type: ignore[arg-type]
            losses=np.concatenate([run.losses, worse, worse, [dropout]]),
        )

    ratios = (1, *transfer_costs.RATIOS)
    sets = {str(number): [made(ratio, number) for ratio in ratios] for number in (10, 20, 40, 80)}
    found = transfer_costs.CostStudy(sets)
    costs = transfer_costs.costs_of(found.best())
    assert "dropout" in costs
    assert "l2" not in costs
    assert costs["dropout"] * np.log(4) ** 2 >= 0.02
    assert found.tried[(0.0,) * len(transfer_costs.GROUPS)][:, 1:].min() > 9.9  # dropout is chosen
    assert found.left_out().max() < 6.0  # L2 is, off by at most half a step of its grid


def test_random_effects_agree_with_a_plain_loop_and_recover_the_spread() -> None:
    rng = np.random.default_rng(2)
    errors = rng.uniform(0.05, 0.2, 400)
    values = rng.normal(0.7, 0.3, 400) + rng.normal(0.0, errors)
    found = transfer_fits.random_effects(values, errors)
    assert abs(found.mean - 0.7) < 3 * found.error
    assert found.sd == pytest.approx(0.3, abs=0.04)
    weight = [1 / (error**2 + found.sd**2) for error in errors]
    plain = sum(w * v for w, v in zip(weight, values, strict=True)) / sum(weight)
    assert found.mean == pytest.approx(plain)


# ---------------------------------------------------------------------------------------- gain


def simulated_gains(rng: np.random.Generator, power: float, drift: float) -> transfer_gains.Gains:
    """Return a set whose gain falls as rows^-power, with scatter and errors."""
    log_ratio = np.log([2.0, 4.0, 16.0, 64.0])
    full, error = rng.uniform(0.005, 0.03), 0.003
    walk = np.cumsum(rng.normal(0.0, drift * np.sqrt(np.diff(log_ratio, prepend=0.0))))
    return transfer_gains.Gains(
        log_ratio=log_ratio,
        gain=(full + walk) * np.exp(power * log_ratio) + rng.normal(0.0, error, 4),
        error=np.full(4, error),
        full=full + rng.normal(0.0, error),
        full_error=error,
    )


def test_the_power_of_gains_is_recovered() -> None:
    rng = np.random.default_rng(3)
    sets = [simulated_gains(rng, rng.normal(0.8, 0.3), 0.002) for _ in range(25)]
    law = transfer_gains.fit_gain_law(
        sets, transfer_gains.GainLaw(power=0.3, power_sd=0.5, gain_scatter=0.01)
    )
    assert law.power == pytest.approx(0.8, abs=0.2)
    assert law.power_sd == pytest.approx(0.3, abs=0.2)
    assert law.gain_scatter < 0.006


def test_intervals_for_the_full_size_cover() -> None:
    rng = np.random.default_rng(4)
    law = transfer_gains.GainLaw(power=0.8, power_sd=0.3, gain_scatter=0.004)
    inside = []
    for _ in range(150):
        gains = simulated_gains(rng, rng.normal(0.8, 0.3), 0.004)
        low, high = law.predicted(gains, 1, (0.05, 0.95), law.weights())
        inside.append(low <= gains.full <= high)
    assert stats.binomtest(sum(inside), len(inside), 0.9).pvalue > 0.001


def test_own_sizes_narrow_the_power_down() -> None:
    rng = np.random.default_rng(5)
    law = transfer_gains.GainLaw(power=1.0, power_sd=1.0, gain_scatter=0.002)
    below = simulated_gains(rng, 0.3, 0.0).below(0)
    assert below is not None
    weights = law.weights(below)
    mean = float(weights @ transfer_gains.POWERS)
    spread = float(np.sqrt(weights @ (transfer_gains.POWERS - mean) ** 2))
    assert mean == pytest.approx(0.3, abs=0.15)
    assert spread < 0.3
    assert np.allclose(law.weights(below, share=0.0), law.weights())


def test_the_share_with_the_best_intervals_is_chosen() -> None:
    def one(share: float, score: float, *, has_smaller: bool) -> transfer_gains.Foretold:
        return transfer_gains.Foretold(
            ratio=4, share=share, inside=True, error=0.0, stays=0.0, score=score, has_smaller=has_smaller
        )

    scores = dict(zip(transfer_gains.SHARES, (3.0, 2.0, 1.0, 2.0, 3.0, 4.0), strict=True))
    found = [one(share, score, has_smaller=True) for share, score in scores.items()]
    alone = one(0.0, -9.0, has_smaller=False)
    assert transfer_gains.best_share([*found, alone]) == transfer_gains.SHARES[2]


# --------------------------------------------------------------------------------------- whole runs


def run(folder: Path, out: Path, family: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    words = ["sizes.py", "--data", str(folder), "--out", str(out), "--family", family]
    monkeypatch.setattr(sys, "argv", [*words, "--sets", "classes,numbers", "--most-rows", "480"])
    sizes.main()
    return sizes.stored(out / f"sizes-{family}.jsonl")


def test_a_killed_run_goes_on_where_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = run(folder, tmp_path, "linear", monkeypatch)
    assert len(lines) == 12  # two sets of 1 + 2 + 3 samples
    path = tmp_path / "sizes-linear.jsonl"
    whole = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(whole[:7]) + whole[7][:40], "utf-8")
    again = run(folder, tmp_path, "linear", monkeypatch)
    assert [line | {"cpu_s": 0} for line in again] == [line | {"cpu_s": 0} for line in lines]
    assert path.read_text("utf-8").splitlines(keepends=True)[:7] == whole[:7]


def test_losses_do_not_depend_on_the_rows_of_the_sample_beside_the_fit(folder: Path) -> None:
    made = study(folder, "numbers")
    lines = [sizes.trained(made, rows, [("none", ())], None, 1) for rows in (made.train, made.samples(4)[0])]
    y = made.data.y
    for line, rows in zip(lines, (made.train, made.samples(4)[0]), strict=True):
        squared = ((y.iloc[made.test] - y.iloc[rows].mean()) ** 2).mean()
        assert line["constant"] == pytest.approx(squared / np.var(y.iloc[made.test]), rel=1e-5)


def test_networks_are_trained_for_the_lengths_of_the_rules(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "STEPS", 16)
    monkeypatch.setattr(sizes, "FEWEST_EPOCHS", 2)
    monkeypatch.setattr(sizes, "POINTS", {"none": ((),), "l2": ((1.0,),)})
    made = study(folder, "classes")
    path = tmp_path / "sizes-mlp.jsonl"
    assert sizes.measure(made, "mlp", path) > 0
    lines = sizes.stored(path)
    for line in lines:
        expected = sizes.lengths(line["rows"], n_full=made.n_full)
        assert {expected[rule] for rule in line["rules"]} == {line["epochs"]}
    assert sizes.measure(made, "mlp", path) == 0


def test_the_fits_are_written_between_the_markers(tmp_path: Path) -> None:
    source = Path(str(laws.__file__)).read_text("utf-8")
    found = laws.TransferPrior(
        model="linear",
        gain_power=(1.5, 0.5),
        gain_scatter=0.01,
        rescaling_costs={"l2": 0.01, "elasticnet": 0.02},
        n_sets=9,
    )
    text = transfer.rewritten(source, [found], "Fitted on nothing.")
    space: dict[str, object] = {"__name__": "regadvisor.full_size.laws"}
    exec(compile(text, "laws.py", "exec", dont_inherit=True), space)
    (written,) = space["TRANSFER"]  # type: ignore[misc]
    assert repr(written) == repr(found)
    assert text.split(transfer.END)[1] == source.split(transfer.END)[1]
