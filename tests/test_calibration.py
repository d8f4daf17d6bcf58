"""The map from support to probability."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from regadvisor.compare.calibration import SUPPORT_MAPS, SupportMap, calibrated, log_odds
from regadvisor.thresholds import HIGHEST_SUPPORT

IDENTITY = SupportMap(claim="kind", model="linear", intercept=0.0, slope=1.0)
SHARES = st.floats(0.0, 1.0)
MAPS = st.builds(
    lambda intercept, slope: replace(IDENTITY, intercept=intercept, slope=slope),
    st.floats(-1e3, 1e3),
    st.floats(0.0, 1e3),
)


@given(SHARES)
def test_intercept_0_and_slope_1_leave_the_support_as_it_is(support):
    said = calibrated("kind", support, family="linear", maps=[IDENTITY])
    assert said == pytest.approx(min(max(support, 0.01), 0.99), abs=1e-12)


@pytest.mark.parametrize(("intercept", "slope"), [(-1.5, 0.7), (0.3, 0.0), (2.0, 3.0)])
def test_the_map_is_the_logistic_function_of_a_line_in_the_log_odds(intercept, slope):
    fitted = replace(IDENTITY, intercept=intercept, slope=slope)
    for support in (0.05, 0.5, 0.8, 0.98):
        expected = min(expit(intercept + slope * logit(support)), HIGHEST_SUPPORT)
        assert calibrated("kind", support, family="linear", maps=[fitted]) == pytest.approx(
            expected, abs=1e-12
        )


@given(MAPS, SHARES, SHARES)
def test_more_support_never_means_less_sure_and_never_surer_than_the_highest_support(fitted, a, b):
    low, high = (calibrated("kind", each, family="linear", maps=[fitted]) for each in sorted((a, b)))
    assert 0.0 <= low <= high <= HIGHEST_SUPPORT


def test_a_map_serves_its_own_claim_and_model_alone():
    of_linear = replace(IDENTITY, intercept=-1.0)
    of_network = replace(IDENTITY, model="network", intercept=1.0)
    maps = [of_linear, of_network]
    assert calibrated("kind", 0.5, family="linear", maps=maps) == pytest.approx(expit(-1.0))
    for family in ("mlp", "module"):
        assert calibrated("kind", 0.5, family=family, maps=maps) == pytest.approx(expit(1.0))
    assert calibrated("strength", 0.5, family="mlp", maps=maps) is None


def test_stored_maps_are_one_per_claim_and_model_and_say_more_than_a_base_rate():
    keys = [(each.claim, each.model) for each in SUPPORT_MAPS]
    assert len(keys) == len(set(keys))
    for each in SUPPORT_MAPS:
        assert each.slope > 0


def test_log_odds_are_finite_and_antisymmetric():
    assert log_odds(1.0) == pytest.approx(logit(HIGHEST_SUPPORT))
    for support in (0.0, 0.2, 0.5, 0.97, 1.0):
        assert log_odds(support) == pytest.approx(-log_odds(1.0 - support), abs=1e-12)
