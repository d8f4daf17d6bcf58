"""The training rows of one fold as an optimisation problem, and the answer to it.

Shapes: n_rows × n_features `X`; n_outputs is the number of targets of a regression, 1 for two classes (one
weight vector and the sigmoid, as in scikit-learn) and the number of classes above two (softmax). The
objective of several targets is the sum over them of mean ½ squared error and penalty, so each is fitted by
itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.special import expit, softmax

Floats = NDArray[np.float64]
#: Features: a dense array, or compressed columns (the training rows) or rows (the test rows).
Matrix = Floats | sparse.csc_array | sparse.csr_array
#: A rough solution that fits start from: flat positions of the weights that are not zero, these weights, and
#: the intercepts.
Rung = tuple[NDArray[np.intp], Floats, Floats]

#: Products with the features by which their largest eigenvalue is known to about a percent.
LANCZOS_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """Strengths as plain numbers: the penalty is ``l1·Σ|w| + (l2/2)·Σw²``."""

    l1: float = 0.0
    l2: float = 0.0

    def value(self, W: Floats) -> float:
        """Return the penalty of weights of any shape."""
        return float(self.l1 * np.abs(W).sum() + 0.5 * self.l2 * np.square(W).sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Weights (n_features, n_outputs) and intercepts (n_outputs,) of one fit, for the problem's features."""

    W: Floats
    b: Floats
    converged: bool
    is_limit: bool = False

    @property
    def is_finite(self) -> bool:
        """Whether all weights and intercepts are numbers."""
        return bool(np.isfinite(self.W).all() and np.isfinite(self.b).all())


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Training rows of one fold."""

    #: (n_rows, n_features): dense columns have a weighted mean of zero and lie one after the other in memory,
    #: at best. Sparse ones stay as they are: the intercept is free, so centring changes no weight, and
    #: solvers that need it centre by :attr:`mean`.
    X: Matrix
    #: (n_rows, n_outputs): the standardised targets (weighted mean 0, variance 1), the 0/1 label, or one-hot
    #: labels.
    T: Floats
    #: (n_rows,): row weights that sum to 1, so that weighted sums are means.
    weight: Floats
    is_classification: bool
    #: (n_features,): features that are so large that no penalty acts on them: ranges and tolerances are for
    #: the others.
    free: NDArray[np.bool_] | None = None
    #: Without one, features and targets are as they are, and the intercepts of all solutions are 0.
    has_intercept: bool = True

    @cached_property
    def penalised(self) -> Problem:
        """The problem of the features that a penalty acts on."""
        if self.free is None:
            return self
        return replace(self, X=columns(self.X, np.flatnonzero(~self.free)), free=None)

    @property
    def n_rows(self) -> int:
        """Number of training rows."""
        return int(self.X.shape[0])

    @property
    def is_sparse(self) -> bool:
        """Whether the features are stored sparse."""
        return sparse.issparse(self.X)

    @property
    def n_values(self) -> int:
        """Numbers that are stored."""
        return int(self.X.nnz if isinstance(self.X, sparse.sparray) else self.X.size)

    @cached_property
    def mean(self) -> Floats:
        """What the features lack to be centred, shape (n_features,): zero if they are, or need not be."""
        if not (self.is_sparse and self.has_intercept):
            return np.zeros(self.n_features)
        return np.asarray(self.X.T @ self.weight, dtype=np.float64)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return int(self.X.shape[1])

    @property
    def n_outputs(self) -> int:
        """Columns of the target."""
        return int(self.T.shape[1])

    def predict(self, W: Floats, b: Floats) -> Floats:
        """Return the linear predictors of the training rows, shape (n_rows, n_outputs)."""
        return predictors(self.X, W, b)

    def gradient(self, R: Floats) -> Floats:
        """Return ``Xᵀ·R`` for weighted residuals `R` (n_rows, n_outputs), shape (n_features, n_outputs)."""
        if R.shape[1] == 1:
            return np.asarray(self.X.T @ R[:, 0], dtype=np.float64)[:, None]
        return np.asarray(self.X.T @ R, dtype=np.float64)

    def gradient_b(self, R: Floats) -> Floats:
        """Return the gradient in the intercepts, shape (n_outputs,): 0 if there are none."""
        return np.asarray(R.sum(0) * self.has_intercept, dtype=np.float64)

    def leads(self, Z: Floats) -> Floats:
        """Return how far each row's class is ahead of each, shape (n_rows, n_outputs); 0 for itself."""
        own = np.take_along_axis(Z, self.T.argmax(1)[:, None], axis=1) if self.n_outputs > 1 else None
        return np.asarray((2.0 * self.T - 1.0) * Z if own is None else own - Z, dtype=np.float64)

    def probabilities(self, Z: Floats) -> Floats:
        """Return the probabilities of linear predictors, shape (…, n_outputs)."""
        chances: Floats = expit(Z) if self.n_outputs == 1 else softmax(Z, axis=-1)
        return chances

    def evaluate(self, Z: Floats) -> tuple[float, Floats]:
        """Return the weighted mean log loss of linear predictors (n_rows, n_outputs), and probabilities.

        One exponential serves both: SciPy's softmax and logsumexp took longer than all matrix products.
        """
        if self.n_outputs == 1:
            z = Z[:, 0]
            small = np.exp(-np.abs(z))
            P = np.where(z >= 0, 1.0, small) / (1.0 + small)
            return float(self.weight @ (np.log1p(small) + np.maximum(z, 0.0) - self.T[:, 0] * z)), P[:, None]
        picked = np.einsum("ik,ik->i", self.T, Z)
        top = Z.max(axis=1)
        P = np.exp(Z - top[:, None])
        total = P.sum(axis=1)
        P /= total[:, None]
        return float(self.weight @ (np.log(total) + top - picked)), P

    @cached_property
    def constant(self) -> Floats:
        """Intercepts of the constant model, shape (n_outputs,)."""
        if not self.has_intercept:
            return np.zeros(self.n_outputs)
        shares = self.weight @ self.T
        if not self.is_classification:
            return np.asarray(shares, dtype=np.float64)
        # A class may be missing from a fold; its intercept is then far down but finite.
        shares = np.clip(shares, 1e-12, 1 - 1e-12)
        return np.asarray(
            np.log(shares / (1 - shares)) if self.n_outputs == 1 else np.log(shares), dtype=np.float64
        )

    def some_rows(self, step: int) -> Problem:
        """Return the problem of every `step`-th row, to see what rows cost."""
        rows = np.arange(0, self.n_rows, step)
        weight = self.weight[rows] / self.weight[rows].sum()
        X = self.X.tocsr()[rows].tocsc() if isinstance(self.X, sparse.sparray) else self.X[rows]
        X = X if self.is_sparse or not self.has_intercept else X - weight @ X
        return replace(self, X=X, T=self.T[rows], weight=weight)

    @cached_property
    def ladder(self) -> list[Rung]:
        """Rough L1 solutions, strongest first, as far as they were needed; see ``fit.py``."""
        return []

    @cached_property
    def l1_max(self) -> float:
        """The smallest `l1` at which every weight is zero: the largest gradient at the constant model."""
        if self.free is not None:
            return self.penalised.l1_max
        constant = self.constant
        mean = self.probabilities(constant) if self.is_classification else constant
        return float(np.abs(self.gradient(self.weight[:, None] * (mean - self.T))).max(initial=0.0))

    @cached_property
    def spectrum(self) -> Spectrum:
        """The features in their singular directions: once for all strengths.

        Sparse ones are never made dense, and no more than the square of the shorter side is held in memory.
        """
        if not self.is_sparse:
            return spectrum_of(np.asarray(self.X), self.weight)
        if self.n_features <= self.n_rows:
            return from_gram(self.gram, self.X, self.weight, self.mean)
        shift = self.X @ self.mean
        G = dense(self.X @ self.X.T) - shift[:, None] - shift[None, :] + self.mean @ self.mean
        G *= np.sqrt(np.outer(self.weight, self.weight))
        return from_gram(G, self.X, self.weight, self.mean)

    @cached_property
    def gram(self) -> Floats:
        """Weighted covariance of all features, shape (n_features, n_features): once for all strengths."""
        return self.some_gram(np.arange(self.n_features))

    def some_gram(self, chosen: NDArray[np.intp]) -> Floats:
        """Return the weighted covariance of the chosen features, shape (n_chosen, n_chosen)."""
        part = columns(self.X, chosen)
        if isinstance(part, sparse.sparray):
            own = weighted_gram(part, self.weight)
            return own - np.outer(self.mean[chosen], self.mean[chosen])
        return weighted_gram(part, self.weight)

    @property
    def is_constant(self) -> bool:
        """Whether the target has one value only, so that the constant model is the answer."""
        return (self.has_intercept or self.is_classification) and bool(np.all(self.T[0] == self.T))

    @cached_property
    def is_finite(self) -> bool:
        """Whether the moments are numbers, so that there is something to solve for."""
        return bool(np.isfinite(self.l1_max) and np.isfinite(self.variance).all())

    @cached_property
    def variance(self) -> Floats:
        """Weighted variance of the features, shape (n_features,)."""
        if isinstance(self.X, sparse.sparray):
            squares = self.X.power(2).T @ self.weight
            return np.asarray(np.maximum(squares - np.square(self.mean), 0.0), dtype=np.float64)
        return np.asarray(self.weight @ np.square(self.X), dtype=np.float64)

    @cached_property
    def largest_eigenvalue(self) -> float:
        """Largest eigenvalue of the weighted covariance ``Xᵀ·diag(weight)·X``, to about a percent.

        It only sets the end of a range, so a few Lanczos steps do; the features are never centred or copied.
        """
        v = np.random.default_rng(0).normal(size=self.n_features)
        v, last, off = v / linalg.norm(v), np.zeros_like(v), 0.0
        diagonal: list[float] = []
        off_diagonal: list[float] = []
        for _ in range(min(LANCZOS_STEPS, self.n_features)):
            u = self.weight * (self.X @ v - self.mean @ v)
            image = self.X.T @ u - self.mean * u.sum() - off * last
            diagonal.append(float(image @ v))
            image = image - diagonal[-1] * v
            off = float(np.sqrt(image @ image))
            if not np.isfinite(off) or off <= 1e-9 * abs(diagonal[0]):
                break
            off_diagonal.append(off)
            v, last = image / off, v
        if not np.isfinite(diagonal).all():
            return 0.0
        found = linalg.eigvalsh_tridiagonal(diagonal, off_diagonal[: len(diagonal) - 1])
        return max(float(found[-1]), 0.0)


