"""Whether results can be true at all: shares between 0 and 1, counts that count something, numbers that are numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from eqmodels.evaluation.cloud_scores import BARS, CloudEvaluation
from eqmodels.evaluation.scores import EncoderEvaluation, FeatureScores
from eqmodels.evaluation.scoring_heads import ClassScores, TaskScores

__all__ = ["check_possible"]


def _is_number(value: Any) -> bool:  # noqa: ANN401 (anything may stand in a file)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_share(value: Any) -> bool:  # noqa: ANN401
    return _is_number(value) and 0 <= value <= 1


def _is_unknown(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, float) and math.isnan(value)


def _is_count(value: Any, least: int) -> bool:  # noqa: ANN401
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


RULES: dict[str, Callable[[Any], bool]] = {
    "true": lambda value: value is True,
    "a word": lambda value: isinstance(value, str),
    "a share from 0 to 1": _is_share,
    "a share from 0 to 1, or unknown": lambda value: _is_share(value) or _is_unknown(value),
    "a finite number": lambda value: _is_number(value) and math.isfinite(value),
    "a finite number, or unknown": lambda value: _is_number(value) and not math.isinf(value),
    "degrees from 0 to 180, or none": lambda value: value is None or (_is_number(value) and 0 <= value <= 180),
    "a share from 0 to 1, or none": lambda value: value is None or _is_share(value),
    "a finite number of at least 0": lambda value: _is_number(value) and 0 <= value < math.inf,
    "a count of at least 0": lambda value: _is_count(value, 0),
    "a count of at least 1": lambda value: _is_count(value, 1),
    "a name and a count of at least 1": lambda value: (
        isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and _is_count(value[1], 1)
    ),
    "two shares from 0 to 1, the lower one first": lambda value: (
        isinstance(value, tuple) and len(value) == 2 and all(map(_is_share, value)) and value[0] <= value[1]
    ),
}
"""By what they are called in the sentence."""

_Fact = tuple[str, Any, str]
"""A place in the results, what stands there, and the rule for it."""


def check_possible(evaluation: EncoderEvaluation | CloudEvaluation) -> None:
    """Refuses results that no measurement can have, whoever wrote them; whether they are true, only measuring says.

    Args:
        evaluation: as it was read.

    Raises:
        ValueError: if there are such; names the place, the rule and the value.
    """
    facts = _of_clouds(evaluation) if isinstance(evaluation, CloudEvaluation) else _facts(evaluation)
    for place, value, rule in facts:
        if not RULES[rule](value):
            raise ValueError(f"{place} must be {rule}, and is {str(value)[:40]!r}")


def _facts(evaluation: EncoderEvaluation) -> Iterator[_Fact]:
    for name in ("model", "sha256", "group"):
        yield name, getattr(evaluation, name), "a word"
    yield "parameters", evaluation.parameters, "a count of at least 1"
    yield "head_parameters", evaluation.head_parameters, "a count of at least 0"
    for name in ("train", "test"):
        yield name, getattr(evaluation, name), "a name and a count of at least 1"
    for scores in evaluation.kinds:
        yield from _of_features(scores)
    for task in evaluation.tasks:
        yield "task", task.task, "a word"
        yield from _of_head(str(task.task), task, task.num_labels)
    if evaluation.class_head is not None:
        yield "the class head's weight", evaluation.class_head.weight, "a finite number"
        yield from _of_head("the class head", evaluation.class_head, evaluation.class_head.num_classes)
    yield from _each("equivariance_error", evaluation.equivariance_error, "a finite number of at least 0")


def _of_clouds(evaluation: CloudEvaluation) -> Iterator[_Fact]:
    for name in ("model", "sha256", "group"):
        yield name, getattr(evaluation, name), "a word"
    for name in ("parameters", "points"):
        yield name, getattr(evaluation, name), "a count of at least 1"
    for name in ("train", "test"):
        yield name, getattr(evaluation, name), "a name and a count of at least 1"
    for scores in evaluation.kinds:
        yield "kind", scores.kind, "a word"
        yield f"{scores.kind}, width", scores.width, "a count of at least 1"
        yield f"{scores.kind}, change", scores.change, "a finite number of at least 0"
        for name in ("accuracy", "turned", "knn", "knn_turned"):
            yield f"{scores.kind}, {name}", getattr(scores, name), "a share from 0 to 1"
    for name in ("up", "frame"):
        yield name, getattr(evaluation, name), "degrees from 0 to 180, or none"
    yield "degenerate", evaluation.degenerate, "a share from 0 to 1, or none"
    counts = evaluation.errors_of_up
    yield "number of errors_of_up", len(counts) in (0, len(BARS) - 1), "true"
    for count in counts:
        yield "errors_of_up", count, "a count of at least 0"
    yield "sum of errors_of_up", sum(counts), "a count of at least 1" if counts else "a count of at least 0"


def _of_features(scores: FeatureScores) -> Iterator[_Fact]:
    yield "kind", scores.kind, "a word"
    place = str(scores.kind)
    yield f"{place}, width", scores.width, "a count of at least 1"
    yield f"{place}, interval", scores.interval, "two shares from 0 to 1, the lower one first"
    for name in ("accuracy", "turned"):
        yield f"{place}, {name}", getattr(scores, name), "a share from 0 to 1"
    for name in ("knn", "angle_mean", "angle_worst"):
        yield f"{place}, {name}", getattr(scores, name), "a share from 0 to 1, or unknown"
    for name in ("effective_rank", "strength"):
        yield f"{place}, {name}", getattr(scores, name), "a finite number of at least 0"
    for name in ("elements", "angles"):
        yield from _each(f"{place}, {name}", getattr(scores, name), "a share from 0 to 1")
    for part, found in scores.labels.items():
        where = f"{place}, labels {part}"
        yield f"{where}, mean", found.mean, "a share from 0 to 1"
        yield f"{where}, count", found.count, "a count of at least 1"
        # An interval by Student's t may reach beyond 0 and 1; that of a single value is unknown.
        for name in ("low", "high"):
            yield f"{where}, {name}", getattr(found, name), "a finite number, or unknown"
        for value in found.values:
            yield f"{where}, values", value, "a share from 0 to 1"


def _of_head(place: str, scores: TaskScores | ClassScores, labels: int) -> Iterator[_Fact]:
    yield f"{place}, number of labels", labels, "a count of at least 1"
    yield f"{place}, loss", scores.loss, "a finite number of at least 0"
    yield f"{place}, accuracy", scores.accuracy, "a share from 0 to 1"
    for name in ("augmented_accuracy", "training_accuracy"):
        yield f"{place}, {name}", getattr(scores, name), "a share from 0 to 1, or unknown"


def _each(place: str, values: Mapping[str, Any], rule: str) -> Iterator[_Fact]:
    return ((f"{place} of {name}", value, rule) for name, value in values.items())
