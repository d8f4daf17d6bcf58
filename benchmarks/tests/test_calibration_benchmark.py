"""benchmarks/calibration.py: fits the map from support to probability, tried on data sets left out."""

from __future__ import annotations

import ast
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from regadvisor.compare import calibration as support_maps
from regadvisor.compare.calibration import SupportMap

IDENTITY = SupportMap(claim="kind", model="linear", intercept=0.0, slope=1.0)


@pytest.fixture(scope="module")
def script():
    """Return benchmarks/calibration.py as a module."""
    import calibration

    return calibration


# --------------------------------------------------------------------------------------- simulated claims


def simulated(script, *, n_sets, intercept, slope, splits=1, seed=0, difference=0.0):
    """Return claims on sets of both models, right with the probability of a known line."""
    rng = np.random.default_rng(seed)
    support = rng.uniform(0.2, 0.99, size=2 * n_sets * splits)
    is_network = np.repeat([False, True], n_sets * splits)
    odds = intercept + difference * (is_network - 0.5) + slope * logit(support)
    return script.Cases(
        support=support,
        right=(rng.random(len(support)) < expit(odds)).astype(float),
        is_network=is_network,
        set=np.tile(np.repeat([f"set {k}" for k in range(n_sets)], splits), 2),
    )


def test_known_parameters_are_recovered(script):
    cases = simulated(script, n_sets=1500, intercept=-0.8, slope=0.7, difference=1.0)
    (found,) = script.fit(cases, script.SLOPE, cases.weight[None])
    columns = script.design(cases, script.SLOPE)[0]
    p = expit(columns @ [-0.8, 1.0, 0.7])
    errors = np.sqrt(np.diag(np.linalg.inv((columns.T * (p * (1 - p))) @ columns)))
    assert (np.abs(found - [-0.8, 1.0, 0.7]) < 3 * errors).all()


def test_the_fit_is_that_of_a_general_optimiser_with_a_bound(script):
    mean, sd = np.array([0.0, 0.0, 1.0]), np.array([2.0, 1.0, 0.5])
    for seed, slope in ((0, 1.0), (1, -2.0)):  # the second wants a slope below 0
        cases = simulated(script, n_sets=30, intercept=0.2, slope=slope, splits=3, seed=seed)
        columns = script.design(cases, script.SLOPE)[0]

        def loss(at, cases=cases, columns=columns):
            odds = columns @ at
            surprise = np.logaddexp(0, odds) - cases.right * odds
            return cases.weight @ surprise + 0.5 * (((at - mean) / sd) ** 2).sum()

        bounds = [(None, None), (None, None), (0, None)]
        expected = minimize(loss, mean, bounds=bounds, method="L-BFGS-B", tol=1e-14)
        (found,) = script.fit(cases, script.SLOPE, cases.weight[None])
        assert found == pytest.approx(expected.x, abs=1e-4)
        assert (found[2] == 0) == (slope < 0)


def test_without_priors_the_fit_is_scikit_learns(script):
    cases = simulated(script, n_sets=60, intercept=0.5, slope=1.0)
    X = logit(cases.support)[:, None]
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(X, cases.right)
    (found,) = script.fit_logistic(
        np.column_stack([np.ones(len(X)), X]),
        cases.right,
        np.ones((1, len(X))),
        mean=np.zeros(2),
        sd=np.full(2, 1e6),
    )
    assert found == pytest.approx([reference.intercept_[0], reference.coef_[0, 0]], abs=1e-4)


def test_many_fits_together_are_the_same_as_one_by_one(script):
    cases = simulated(script, n_sets=12, intercept=0.0, slope=0.5, splits=2)
    weights = script.redrawn_weights(cases)[:20]
    together = script.fit(cases, script.SLOPE, weights)
    for row, found in zip(weights, together, strict=True):
        assert script.fit(cases, script.SLOPE, row[None])[0] == pytest.approx(found, abs=1e-7)


def test_a_set_is_worth_one_case_per_model(script):
    cases = script.Cases(
        support=np.full(6, 0.5),
        right=np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
        is_network=np.array([False, False, False, False, True, True]),
        set=np.array(["a", "a", "a", "b", "a", "a"]),
    )
    assert cases.weight == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1, 1 / 2, 1 / 2])
    assert cases.rarer() == pytest.approx(2 / 3)


