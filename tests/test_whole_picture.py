"""Q3b on data whose answer is known, with each part against a closed form."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, sparse
from sklearn.datasets import load_breast_cancer, load_digits

from regadvisor.data.table import Table
from regadvisor.evidence.associations import Blocks, standardised_ranks
from regadvisor.evidence.layout import Layout, find_layout
from regadvisor.evidence.whole_picture import measure_whole_picture, signal_density
from regadvisor.records import Column, DataFacts, Task, WholePictureEvidence


def table_of(X, y, *, image_shape: tuple[int, ...] | None = None) -> Table:
    container: Literal["array", "frame", "sparse"]
    if isinstance(X, pd.DataFrame):
        container = "frame"
        is_number = [pd.api.types.is_numeric_dtype(dtype) for dtype in X.dtypes]
        columns = tuple(
            Column(name=str(name), kind="numeric" if number else "categorical")
            for name, number in zip(X.columns, is_number, strict=True)
        )
    else:
        container = "array" if isinstance(X, np.ndarray) else "sparse"
        columns = tuple(Column(name=j, kind="numeric") for j in range(X.shape[1]))
    y = np.asarray(y)
    task: Task = "regression"
    classes = None
    if y.dtype.kind in "iu":
        classes = tuple(int(label) for label in np.unique(y))
        task = "binary" if len(classes) == 2 else "multiclass"
    facts = DataFacts(
        container=container,
        task=task,
        n_rows=len(y),
        columns=columns,
        classes=classes,
        image_shape=image_shape,
    )
    return Table(X=X, y=y, facts=facts)


def measure(X, y, *, seed: int = 0, image_shape: tuple[int, ...] | None = None) -> WholePictureEvidence:
    return measure_whole_picture(table_of(X, y, image_shape=image_shape), seed=seed)


def independent(n_rows: int, p: int, n_signal: int, *, seed: int, share: float = 0.5):
    """Return independent columns of which `n_signal` carry equal signal, and a target with R² = `share`."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, p))
    effects = np.zeros(p)
    effects[rng.choice(p, n_signal, replace=False)] = rng.choice([-1.0, 1.0], n_signal)
    signal = X @ effects / np.sqrt(n_signal)
    return X, signal + np.sqrt(1 / share - 1) * rng.standard_normal(n_rows)


def smooth_series(n_rows: int, p: int, *, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((n_rows, p))
    return ndimage.gaussian_filter1d(noise, 2.0, axis=1)


def smooth_images(n_rows: int, height: int, width: int, *, seed: int, n_channels: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((n_rows, height, width, n_channels))
    return ndimage.gaussian_filter(noise, (0, 1.2, 1.2, 0)).reshape(n_rows, -1)


# -------------------------------------------------------------------------------------------- density


def density_of(X: np.ndarray, y: np.ndarray, seed: int = 0) -> float | None:
    ranks, _ = standardised_ranks(X)
    p = X.shape[1]
    blocks = Blocks(
        values=ranks, owner=np.arange(p), names=tuple(range(p)), is_categorical=np.zeros(p, dtype=bool)
    )
    return signal_density(blocks, standardised_ranks(y[:, None])[0], np.random.default_rng(seed))


@pytest.mark.parametrize(("n_signal", "tolerance"), [(2, 0.01), (10, 0.04), (40, 0.15)])
def test_density_is_the_share_of_equal_signals(n_signal: int, tolerance: float) -> None:
    X, y = independent(2000, 40, n_signal, seed=1)
    assert density_of(X, y) == pytest.approx(n_signal / 40, abs=tolerance)


def test_density_of_normal_effects_is_a_third() -> None:
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((1000, 100))
        signal = X @ rng.standard_normal(100)
        found.append(density_of(X, signal + signal.std() * rng.standard_normal(1000)))
    assert np.mean(found) == pytest.approx(1 / 3, abs=0.06)


def test_density_counts_repeated_features_once() -> None:
    X, y = independent(2000, 40, 40, seed=2)
    noise = np.random.default_rng(2).standard_normal((2000, 160))
    repeated = np.repeat(X, 4, axis=1) + 0.05 * noise
    single, fourfold = density_of(X, y), density_of(repeated, y)
    assert single is not None
    assert fourfold == pytest.approx(single / 4, rel=0.15)


def test_density_of_pure_noise_is_not_judged() -> None:
    rng = np.random.default_rng(3)
    assert density_of(rng.standard_normal((500, 60)), rng.standard_normal(500)) is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 50))
