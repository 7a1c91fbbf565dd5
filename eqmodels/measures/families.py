"""Families of predictors: what an observer can do with a representation, with and without side information."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

from eqmodels._shapes import Bool, Float, Int

__all__ = ["Predictor", "PredictorFamily"]


Predictor = Callable[[Tensor, Tensor], Tensor]
"""From features ``(N, F)`` and side information ``(N,)`` to log-probabilities ``(N, values)``."""


@runtime_checkable
class PredictorFamily(Protocol):
    """A set of predictors that may ignore side information: with it they are never worse, up to estimation.

    Source: predictive families of Xu et al. 2020, arXiv 2002.10689, whose *optional ignorance* is the nesting.
    """

    @property
    def name(self) -> str:
        """Of the family, as it is reported."""

    def fit(
        self,
        features: Float[Tensor, "N F"],
        target: Int[Tensor, " N"],
        side: Int[Tensor, " N"] | None,
        held_out: Bool[Tensor, " N"],
        *,
        values: int,
        side_values: int = 1,
        seed: int = 0,
    ) -> Predictor:
        """The predictor of the smallest cross-entropy on what is held out, among those fitted to the rest.

        Args:
            features: a row a sample.
            target: what is predicted, from 0 to ``values - 1``.
            side: side information, from 0 to ``side_values - 1``; None for none.
            held_out: the samples on which strengths, or the end of a training, are chosen.
            values: number of values of the target.
            side_values: number of values of the side information.
            seed: of what is random.
        """