# ------------------------------------------------------------------------------------------- leaving out


@pytest.mark.parametrize("name", ["left_out FLAT", "left_out SLOPE", "tried_out", "base_rate"])
def test_what_is_said_about_a_set_does_not_depend_on_its_own_outcomes(script, name):
    """The claims of one set, of all splits and both models, are turned round: only other sets may notice."""
    method, *form = name.split()
    said = [getattr(script, each) for each in (method, *form)]
    cases = simulated(script, n_sets=12, intercept=0.0, slope=1.0, splits=2)
    before = said[0](cases, *said[1:])
    for own in (cases.set == chosen for chosen in np.unique(cases.set)[:4]):
        turned = replace(cases, right=np.where(own, 1 - cases.right, cases.right))
        after = said[0](turned, *said[1:])
        # Newton's last step is below 1e-9; a leak moves a probability by 1e-2 and more.
        assert after[own] == pytest.approx(before[own], abs=1e-9)
        # At least where the turned claims do not cancel out, the other sets' maps have learned of it.
        balanced = np.isclose(cases.right[own].mean(), 0.5)
        assert balanced or not np.allclose(after[~own], before[~own], atol=1e-6)


def test_the_form_is_chosen_without_the_set_that_it_is_tried_on(script, monkeypatch):
    cases = simulated(script, n_sets=5, intercept=0.0, slope=1.0, splits=2)
    seen = []

    def always_the_line(others):
        seen.append(sorted(set(others.set.tolist())))
        return script.SLOPE

    monkeypatch.setattr(script, "best_form", always_the_line)
    found = script.tried_out(cases)
    names = np.unique(cases.set).tolist()
    assert seen == [[name for name in names if name != out] for out in names]
    assert found == pytest.approx(np.minimum(script.left_out(cases, script.SLOPE), 0.99), abs=1e-9)


def test_left_out_is_a_plain_loop_over_sets(script):
    cases = simulated(script, n_sets=10, intercept=0.3, slope=0.8, splits=2)
    found = script.left_out(cases, script.SLOPE)
    rates = script.base_rate(cases)
    for name in np.unique(cases.set):
        out = cases.set == name
        others = cases.of(~out)
        ((intercept, difference, slope),) = script.fit(others, script.SLOPE, others.weight[None])
        odds = intercept + difference * (cases.is_network[out] - 0.5) + slope * logit(cases.support[out])
        assert found[out] == pytest.approx(expit(odds), abs=1e-7)
        assert rates[out] == pytest.approx(np.average(others.right, weights=others.weight))


# ------------------------------------------------------------------------------------------- the figures


def plain_error(p, right, weights, n_bins):
    """Return the calibration error by a loop over cases in order of their probability."""
    total, passed = sum(weights), 0.0
    gaps = [0.0] * n_bins
    for at in sorted(range(len(p)), key=lambda case: p[case]):
        middle = passed + weights[at] / 2
        number = next(k for k in range(n_bins) if middle < total * (k + 1) / n_bins or k == n_bins - 1)
        gaps[number] += weights[at] * (right[at] - p[at])
        passed += weights[at]
    return sum(abs(gap) for gap in gaps) / total


def test_the_calibration_error_is_that_of_a_plain_loop(script):
    rng = np.random.default_rng(3)
    for weights in (np.ones(37), rng.choice([0.2, 0.5, 1.0], size=37)):
        p = rng.random(37)
        right = (rng.random((4, 37)) < p).astype(float)
        expected = [plain_error(p, each, weights, script.N_BINS) for each in right]
        assert script.calibration_error(p, right, weights) == pytest.approx(expected, abs=1e-12)


def test_the_range_of_a_perfect_forecaster_is_that_of_a_plain_loop(script):
    rng = np.random.default_rng(5)
    p = rng.random(40)
    found = script.perfect_errors(p, np.ones(40))
    errors = []
    for _ in range(2000):
        right = [float(rng.random() < each) for each in p]
        errors.append(plain_error(p, right, [1.0] * 40, script.N_BINS))
    # 2.5% points of 2,000 draws: three standard errors in ranks are 2.5% ± 1.05%, on either side.
    for share in (0.025, 0.975):
        low, high = np.quantile(errors, [share - 0.015, share + 0.015])
        assert low < np.quantile(found, share) < high