def test_density_does_not_see_the_order_of_the_columns(seed: int, n_signal: int) -> None:
    X, y = independent(300, 50, n_signal, seed=seed)
    order = np.random.default_rng(seed).permutation(50)
    before, after = density_of(X, y), density_of(X[:, order], y)
    assert after == (None if before is None else pytest.approx(before, rel=1e-9))


# --------------------------------------------------------------------------------------- known answers


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_dense_signal_in_independent_columns_needs_the_whole_picture(seed: int, shuffled: bool) -> None:
    X, y = independent(600, 60, 60, seed=seed)
    if shuffled:
        X = X[:, np.random.default_rng(seed).permutation(60)]
    evidence = measure(X, y)
    assert evidence.measured == "yes"
    assert evidence.layout is None
    assert evidence.margin_unit == "the share of the features that carry signal"


@pytest.mark.parametrize("seed", range(3))
def test_sparse_signal_in_independent_columns_does_not(seed: int) -> None:
    X, y = independent(600, 60, 3, seed=seed)
    assert measure(X, y).measured == "no"


@pytest.mark.parametrize(("n_signal", "reply"), [(60, "yes"), (3, "no")])
def test_classes_are_judged_like_numbers(n_signal: int, reply: str) -> None:
    X, y = independent(1500, 60, n_signal, seed=4)
    assert measure(X, (y > 0).astype(np.intp)).measured == reply
    assert measure(X, np.digitize(y, [-0.7, 0.7])).measured == reply


def test_heavy_tails_do_not_change_the_answer() -> None:
    rng = np.random.default_rng(5)
    X = rng.lognormal(size=(1000, 50))
    assert measure(X, np.log(X[:, :2]).sum(axis=1) + rng.standard_t(2, 1000)).measured == "no"
    assert measure(X, np.log(X).sum(axis=1) + 5 * rng.standard_t(3, 1000)).measured == "yes"


def test_dense_signal_too_weak_in_each_feature_is_seen_in_sum() -> None:
    X, y = independent(400, 400, 400, seed=6, share=0.9)
    assert measure(X, y).measured in ("yes", "unsure")


def test_noise_is_unsure() -> None:
    rng = np.random.default_rng(7)
    evidence = measure(rng.standard_normal((300, 60)), rng.standard_normal(300))
    assert (evidence.measured, evidence.density) == ("unsure", None)


def test_word_counts_do_not_need_the_whole_picture() -> None:
    rng = np.random.default_rng(8)
    counts = rng.poisson(rng.uniform(0.02, 0.2, 400), (800, 400)).astype(float)
    y = (counts[:, :8].sum(axis=1) + rng.standard_normal(800) > 0.8).astype(np.intp)
    assert measure(sparse.csr_array(counts), y).measured == "no"
    assert measure(sparse.csr_array(counts), y) == measure(counts, y)


def test_a_table_of_correlated_measurements_does_not() -> None:
    data = load_breast_cancer()
    evidence = measure(data.data, data.target)
    assert evidence.measured == "no"
    assert evidence.layout is None


# -------------------------------------------------------------------------------------------- layouts


def test_image_arrays_need_the_whole_picture() -> None:
    data = load_digits()
    evidence = measure(data.data, data.target, image_shape=(8, 8))
    assert (evidence.measured, evidence.layout, evidence.margin) == ("yes", "image array", None)
    assert evidence.neighbour_excess is not None
    assert evidence.neighbour_excess > 0


def test_smooth_series_need_the_whole_picture_until_shuffled() -> None:
    X = smooth_series(150, 60, seed=9)
    y = X[:, 20] + 0.5 * np.random.default_rng(9).standard_normal(150)
    assert (measure(X, y).measured, measure(X, y).layout) == ("yes", "columns")
    shuffled = measure(X[:, np.random.default_rng(9).permutation(60)], y)
    assert shuffled.measured == "no"
    assert shuffled.layout is None


def test_short_series_are_judged_by_format_alone() -> None:
    evidence = measure(smooth_series(200, 24, seed=10), np.arange(200.0))
    assert (evidence.measured, evidence.density, evidence.layout) == ("yes", None, "columns")


def test_interleaved_series_are_found() -> None:
    X = np.stack([smooth_series(200, 30, seed=11), smooth_series(200, 30, seed=12)], axis=2).reshape(200, 60)
    assert measure(X, np.arange(200.0)).layout == "columns of 2 interleaved series"


@pytest.mark.parametrize(("height", "width"), [(12, 12), (9, 14), (14, 9)])
def test_grids_are_found(height: int, width: int) -> None:
    X = smooth_images(300, height, width, seed=13)
    layout = find_layout(table_of(X, np.zeros(300)), np.random.default_rng(0))
    assert layout is not None
    assert layout.label == f"{height}x{width} grid"


