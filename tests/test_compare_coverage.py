"""A small run of benchmarks/coverage.py: intervals hold the truth, equal kinds are rarely called better."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parent.parent / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def coverage():
    spec = importlib.util.spec_from_file_location("benchmark_of_coverage", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def scenario(coverage, name):
    return next(s for s in coverage.SCENARIOS if s.name == name)


@pytest.mark.parametrize("n", [60, 200])
def test_intervals_hold_the_true_difference(coverage, n):
    """Ridge under real 5-fold cross-validation; the truth is the closed-form risk of the fold models."""
    for line in coverage.simulate(scenario(coverage, "weak signal"), n, repeats=100, seed=1):
        # 0.95 less two standard errors of a share over 100 repetitions.
        assert line.coverage >= 0.9
        assert line.wrong <= 0.1


def test_equal_kinds_are_rarely_called_better(coverage):
    (ahead, behind) = coverage.simulate(scenario(coverage, "equal: 8 against 1"), 200, repeats=100, seed=1)
    assert ahead.coverage >= 0.9
    # 10% is what a mass of 0.8 under the 1.5-fold standard error leaves; 3 standard errors on top.
    assert ahead.replies["better"] <= 0.19
    assert behind.replies["better"] <= 0.19
    assert abs(ahead.estimate) < 0.25 * abs(ahead.naive)


def test_groups_need_their_clusters(coverage):
    groups = scenario(coverage, "groups of 10")
    (with_groups, _), (without, _) = (
        coverage.simulate(groups, 200, repeats=80, seed=1, clusters=clusters) for clusters in (True, False)
    )
    assert with_groups.coverage >= 0.9
    assert with_groups.replies["better"] < without.replies["better"]