def test_brier_is_scikit_learns(script):
    cases = simulated(script, n_sets=20, intercept=0.0, slope=1.0, splits=3)
    p = np.random.default_rng(0).random(len(cases.right))
    expected = brier_score_loss(cases.right, p, sample_weight=cases.weight)
    assert script.brier(p, cases.right, cases.weight) == pytest.approx(expected, abs=1e-12)


def test_the_calibration_line_finds_overconfidence(script):
    """Log-odds twice too far from 0 have a calibration slope of 1/2; draws with one outcome say nothing."""
    cases = simulated(script, n_sets=1500, intercept=0.0, slope=1.0)
    twice = expit(2 * logit(cases.support))
    weights = np.stack([cases.weight, cases.weight * cases.right])
    ((intercept, slope),) = script.calibration_line(twice, cases.right, weights)
    assert intercept == pytest.approx(0.0, abs=0.15)
    assert slope == pytest.approx(0.5, abs=0.06)


# ------------------------------------------------------------------------------------------ the verdicts


def test_informative_support_is_trusted_and_the_map_is_monotone(script):
    cases = simulated(script, n_sets=60, intercept=-1.0, slope=1.2)
    for model in script.MODELS:
        tried = script.tried_map(cases, "kind", model)
        assert tried.fault is None
        assert (tried.map.model, tried.fitted_on, tried.n_sets) == (model, model, 60)
        assert tried.map.slope > 0
        assert tried.line.endswith("| yes |")


def test_support_that_says_nothing_is_not_trusted(script):
    trusted = []
    for seed in range(10):
        cases = simulated(script, n_sets=20, intercept=0.5, slope=0.0, seed=seed)
        trusted += [script.tried_map(cases, "kind", model).fault is None for model in script.MODELS]
    # 4 of 240 such maps were trusted in simulations; of 20, more than 4 are past chance even at one in ten.
    assert sum(trusted) <= 4


def test_support_that_is_often_wrong_where_it_is_high_gets_the_base_rate(script):
    cases = simulated(script, n_sets=60, intercept=0.5, slope=-1.0)
    tried = script.tried_map(cases, "kind", "network")
    assert tried.map.slope == 0
    assert tried.fault == "a slope does not pay"
    assert tried.line.endswith("| – | – | – | no: a slope does not pay |")
    assert expit(tried.map.intercept) == pytest.approx(cases.right[cases.is_network].mean(), abs=0.02)


def test_few_claims_share_a_fit_and_too_few_wrong_ones_are_never_trusted(script):
    cases = simulated(script, n_sets=40, intercept=0.0, slope=1.0)
    right = np.where(cases.is_network, cases.right, 1.0)
    right[:3] = 0.0  # linear: 3 wrong of 40
    shared = script.tried_map(replace(cases, right=right), "regularize", "linear")
    alone = script.tried_map(replace(cases, right=right), "regularize", "network")
    assert (shared.fitted_on, alone.fitted_on) == ("both", "network")
    assert shared.line.endswith("no: fewer than 5 right or wrong |")


# -------------------------------------------------------------------------------------- files and command


def written(folder, cases, *, version="a"):
    """Write claims files as the regret benchmark does, the supports under every claim."""
    lines = {"linear": [], "mlp": []}
    for support, right, is_network, name in zip(
        cases.support, cases.right, cases.is_network, cases.set, strict=True
    ):
        family = "mlp" if is_network else "linear"
        claim = {"set": str(name), "family": family, "policy": "advise (default)", "version": version}
        claim |= {"status": "advice", "support": dict.fromkeys(("regularize", "kind"), float(support))}
        claim |= {"right": {"regularize": bool(right), "kind": bool(right), "strength": None}}
        lines[family].append(json.dumps(claim))
    for family, found in lines.items():
        with (folder / f"claims-{family}.jsonl").open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in found))


