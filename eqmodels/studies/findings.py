"""What a study says: the gain of every pretraining, and what would have predicted it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eqmodels.arguments import check_arguments
from eqmodels.measures import Estimate, SynergyTerms
from eqmodels.measures.rank_correlation import rank_correlation
from eqmodels.studies.plan import Cell
from eqmodels.studies.results import CellResult
from eqmodels.studies.study import SynergyStudy

__all__ = ["PREDICTORS", "GridPoint", "correlations", "grid_points"]


@dataclass(frozen=True)
class GridPoint:
    """One cell of the grid with its controls.

    Attributes:
        cell: of the kind ``pretrained``.
        pretrained: what was measured of it.
        random: the same network as it is initialised.
        brief: the same after one epoch.
    """

    cell: Cell
    pretrained: CellResult
    random: CellResult
    brief: CellResult

    @property
    def gain(self) -> float:
        """Of the linear probe over random initialisation, from -1 to 1."""
        return self.pretrained.probe - self.random.probe


def grid_points(study: SynergyStudy) -> tuple[GridPoint, ...]:
    """The cells of the grid that are done, with their controls.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(grid_points, locals())
    results = {cell.name: result for cell, result in study.cells.items()}
    points = []
    for cell, pretrained in study.cells.items():
        if cell.kind != "pretrained":
            continue
        model, task, seed = cell.name.split("/")[2:]
        random = results.get(f"random/{model}/{task}/{seed}")
        brief = results.get(cell.name.replace("pretrained", "brief", 1))
        if random is not None and brief is not None:
            points.append(GridPoint(cell, pretrained, random, brief))
    return tuple(points)


def _term(of: str, term: str) -> Callable[[GridPoint], float]:
    def value(point: GridPoint) -> float:
        result: CellResult = getattr(point, of)
        terms: SynergyTerms = result.terms[0]
        return terms.normalised(term)

    return value


PREDICTORS: dict[str, Callable[[GridPoint], float]] = {
    "synergy, random initialisation": _term("random", "unlocked"),
    "usable synergy, random initialisation": _term("random", "usable"),
    "synergy, after one epoch": _term("brief", "unlocked"),
    "usable synergy, after one epoch": _term("brief", "usable"),
    "synergy, pretrained": _term("pretrained", "unlocked"),
    "usable synergy, pretrained": _term("pretrained", "usable"),
    "synergy by the class, pretrained": _term("pretrained", "class_unlocked"),
    "known of the task, random initialisation": _term("random", "known"),
    "known of the task, after one epoch": _term("brief", "known"),
    "known of the task, pretrained": _term("pretrained", "known"),
    "probe after one epoch": lambda point: point.brief.probe - point.random.probe,
}
"""What may predict the gain. Information is a part of log|A|; the last one looks at the class and is what to beat."""


def correlations(points: tuple[GridPoint, ...]) -> dict[str, Estimate]:
    """The rank correlation of every predictor with the gain of the probe, over cells.

    The interval is over tasks, as those are what is chosen between: all cells of a task are drawn together.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there are fewer than three cells.
    """
    check_arguments(correlations, locals())
    gains, tasks = [point.gain for point in points], [point.cell.task for point in points]
    return {
        name: rank_correlation([predictor(point) for point in points], gains, groups=tasks)
        for name, predictor in PREDICTORS.items()
    }
