"""Evaluation: a network in, a dataclass of numbers out."""

from eqmodels.evaluation.collapse import Collapse
from eqmodels.evaluation.equivariance import assert_equivariant, equivariance_report
from eqmodels.evaluation.equivariance_plot import plot_equivariance
from eqmodels.evaluation.equivariance_report import AngleError, EquivarianceReport, LayerError
from eqmodels.evaluation.probe import randomise, smooth_images

__all__ = [
    "AngleError",
    "Collapse",
    "EquivarianceReport",
    "LayerError",
    "assert_equivariant",
    "equivariance_report",
    "plot_equivariance",
    "randomise",
    "smooth_images",
]