def test_grids_with_three_channels_are_found() -> None:
    X = smooth_images(300, 10, 12, seed=14, n_channels=3)
    assert measure(X, np.arange(300.0)).layout == "10x12 grid, 3 channels"


def test_wide_images_are_judged_by_their_middle() -> None:
    X = smooth_images(60, 80, 100, seed=15)
    assert measure(X, np.arange(60.0)).layout == "80x100 grid"


def test_neighbour_excess_is_measured_against_all_pairs() -> None:
    X = smooth_series(400, 40, seed=16)
    layout = find_layout(table_of(X, np.zeros(400)), np.random.default_rng(0))
    R = pd.DataFrame(X).corr("spearman").to_numpy()
    others, neighbours = R[~np.eye(40, dtype=bool)], np.diag(R, 1)
    assert layout is not None
    assert layout.excess == pytest.approx(np.abs(neighbours).mean() - np.abs(others).mean(), abs=1e-9)
    closeness = (np.median(neighbours) - others.mean()) / (1 - others.mean())
    assert layout.closeness == pytest.approx(closeness, abs=1e-9)


@pytest.mark.parametrize("smooth", [0.5, 0.8])
def test_order_is_that_of_a_plain_loop(smooth: float) -> None:
    noise = np.random.default_rng(23).standard_normal((60, 40))
    X = ndimage.gaussian_filter1d(noise, smooth, axis=1)
    layout = find_layout(table_of(X, np.zeros(60)), np.random.default_rng(0))
    R = pd.DataFrame(X).corr("spearman").to_numpy()
    shares = []
    for span in (1, 2):  # 40 columns are 16 times as long as spans up to 2
        triples = [(j, j + span, j + 2 * span) for j in range(40 - 2 * span)]
        shares.append(np.mean([R[a, c] < min(R[a, b], R[b, c]) for a, b, c in triples]))
    assert layout is not None
    assert layout.label == "columns"
    assert layout.order == pytest.approx(max(shares))


def grouped(n_rows: int, sizes: list[int], *, seed: int, noise: float) -> np.ndarray:
    """Return groups of neighbouring columns that have a factor in common, with loadings of their own."""
    rng = np.random.default_rng(seed)
    factors = np.repeat(rng.standard_normal((n_rows, len(sizes))), sizes, axis=1)
    return factors * rng.uniform(0.7, 1.3, sum(sizes)) + noise * rng.standard_normal(factors.shape)


@pytest.mark.parametrize("noise", [0.3, 1.0])
@pytest.mark.parametrize("sizes", [[3] * 12, [5] * 12, [10] * 6, [20] * 3, [30] * 2, [4, 12, 7, 9, 3, 15, 6]])
def test_groups_of_related_columns_are_no_layout(sizes: list[int], noise: float) -> None:
    for seed in range(3):
        X = grouped(300, sizes, seed=seed, noise=noise)
        layout = find_layout(table_of(X, np.zeros(300)), np.random.default_rng(0))
        assert layout is not None
        assert not layout.is_seen


def test_a_table_of_groups_of_which_one_matters_does_not_need_the_whole_picture() -> None:
    replies = []
    for seed in range(10):
        X = grouped(600, [5] * 12, seed=seed, noise=1.0)
        noise = np.random.default_rng(seed).standard_normal(600)
        replies.append(measure(X, X[:, :5].sum(axis=1) + 3 * noise).measured)
    assert replies.count("no") >= 9


def test_noisy_series_are_seen_over_more_than_one_step() -> None:
    rng = np.random.default_rng(24)
    slow = ndimage.gaussian_filter1d(rng.standard_normal((300, 96)), 6.0, axis=1)
    X = slow / slow.std() + 0.4 * rng.standard_normal((300, 96))
    R = pd.DataFrame(X).corr("spearman").to_numpy()
    direct = np.mean([R[j, j + 2] < min(R[j, j + 1], R[j + 1, j + 2]) for j in range(94)])
    layout = find_layout(table_of(X, np.zeros(300)), np.random.default_rng(0))
    assert layout is not None
    assert direct < 0.75
    assert layout.is_seen


def test_opposite_neighbours_are_not_close() -> None:
    X = smooth_series(300, 40, seed=25) * np.where(np.arange(40) % 2, 1.0, -1.0)
    layout = find_layout(table_of(X, np.zeros(300)), np.random.default_rng(0))
    assert layout is not None
    assert layout.label == "columns of 2 interleaved series"


