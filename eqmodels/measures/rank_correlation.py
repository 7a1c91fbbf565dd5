"""Rank correlation, with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

# Not `from scipy import stats`: half a second, loaded when it is first used.
import scipy
from numpy.typing import ArrayLike, NDArray

from eqmodels.measures.intervals import Estimate

__all__ = ["rank_correlation"]

RESAMPLES = 2000


def rank_correlation(
    one: ArrayLike, other: ArrayLike, *, groups: Sequence[str] | None = None, seed: int = 0
) -> Estimate:
    """Spearman's correlation of two series, with its 95% interval by resampling the pairs, or groups of them.

    ``corr(rank(x), rank(y))``, equal values sharing their mean rank. Resamples in which a series is constant are left
    out; of a constant series the correlation is NaN, as are the ends of the interval with fewer than three groups.

    Args:
        one: a series.
        other: another.
        groups: the group of every pair, drawn whole, where its pairs depend on each other; None if each is its own.
        seed: of the resamples.

    Example:
        >>> rank_correlation([1, 2, 3, 4], [10, 20, 30, 25]).mean
        0.8

    Source: Spearman 1904, *The proof and measurement of association between two things*; Efron and Tibshirani 1993.

    Raises:
        ValueError: if there are fewer than three pairs, the lengths differ, or a value is not finite.
    """
    x, y = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    alike = x.shape == y.shape and (groups is None or x.shape == (len(groups),))
    if not alike or x.ndim != 1 or len(x) < 3 or not np.isfinite([x, y]).all():
        raise ValueError(
            f"a rank correlation needs at least three pairs of finite numbers; got {x.shape} and {y.shape} values. "
            "Measure more cells, or leave out those that failed."
        )
    generator = np.random.default_rng(seed)
    names = np.arange(len(x)) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    parts = [np.flatnonzero(names == name) for name in range(int(names.max()) + 1)]
    drawn = (generator.integers(len(parts), size=len(parts)) for _ in range(RESAMPLES))
    resamples = (np.concatenate([parts[i] for i in chosen]) for chosen in drawn)
    resampled = np.array([_correlation(x[rows], y[rows]) for rows in resamples])
    resampled = resampled[np.isfinite(resampled)]
    mean = _correlation(x, y)
    known = len(parts) >= 3 and len(resampled) and math.isfinite(mean)
    low, high = np.quantile(resampled, (0.025, 0.975)) if known else (math.nan, math.nan)
    return Estimate(mean, float(low), float(high), len(x))


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    # Not `spearmanr`, nor `bootstrap` above: a resample in which a series is constant makes them warn, and the whole
    # interval NaN; and the first takes ten times as long for a few numbers.
    ranks = np.stack([scipy.stats.rankdata(x), scipy.stats.rankdata(y)])
    ranks -= ranks.mean(1, keepdims=True)
    norm = math.sqrt(float((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return round(float((ranks[0] * ranks[1]).sum()) / norm, 12) if norm else math.nan