def constant_solution(problem: Problem) -> Solution:
    """Return the model that predicts the class shares or the mean."""
    W = np.zeros((problem.n_features, problem.n_outputs))
    return Solution(W=W, b=problem.constant, converged=True)


def problem_of(
    rows: Any, T: Floats, share: Floats, *, is_classification: bool, has_intercept: bool
) -> tuple[Problem, Floats]:
    """Return the problem of some rows, and what was taken off their columns; sparse ones stay.

    `share` (n_rows,): row weights that sum to 1.
    """
    center = np.zeros(rows.shape[1])
    if sparse.issparse(rows):
        X: Any = sparse.csc_array(rows)  # type: ignore[call-overload]
    else:
        center = share @ rows if has_intercept else center
        X = np.asfortranarray(rows - center)
    problem = Problem(
        X=X, T=T, weight=share, is_classification=is_classification, has_intercept=has_intercept
    )
    return problem, center


def columns(X: Matrix, chosen: NDArray[np.intp]) -> Matrix:
    """Return some columns; of a dense array column by column in memory, which is how they are stored."""
    return X[:, chosen] if isinstance(X, sparse.sparray) else X.T[chosen].T


def weighted_gram(X: Matrix, weight: Floats) -> Floats:
    """Return ``Xᵀ·diag(weight)·X`` as a dense array."""
    if isinstance(X, sparse.sparray):
        root = sparse.diags_array(np.sqrt(weight)) @ X
        return dense(root.T @ root)
    A = np.sqrt(weight)[:, None] * X
    return np.asarray(A.T @ A, dtype=np.float64)


