"""Linear predictors, one for every value of the side information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from torch import Tensor
from torch.nn import functional as F

from eqmodels._shapes import Bool, Float, Int
from eqmodels.measures.families import Prediction, Predictor
from eqmodels.measures.linear_probe import LinearProbe, LogisticObjective

__all__ = ["LinearFamily"]

T = TypeVar("T")
Corrections = dict[int, LinearProbe]


@dataclass(frozen=True)
class LinearFamily:
    """Logistic regression of the features, with a correction for every value of the side information.

    Without side information the logits are ``W z + b``. With it they are ``W z + b + D_s z + d_s``: a linear predictor
    a value s, shrunk towards the common one. The strengths of both L2 penalties are those of the smallest cross-entropy
    on what is held out, and the corrections may be left out altogether, so that the families are nested.

    Attributes:
        strengths: of the penalties, to choose from; of a single one, nothing is held out.
        name: of the family.
    """

    strengths: tuple[float, ...] = (1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)
    name: str = "linear"

    def fit(
        self,
        problem: Prediction,
        held_out: Bool[Tensor, " N"],
        seed: int = 0,  # noqa: ARG002 (nothing is random)
    ) -> Predictor:
        """The linear predictor fitted to what is not held out, which chooses its strength."""
        training, judged = problem.of(~held_out), problem.of(held_out)

        def loss(found: LinearProbe) -> float:
            return _cross_entropy(found.scores(judged.features), judged.target)

        objective = LogisticObjective(training.features, training.target, problem.values)
        chosen = self._chosen(partial(objective.minimise, roughly=True), loss)
        whole = LogisticObjective(problem.features, problem.target, problem.values)
        common = whole.minimise(chosen.strength, chosen.fit) if chosen else whole.minimise(self.strengths[0], None)
        if judged.side is None:
            return lambda z, _: common.scores(z).double().log_softmax(1)
        everything = _SideObjectives(problem, common)
        if chosen is None:
            corrections = everything.minimise(self.strengths[0])
            return lambda z, s: _scores(common, corrections, z, s).double().log_softmax(1)
        offset, given = chosen.fit, judged.side

        def corrected_loss(found: Corrections) -> float:
            return _cross_entropy(_scores(offset, found, judged.features, given), judged.target)

        parts = _SideObjectives(training, offset)
        corrected = self._chosen(partial(parts.minimise, roughly=True), corrected_loss)
        better = corrected is not None and corrected.loss < chosen.loss
        final = everything.minimise(corrected.strength, corrected.fit) if corrected and better else {}
        return lambda z, s: _scores(common, final, z, s).double().log_softmax(1)

    def _chosen(self, fit: Callable[[float, Any], T], loss: Callable[[T], float]) -> _Chosen[T] | None:
        """The fit of the smallest loss; None if there is nothing to choose.

        From strong to weak, each from the one before it (None at first), until two in a row were worse.
        """
        if len(self.strengths) == 1:
            return None
        best: _Chosen[T] | None = None
        fitted, worse = None, 0
        for strength in sorted(self.strengths, reverse=True):
            fitted = fit(strength, fitted)
            found = loss(fitted)
            if best is None or found < best.loss:
                best, worse = _Chosen(fitted, strength, found), 0
            elif (worse := worse + 1) == 2:
                break
        return best


@dataclass(frozen=True)
class _Chosen(Generic[T]):
    """A fit, its strength and its loss on what is held out."""

    fit: T
    strength: float
    loss: float


class _SideObjectives:
    """An objective for every value of the side information, on top of the logits of a common predictor."""

    def __init__(self, problem: Prediction, common: LinearProbe) -> None:
        offset = common.scores(problem.features)
        assert problem.side is not None
        parts = {s: (problem.side == s).nonzero()[:, 0] for s in range(problem.side_values)}
        self.objectives = {
            s: LogisticObjective(problem.features[part], problem.target[part], problem.values, offset=offset[part])
            for s, part in parts.items()
            if len(part)
        }

    def minimise(self, strength: float, start: Corrections | None = None, *, roughly: bool = False) -> Corrections:
        """The correction of every value that was seen."""
        first = start or {}
        return {
            s: objective.minimise(strength, first.get(s), roughly=roughly) for s, objective in self.objectives.items()
        }


def _scores(
    common: LinearProbe, corrections: Corrections, features: Float[Tensor, "N F"], side: Int[Tensor, " N"]
) -> Float[Tensor, "N T"]:
    """Logits with the corrections of the side information."""
    scores = common.scores(features)
    for s, correction in corrections.items():
        part = (side == s).nonzero()[:, 0]
        if len(part):
            scores[part] += correction.scores(features[part])
    return scores


def _cross_entropy(scores: Float[Tensor, "N T"], target: Int[Tensor, " N"]) -> float:
    return float(F.cross_entropy(scores.double(), target))
