"""E-SSL tasks: transformations of images, and labels that say which one was applied."""

from eqmodels.tasks.blur import Blur, BlurLevel
from eqmodels.tasks.colour import ColourInversion, Grayscale
from eqmodels.tasks.creation import create_task, list_tasks
from eqmodels.tasks.geometric import FineRotation, GroupTask
from eqmodels.tasks.jigsaw import Jigsaw
from eqmodels.tasks.multivariate import MultivariateTask, indistinct_labels
from eqmodels.tasks.none import NoTask, Unasked
from eqmodels.tasks.orientations import Orientations
from eqmodels.tasks.registry import PRESETS, TASKS, Preset, register_task
from eqmodels.tasks.relative import RelativeTarget, relative_target
from eqmodels.tasks.task import Task

__all__ = [
    "PRESETS",
    "TASKS",
    "Blur",
    "BlurLevel",
    "ColourInversion",
    "FineRotation",
    "Grayscale",
    "GroupTask",
    "Jigsaw",
    "MultivariateTask",
    "NoTask",
    "Orientations",
    "Preset",
    "RelativeTarget",
    "Task",
    "Unasked",
    "create_task",
    "indistinct_labels",
    "list_tasks",
    "register_task",
    "relative_target",
]
