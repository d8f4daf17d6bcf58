"""Drawing rows like those the model will be used on."""

import numpy as np
import pandas as pd
import pytest
from sampling_tables import make_table, noisy_classes
from scipy import stats

from regadvisor.errors import ParameterError
from regadvisor.sampling.draw import draw_sample
from regadvisor.sampling.keys import canonical_order, row_keys
from regadvisor.sampling.match import match_rows


def new_rows(n, p, *, shift, seed=9):
    X = np.random.default_rng(seed).normal(size=(n, p))
    X[:, 0] += shift
    return make_table(X, np.zeros(n))


def test_a_shift_is_followed():
    source = noisy_classes(5000, 4, seed=0)
    new = new_rows(600, 4, shift=0.8)
    drawn = draw_sample(source, n_rows=600, match=new)
    assert drawn.evidence.verdict == "equivalent"
    assert drawn.table.n_rows == 600
    assert drawn.table.X[:, 0].mean() == pytest.approx(new.X[:, 0].mean(), abs=0.12)
    assert stats.ks_2samp(drawn.table.X[:, 0], new.X[:, 0]).pvalue > 0.01
    plain = draw_sample(source, n_rows=600)
    assert abs(plain.table.X[:, 0].mean()) < 0.15
    assert "like the new ones" in drawn.evidence.size_reason


def test_the_effective_rows_are_those_of_the_true_ratio():
    # Kish's number for N(0,1) against N(d,1) is n·exp(-d²).
    source = noisy_classes(6000, 2, seed=1)
    order = canonical_order(source, row_keys(source))
    matching = match_rows(source, new_rows(3000, 2, shift=0.7), n_rows=500, order=order, seed=0)
    assert matching.effective_rows == pytest.approx(6000 * np.exp(-0.49), rel=0.1)
    assert matching.has_overlap


def test_no_overlap_is_different():
    evidence = draw_sample(
        noisy_classes(3000, 3, seed=0), n_rows=500, match=new_rows(300, 3, shift=6)
    ).evidence
    assert evidence.verdict == "different"
    overlap = next(test for test in evidence.tests if test.what.startswith("overlap"))
    assert overlap.verdict == "different"
    assert overlap.effect < 50


def test_levels_are_matched_in_frames():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=3000), "c": rng.choice(["u", "v", "w"], 3000)})
    new = pd.DataFrame({"a": rng.normal(size=500), "c": rng.choice(["u", "v", "w"], 500, p=[0.7, 0.2, 0.1])})
    drawn = draw_sample(
        make_table(frame, rng.integers(0, 2, 3000)), n_rows=400, match=make_table(new, np.zeros(500))
    )
    shares = drawn.table.X["c"].value_counts(normalize=True)
    assert shares["u"] == pytest.approx(0.7, abs=0.08)
    assert drawn.evidence.verdict == "equivalent"


def test_given_rows_are_judged_against_the_new_ones():
    source = noisy_classes(3000, 3, seed=0)
    rows = np.random.default_rng(0).choice(3000, 800, replace=False)
    same = draw_sample(source, n_rows=1, sample=rows, match=new_rows(800, 3, shift=0.0))
    moved = draw_sample(source, n_rows=1, sample=rows, match=new_rows(800, 3, shift=0.5))
    assert same.evidence.verdict == "equivalent"
    assert moved.evidence.verdict == "different"
    assert moved.evidence.worst_column == "x0"
    shift = abs(source.X[rows, 0].mean() - new_rows(800, 3, shift=0.5).X[:, 0].mean()) / source.X[:, 0].std()
    assert moved.evidence.worst_shift == pytest.approx(shift, abs=1e-5)


def test_the_same_seed_gives_the_same_rows_in_whatever_order_they_stand():
    source = noisy_classes(1000, 3, seed=0)
    new = new_rows(300, 3, shift=0.5)
    order = np.random.default_rng(1).permutation(1000)
    first = draw_sample(source, n_rows=200, match=new)
    again = draw_sample(source, n_rows=200, match=new)
    np.testing.assert_array_equal(first.rows, again.rows)
    moved = draw_sample(source.take(order), n_rows=200, match=new)
    assert len(np.intersect1d(first.rows, order[moved.rows])) >= 190


@pytest.mark.parametrize(("n", "p", "message"), [(300, 2, "feature columns"), (10, 3, "at least 40 rows")])
def test_new_rows_that_cannot_be_matched_are_refused(n, p, message):
    with pytest.raises(ParameterError, match=message):
        draw_sample(noisy_classes(500, 3, seed=0), n_rows=100, match=new_rows(n, p, shift=0.0))