@settings(deadline=None)
@given(st.floats(-1, 1), st.one_of(st.none(), st.floats(0, 1)))
def test_a_layout_is_seen_exactly_if_no_part_lacks_anything(closeness: float, order: float | None) -> None:
    layout = Layout(label="columns", closeness=closeness, order=order, excess=0.0)
    share, distance, _ = layout.statistic
    assert (share >= 1) == (distance >= 0)
    assert not (layout.is_seen and layout.is_absent)
    if order is not None:
        assert layout.is_seen == (share >= 1)


def test_a_grid_of_pixels_that_hardly_vary_at_the_border_is_found() -> None:
    data = load_digits()
    evidence = measure(data.data, data.target)
    assert (evidence.measured, evidence.layout) == ("yes", "8x8 grid")


def test_mixed_tables_have_no_layout() -> None:
    frame = pd.DataFrame(smooth_series(200, 40, seed=18)).add_prefix("x")
    frame["colour"] = np.random.default_rng(18).choice(["red", "blue"], 200)
    assert measure(frame, np.arange(200.0)).neighbour_excess is None
    assert measure(frame.drop(columns="colour"), np.arange(200.0)).layout == "columns"


# ---------------------------------------------------------------------------------------------- edges


def test_few_columns_are_separate_variables() -> None:
    X, y = independent(300, 10, 10, seed=19)
    evidence = measure(X, y)
    assert (evidence.measured, evidence.density, evidence.margin) == ("no", None, None)


def test_few_rows_are_unsure() -> None:
    X, y = independent(8, 40, 40, seed=20)
    assert measure(X, y).measured == "unsure"


def test_constant_target_and_constant_columns_are_survived() -> None:
    X = smooth_series(100, 40, seed=21)[:, np.random.default_rng(21).permutation(40)]
    assert measure(X, np.ones(100)).measured == "unsure"
    assert measure(np.ones((100, 40)), np.arange(100.0)).measured == "no"


def test_same_seed_same_answer_and_the_input_is_not_touched() -> None:
    X, y = independent(300, 50, 25, seed=22)
    X[::7, 3] = np.nan
    before = X.copy()
    X.flags.writeable = False
    y.flags.writeable = False
    assert measure(X, y, seed=5) == measure(X, y, seed=5)
    np.testing.assert_array_equal(X, before)


@settings(max_examples=20, deadline=None)
@given(st.integers(10, 80), st.integers(2, 60), st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.integers(0, 10**6))
def test_the_margin_agrees_with_the_reply(n_rows: int, p: int, smooth: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, p))
    if smooth:
        X = ndimage.gaussian_filter1d(X, smooth, axis=1)
    evidence = measure(X, X.sum(axis=1) + rng.standard_normal(n_rows))
    assert (evidence.margin is not None and evidence.margin >= 0) == (evidence.measured == "yes")
    assert evidence.density is None or 0 <= evidence.density <= 1
    values = [getattr(evidence, name) for name in WholePictureEvidence.__dataclass_fields__]
    assert {type(value) for value in values} <= {float, int, str, type(None)}


# ------------------------------------------------------------------------------------------ real data


def _real_replies(kinds: set[str], fewest_columns: int) -> list[str | None]:
    folder = Path(os.environ["REGADVISOR_DATA"])
    index = pd.read_csv(folder / "index.csv")
    replies: list[str | None] = []
    for row in index[index["kind"].isin(kinds) & (index["p"] >= fewest_columns)].itertuples():
        is_number = row.task in ("regression", "multioutput")
        image_shape = None
        if str(row.file).endswith(".npz"):
            with np.load(folder / str(row.file)) as arrays:
                images, y = arrays["X"], arrays["y"]
            X, image_shape = images.reshape(len(images), -1).astype(float), images.shape[1:]
        else:
            frame = pd.read_parquet(folder / str(row.file))
            y = frame[next(c for c in frame if str(c).startswith("target"))].to_numpy()
            X = frame[[c for c in frame if not str(c).startswith(("target", "__"))]]
        y = y.astype(float) if is_number else np.unique(y, return_inverse=True)[1]
        replies.append(measure(X, y, image_shape=image_shape).measured)
    return replies


needs_data = pytest.mark.skipif("REGADVISOR_DATA" not in os.environ, reason="REGADVISOR_DATA is not set")


@needs_data
def test_pictures_and_spectra_need_the_whole_picture() -> None:
    replies = _real_replies({"image", "spectra"}, 1)
    assert replies.count("yes") >= 0.95 * len(replies)


@needs_data
def test_tables_and_texts_do_not() -> None:
    replies = _real_replies({"tabular", "text", "missing", "imbalanced"}, 30)
    assert replies.count("no") >= 0.9 * len(replies)
