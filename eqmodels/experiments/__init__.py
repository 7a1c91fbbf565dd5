"""Many cells, each measured once: a plan in, a line of JSON a cell out, and where each line comes from."""

from eqmodels.experiments.experiment import Cell, Experiment
from eqmodels.experiments.origin import Origin, command_line, processor
from eqmodels.experiments.progress import Progress, shown_progress
from eqmodels.experiments.timing import Timing, interleaved, summarise

__all__ = [
    "Cell",
    "Experiment",
    "Origin",
    "Progress",
    "Timing",
    "command_line",
    "interleaved",
    "processor",
    "shown_progress",
    "summarise",
]
