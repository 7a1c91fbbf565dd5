"""Families of predictors: what an observer can do with a representation, with and without side information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from torch import Tensor

from eqmodels._shapes import Bool, Float, Int

__all__ = ["Prediction", "Predictor", "PredictorFamily"]


Predictor = Callable[[Tensor, Tensor], Tensor]
"""From features ``(N, F)`` and side information ``(N,)`` to log-probabilities ``(N, values)``."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What is to be predicted from what.

    Attributes:
        features: a row a sample.
        target: what is predicted, from 0 to ``values - 1``.
        values: number of values of the target.
        side: what is known beside the features, from 0 to ``side_values - 1``; None for nothing.
        side_values: number of values of the side information.
    """

    features: Float[Tensor, "N F"]
    target: Int[Tensor, " N"]
    values: int
    side: Int[Tensor, " N"] | None = None
    side_values: int = 1

    def of(self, rows: Bool[Tensor, " N"]) -> Prediction:
        """The same of some rows."""
        side = None if self.side is None else self.side[rows]
        return replace(self, features=self.features[rows], target=self.target[rows], side=side)


@runtime_checkable
class PredictorFamily(Protocol):
    """A set of predictors that may ignore side information: with it they are never worse, up to estimation.

    Source: predictive families of Xu et al. 2020, arXiv 2002.10689, whose *optional ignorance* is the nesting.
    """

    @property
    def name(self) -> str:
        """Of the family, as it is reported."""

    def fit(self, problem: Prediction, held_out: Bool[Tensor, " N"], seed: int = 0) -> Predictor:
        """The predictor of the smallest cross-entropy on what is held out, among those fitted to the rest.

        Args:
            problem: the samples, and what is predicted of them.
            held_out: the samples on which strengths, or the end of a training, are chosen.
            seed: of what is random.
        """