def predictors(X: Matrix, W: Floats, b: Floats) -> Floats:
    """Return ``X·W + b``, shape (n_rows, n_outputs)."""
    if W.shape[1] == 1:
        return np.asarray((X @ W[:, 0])[:, None] + b, dtype=np.float64)
    # Output by output in memory: sums over few outputs are ten times as fast that way.
    return np.asarray((W.T @ X.T).T + b, dtype=np.float64)


def dense(values: Any) -> Floats:
    """Return an array, sparse matrix or frame as a float64 array."""
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float64)


#: From so many rows and columns on, the singular values come from the smaller Gram matrix.
FEWEST_FOR_GRAM = 400


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    """Features in the singular directions of ``√weight · (X − mean)``, without those that carry nothing."""

    #: (n_rows, n_features): dense and centred, or sparse.
    X: Any
    #: (n_rows,).
    weight: Floats
    #: (n_features,): what sparse features lack to be centred; zeros for dense ones.
    mean: Floats
    #: (n_directions,): singular values, largest first.
    s: Floats
    #: (n_features, n_directions), or (n_rows, n_directions) where they come from the Gram matrix of the rows.
    vectors: Floats
    is_of_rows: bool = False

    @cached_property
    def rows(self) -> Floats:
        """Dense rows in these directions, shape (n_rows, n_directions)."""
        found = self.vectors * self.s / self._root if self.is_of_rows else self.X @ self.vectors
        return np.asarray(found, dtype=np.float64)

    @property
    def _root(self) -> Floats:
        return np.asarray(np.sqrt(self.weight)[:, None], dtype=np.float64)

    def project(self, t: Floats) -> Floats:
        """Return ``rowsᵀ·(weight·t)`` of a target with mean 0, shape (n_directions,)."""
        if self.is_of_rows:
            return np.asarray(self.s * (self.vectors.T @ (self._root[:, 0] * t)), dtype=np.float64)
        return np.asarray(self.vectors.T @ (self.X.T @ (self.weight * t)), dtype=np.float64)

    def weights(self, V: Floats) -> Floats:
        """Return weights of the features from weights of the directions, shape (n_directions, n_outputs)."""
        if not self.is_of_rows:
            return np.asarray(self.vectors @ V, dtype=np.float64)
        # Features that never vary carry nothing, and no weight.
        rows = self._root * (self.vectors @ (V / np.maximum(self.s, 1e-150)[:, None]))
        return np.asarray(self.X.T @ rows - np.outer(self.mean, rows.sum(axis=0)), dtype=np.float64)


