"""What is minimised: objectives, their losses in nats, and interventions on their gradients."""

from eqmodels.objectives.class_information import ClassInformation, class_information_loss
from eqmodels.objectives.distil import Distil
from eqmodels.objectives.frames import check_upright, chordal_loss, frame_loss
from eqmodels.objectives.frozen import Frozen, Moving
from eqmodels.objectives.gradient import scale_gradient
from eqmodels.objectives.losses import distillation_divergence, predicted, prediction_loss
from eqmodels.objectives.network import Network
from eqmodels.objectives.objective import Batch, Objective, Term
from eqmodels.objectives.orientation import OrientationPrediction
from eqmodels.objectives.prediction import Prediction, is_strict
from eqmodels.objectives.randomness import Purpose, Randomness, generator_for, seed_dropout
from eqmodels.objectives.registry import OBJECTIVES, create_objective, objective_options, register_objective
from eqmodels.objectives.relative import RelativePrediction
from eqmodels.objectives.teachers import TEACHERS, Teacher, create_teacher

__all__ = [
    "OBJECTIVES",
    "TEACHERS",
    "Batch",
    "ClassInformation",
    "Distil",
    "Frozen",
    "Moving",
    "Network",
    "Objective",
    "OrientationPrediction",
    "Prediction",
    "Purpose",
    "Randomness",
    "RelativePrediction",
    "Teacher",
    "Term",
    "check_upright",
    "chordal_loss",
    "class_information_loss",
    "create_objective",
    "create_teacher",
    "distillation_divergence",
    "frame_loss",
    "generator_for",
    "is_strict",
    "objective_options",
    "predicted",
    "prediction_loss",
    "register_objective",
    "scale_gradient",
    "seed_dropout",
]
