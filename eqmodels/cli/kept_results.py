"""Results of a measurement in the folder of the network that was measured, where card and ``verify`` look."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from eqmodels.backbones import Backbone
from eqmodels.evaluation import CloudEvaluation, EncoderEvaluation, TaskScores
from eqmodels.hub.entries import RESULTS, read_results
from eqmodels.storage import LARGEST, WEIGHTS, StorageError, read_regular, reason_of, write_atomically
from eqmodels.training import Run

__all__ = ["keep_results", "place_of_results"]


def place_of_results(name: str, network: Run | Backbone) -> Path | None:
    """The file of results of a network that lies in a folder; None of a name of the zoo, or a checkpoint.

    Args:
        name: what was typed.
        network: what it names.
    """
    folder = Path(name)
    finished = (folder / WEIGHTS).is_file() and (not isinstance(network, Run) or bool(network.sha256))
    return folder / RESULTS if finished else None


def keep_results(file: Path, result: EncoderEvaluation | CloudEvaluation) -> str:
    """Writes what was measured of a network into its folder, unless more of the same weights is there; says which.

    A folder that cannot be written into, such as one that is read only, is no error: everything was printed.

    Args:
        file: of `place_of_results`.
        result: of this network.
    """
    if (reason := _more_than(file, result)) is not None:
        return f"{file} stays as it is: {reason}. Name another file to keep this (--output)."
    try:
        write_atomically(file, json.dumps(result.to_dict(), indent=2) + "\n")
    except (OSError, StorageError) as error:
        return f"{file} was not written: {reason_of(error)}"
    return f"Results: {file}"


def _more_than(file: Path, result: EncoderEvaluation | CloudEvaluation) -> str | None:
    """Why the results that are there are kept; None if there are none, or none of these weights, or no more."""
    try:
        former = read_results(file.parent)
        content: dict[str, Any] = json.loads(read_regular(file, LARGEST))
    except (StorageError, OSError, ValueError):
        return None
    if "evaluation" in content:
        return "it tells more than evaluate writes, of the run and its making"
    of_the_same_data = (former.train[0], former.test[0]) == (result.train[0], result.test[0])
    return _more_measured(former, result) if of_the_same_data else None


def _more_measured(
    former: EncoderEvaluation | CloudEvaluation, result: EncoderEvaluation | CloudEvaluation
) -> str | None:
    """What former results of the same weights and data have more; None if nothing."""
    if former.train[1] > result.train[1] or former.test[1] > result.test[1]:
        return f"it was measured with more images, {former.train[1]:,} and {former.test[1]:,}"
    if not isinstance(former, EncoderEvaluation) or not isinstance(result, EncoderEvaluation):
        return None
    now = {scores.kind: scores for scores in result.kinds}
    for scores in former.kinds:
        if scores.kind not in now:
            return f"it has features that were not measured now, {scores.kind}"
        if len(scores.angles) > len(now[scores.kind].angles) or len(scores.labels) > len(now[scores.kind].labels):
            return "it has angles and few labels, which were not measured now"
    if any(map(_is_augmented, former.tasks)) and not all(map(_is_augmented, result.tasks)):
        return "it has heads on augmented images, which were not measured now"
    return None


def _is_augmented(scores: TaskScores) -> bool:
    return not math.isnan(scores.augmented_accuracy)