def test_claims_are_read_by_version_and_without_those_that_were_not_judged(script, tmp_path):
    cases = simulated(script, n_sets=4, intercept=0.0, slope=1.0)
    written(tmp_path, cases, version="a")
    written(tmp_path, cases, version="b")
    with pytest.raises(SystemExit, match=r"--version must name one or more of \['a', 'b'\]"):
        script.read_claims(tmp_path, [], None)
    with pytest.raises(SystemExit, match="no claims of --version 'c'"):
        script.read_claims(tmp_path, [], "c")
    claims = script.read_claims(tmp_path, [], "b")
    assert len(claims) == 8
    assert len(script.read_claims(tmp_path, ["mlp"], "b")) == 4
    assert len(script.read_claims(tmp_path, [], "a,b")) == 16
    claims[0]["status"] = "no_signal"
    claims[1]["support"]["kind"] = None
    assert script.cases_of(claims, "kind").support == pytest.approx(cases.support[2:])
    assert len(script.cases_of(claims, "strength").support) == 0


def test_the_command_prints_a_table_and_writes_nothing_unasked(script, tmp_path, monkeypatch, capsys):
    written(tmp_path, simulated(script, n_sets=15, intercept=0.0, slope=1.0))
    before = Path(support_maps.__file__).read_bytes()
    monkeypatch.setattr(sys, "argv", ["calibration.py", str(tmp_path), "--version", "a"])
    script.main()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == (
        "30 runs of advise (default) on 15 data sets (linear, mlp; code a), 0 without a signal and left out."
    )
    assert [line.split(" | ")[:2] for line in printed[4:]] == [
        [f"| {claim}", model] for claim in ("regularize", "kind") for model in script.MODELS
    ]
    assert len({line.count("|") for line in printed[2:]}) == 1
    assert Path(support_maps.__file__).read_bytes() == before


def test_rewritten_parameters_stand_between_the_markers_and_read_back(script):
    source = Path(support_maps.__file__).read_text("utf-8")
    maps = [replace(IDENTITY, slope=0.25), replace(IDENTITY, model="network")]
    text = script.rewritten(source, maps, "Fitted on " + "words " * 40)
    outside = [each.split(script.BEGIN)[0] + each.split(script.END)[1] for each in (source, text)]
    assert outside[0] == outside[1]
    assert max(map(len, text.splitlines())) <= 110
    assert script.rewritten(text, maps, "Fitted on " + "words " * 40) == text
    found: dict[str, object] = {"__name__": support_maps.__name__}  # where dataclasses look names up
    exec(compile(ast.parse(text), "calibration.py", "exec"), found)
    assert repr(found["SUPPORT_MAPS"]) == repr(tuple(maps))


def test_the_written_table_and_parameters_come_from_one_run(script, tmp_path, monkeypatch, capsys):
    import results

    copy, page = tmp_path / "calibration.py", tmp_path / "RESULTS.md"
    copy.write_text(Path(support_maps.__file__).read_text("utf-8"), "utf-8")
    page.write_text("before\n<!-- calibration -->\n<!-- /calibration -->\nafter\n", "utf-8")
    monkeypatch.setattr(support_maps, "__file__", str(copy))
    monkeypatch.setattr(results, "RESULTS", page)
    written(tmp_path, simulated(script, n_sets=15, intercept=0.0, slope=1.0))
    monkeypatch.setattr(sys, "argv", ["calibration.py", str(tmp_path), "--write"])
    script.main()
    assert capsys.readouterr().out.strip() in page.read_text("utf-8")
    lines = [line for line in page.read_text("utf-8").splitlines() if line.startswith(("| regul", "| kind"))]
    trusted = [line for line in lines if line.endswith("| yes |")]
    assert 0 < len(trusted) < len(lines) == 4
    assert copy.read_text("utf-8").count("    SupportMap(\n") == len(trusted), "only maps that can be trusted"
    monkeypatch.setattr(sys, "argv", ["calibration.py", str(tmp_path), "--write", "--family", "mlp"])
    with pytest.raises(SystemExit):
        script.main()
    assert "leave --family out" in capsys.readouterr().err
