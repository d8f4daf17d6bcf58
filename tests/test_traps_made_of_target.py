"""Columns made from the target: its means, its bands, another row's; and honest columns like them."""

import numpy as np
import pandas as pd
import pytest

from regadvisor.data.source import make_table
from regadvisor.traps.find import find_traps

N = 600
MADE = {"target-means", "target-bands", "later-target", "rows-in-series"}


def made(X, y, **how):
    return {note.code: note.text for note in find_traps(make_table(X, y, **how), seed=0)}


def shops(seed, *, n=N):
    """Return a frame, a target and the shop of each row: about four rows each."""
    r = np.random.default_rng(seed)
    shop = r.integers(0, n // 4, size=n)
    frame = pd.DataFrame(r.normal(size=(n, 4))).add_prefix("x")
    y = frame["x0"].to_numpy() + r.normal(size=n // 4)[shop] + r.normal(size=n)
    return frame, y, shop


def mean_of(y, shop):
    return pd.Series(y).groupby(shop).transform("mean").to_numpy()


@pytest.mark.parametrize(
    ("n", "column"),
    [
        (N, mean_of),
        (N, lambda y, shop: mean_of(y, shop).round(2)),
        (8_000, mean_of),
        (N, lambda y, shop: np.where(shop % 7 == 0, np.nan, mean_of(y, shop))),
    ],
    ids=["mean", "rounded", "many rows", "some missing"],
)
def test_a_mean_of_the_target_over_shared_rows_is_a_leak(n, column):
    frame, y, shop = shops(0, n=n)
    assert made(frame.assign(avg=column(y, shop)), y)["target-means"].startswith(
        "'avg' is the mean of the target over the rows that have the same value: a leak"
    )


def test_shares_of_a_class_are_means_as_well():
    frame, y, shop = shops(1)
    sick = np.where(y > 0, "yes", "no")
    rate = mean_of((y > 0).astype(float), shop)
    assert "the share of a class" in made(frame.assign(rate=rate), sick)["target-means"]
    assert "target-means" in made(frame.assign(rate=1 - rate), sick)


@pytest.mark.parametrize("seed", range(5))
def test_what_was_worked_out_elsewhere_is_none(seed):
    frame, y, shop = shops(seed)
    other = np.random.default_rng(seed).permutation(N) < N // 2
    elsewhere = pd.Series(np.where(other, y, np.nan)).groupby(shop).transform("mean").fillna(0.0)
    frame, y = frame.assign(avg=elsewhere)[~other], y[~other]
    assert not MADE & set(made(frame.reset_index(drop=True), y))
    score = frame["x0"].round(1)  # an honest forecast: on average the target is what it says
    assert not MADE & set(made(frame.assign(score=score).reset_index(drop=True), y))


@pytest.mark.parametrize(
    "bands",
    [
        lambda y: pd.cut(y, 3, labels=["low", "mid", "high"]).astype(str),
        lambda y: pd.qcut(y, 10, labels=False),
        lambda y: np.where(y > 0.5, "dear", "cheap"),
        lambda y: np.digitize(y, [-1, 1]) + 1.0,
        lambda y: np.clip(y, -1, 2).round(1) / 3,
    ],
    ids=["three", "tenths", "two", "numbers", "steps"],
)
def test_bands_of_the_target_are_a_leak(bands):
    frame, y, _ = shops(0)
    text = made(frame.assign(band=bands(y)), y)["target-bands"]
    assert text.startswith("each value of 'band' has a range of the target to itself")


def test_a_target_that_numbers_the_rows_is_told_and_no_bands_of_it():
    frame, y, _ = shops(0)
    blocks = frame.assign(block=np.repeat(np.arange(6), -(-N // 6))[:N])
    found = made(blocks, np.arange(N) + 1)
    assert found["target-numbers-rows"].endswith("is it the column that you mean to predict?")
    assert not MADE & set(found)
    number = pd.Series(np.random.default_rng(0).integers(0, 10**6, size=N), name="patient_id")
    assert made(blocks, number)["target-numbers-rows"].startswith("the target has the name of an identifier:")
    for honest in (y, np.random.default_rng(0).permutation(N), np.sort(np.round(100 * y))):
        assert "target-numbers-rows" not in made(blocks, honest)


def test_levels_that_overlap_or_that_the_others_show_as_well_are_none():
    frame, y, _ = shops(0)
    near = np.random.default_rng(1).normal(size=N) * 0.2 + y
    assert not MADE & set(made(frame.assign(band=pd.cut(near, 3).astype(str)), y))
    assert not MADE & set(made(frame.assign(near=near, band=np.where(y > 1, "a", "b")), y))
    few = np.where(np.argsort(np.argsort(y[:100])) >= 98, "top", "rest")  # the two largest, which is luck
    assert not MADE & set(made(frame[:100].assign(band=few), y[:100]))
    dose = np.repeat([1.0, 2.0, 5.0, 10.0, 20.0], N // 5)  # a calibration: doses have gaps
    assert not MADE & set(made(frame.assign(dose=dose), dose + 0.1 * y / np.ptp(y)))


def test_the_target_of_an_earlier_row_shows_a_series_and_of_a_later_one_a_leak():
    walk = np.random.default_rng(0).normal(size=N + 2).cumsum()
    y, noise = walk[1:-1], np.random.default_rng(1).normal(size=N)
    lagged = pd.DataFrame({"before": walk[:-2], "noise": noise})
    assert made(lagged, y)["rows-in-series"].startswith("'before' holds the target of an earlier row")
    assert not MADE & set(made(lagged, y, time=np.arange(N)))
    late = pd.DataFrame({"next": walk[2:], "noise": noise})
    assert made(late, y)["later-target"].startswith("'next' holds the target of a later row: a leak")
    windows = np.lib.stride_tricks.sliding_window_view(walk, 11)
    assert "rows-in-series" in made(windows[:, :10], windows[:, 10])
    assert "rows-in-series" in made(lagged.assign(next=walk[2:]), y)  # and no leak of a later row
    mixed = np.random.default_rng(2).permutation(N)
    assert not MADE & set(made(lagged.iloc[mixed].reset_index(drop=True), y[mixed]))


def test_a_corrected_copy_of_the_target_is_told():
    frame, y, _ = shops(0)
    y = y.round(1)
    corrected = np.where(np.arange(N) % 50 == 0, y + 1, y)
    text = made(frame.assign(corrected=corrected), y)["leak"]
    assert text.startswith("'corrected' is the target itself in 98% of the rows: a leak? Leave it out if")
    assert "leak" not in made(
        frame.assign(again=(y + 0.2 * np.random.default_rng(1).normal(size=N)).round(1)), y
    )
