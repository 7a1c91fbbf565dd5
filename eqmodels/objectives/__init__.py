"""What is minimised: losses in nats, and interventions on their gradients."""

from eqmodels.objectives.class_information import ClassInformation, class_information_loss
from eqmodels.objectives.gradient import scale_gradient
from eqmodels.objectives.prediction import prediction_loss

__all__ = ["ClassInformation", "class_information_loss", "prediction_loss", "scale_gradient"]
