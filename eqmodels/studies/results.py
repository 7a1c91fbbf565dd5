"""What a study of synergy found, cell by cell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from eqmodels.measures import SynergyTerms
from eqmodels.storage import StorageError
from eqmodels.studies.plan import Cell
from eqmodels.training import PretrainConfig

__all__ = ["RESULT", "CellResult", "check_result"]

RESULT = "synergy.json"
"""The file of a cell's result, in its folder."""


@dataclass(frozen=True)
class CellResult:
    """What was measured of one network.

    Attributes:
        name: of the cell.
        config: of its training.
        terms: of information, on held-out transformed images; of a network that was followed over the epochs one more
            than there are epochs, before the first and after each; of others one; of a classifier none.
        probe: accuracy of a linear probe of regular features, on held-out upright images, from 0 to 1; NaN if unknown.
        task_accuracy: of the head, on held-out images without augmentation; of all its labels.
        task_training_accuracy: in the last epoch, with augmentation; NaN without training.
        class_accuracy: of the class head, on held-out images transformed by the task; NaN without one.
        seconds: of training and measurement.
    """

    name: str
    config: dict[str, Any]
    terms: tuple[SynergyTerms, ...]
    probe: float
    task_accuracy: float
    task_training_accuracy: float
    class_accuracy: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """All values by name, ready for JSON (NaN as None)."""
        values = asdict(self) | {"terms": [terms.to_dict() for terms in self.terms]}
        lacking = [name for name, value in values.items() if isinstance(value, float) and math.isnan(value)]
        return values | dict.fromkeys(lacking)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> CellResult:
        """What `to_dict` wrote.

        Raises:
            TypeError: if names are missing or unknown.
        """
        values: dict[str, Any] = {name: math.nan if value is None else value for name, value in content.items()}
        values["terms"] = tuple(SynergyTerms.from_dict(terms) for terms in content["terms"])
        return cls(**values)


def check_result(cell: Cell, content: Mapping[str, Any]) -> CellResult:
    """The result of a cell from the content of its file.

    Raises:
        StorageError: if it is of another config.
        TypeError, ValueError, KeyError: if it is no result.
    """
    found = CellResult.from_dict(content)
    if PretrainConfig.from_dict(found.config) != cell.config:
        raise StorageError(
            f"the result of {cell.name} is of another config than this study's. Choose another --folder, or the "
            "options of the study that it holds."
        )
    return found
