"""Rank correlation, with an interval."""

from __future__ import annotations

import math
from collections import defaultdict
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
    alike_long: defaultdict[int, list[NDArray[np.int64]]] = defaultdict(list)
    for rows in (np.concatenate([parts[i] for i in chosen]) for chosen in drawn):
        alike_long[len(rows)].append(rows)
    resampled = np.concatenate([_correlations(x[rows], y[rows]) for rows in map(np.stack, alike_long.values())])
    resampled = resampled[np.isfinite(resampled)]
    mean = float(_correlations(x[None], y[None])[0])
    known = len(parts) >= 3 and len(resampled) and math.isfinite(mean)
    low, high = np.quantile(resampled, (0.025, 0.975)) if known else (math.nan, math.nan)
    return Estimate(mean, float(low), float(high), len(x))


def _correlations(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's correlation of each row of one matrix with that of the other; NaN where one is constant."""
    # Not `spearmanr`, nor `bootstrap` above: a resample in which a series is constant makes them warn, and the whole
    # interval NaN; and the first takes ten times as long for a few numbers.
    ranks = scipy.stats.rankdata([x, y], axis=-1)
    ranks -= ranks.mean(-1, keepdims=True)
    norms = np.sqrt((ranks**2).sum(-1).prod(0))
    found = np.full(len(x), math.nan)
    np.divide((ranks[0] * ranks[1]).sum(-1), norms, out=found, where=norms > 0)
    return found.round(12)