def spectrum_of(X: Floats, weight: Floats) -> Spectrum:
    """Return the singular directions of centred dense features.

    From a Gram matrix, they take a fifth to a tenth of the time of a singular value decomposition; singular
    values below √ε of the largest are then lost in rounding.
    """
    A, mean = np.sqrt(weight)[:, None] * X, np.zeros(X.shape[1])
    if min(A.shape) > FEWEST_FOR_GRAM:
        return from_gram(A @ A.T if A.shape[1] > A.shape[0] else A.T @ A, X, weight, mean)
    _, s, Vt = linalg.svd(A, full_matrices=False)
    # The usual rank tolerance: largest singular value × larger side × machine epsilon.
    rank = max(1, int((s > s.max(initial=0.0) * max(A.shape) * np.finfo(float).eps).sum()))
    return Spectrum(X=X, weight=weight, mean=mean, s=s[:rank], vectors=Vt[:rank].T)


def from_gram(gram: Floats, X: Any, weight: Floats, mean: Floats) -> Spectrum:
    """Return the same from the smaller Gram matrix of ``√weight · (X − mean)``: of columns, or of rows."""
    values, vectors = linalg.eigh(gram, driver="evd")
    keep = values > values[-1] * max(X.shape) * np.finfo(float).eps
    keep[-1] = True
    s, vectors = np.sqrt(np.maximum(values[keep][::-1], 0.0)), vectors[:, keep][:, ::-1]
    is_of_rows = X.shape[1] > X.shape[0]
    return Spectrum(X=X, weight=weight, mean=mean, s=s, vectors=vectors, is_of_rows=is_of_rows)
