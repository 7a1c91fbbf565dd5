"""Evaluation: a network in, a dataclass of numbers out."""

from eqmodels.evaluation.collapse import Collapse, effective_rank
from eqmodels.evaluation.equivariance import assert_equivariant, equivariance_report
from eqmodels.evaluation.equivariance_plot import plot_equivariance
from eqmodels.evaluation.equivariance_report import AngleError, EquivarianceReport, LayerError
from eqmodels.evaluation.intervals import Estimate, estimate, proportion_interval
from eqmodels.evaluation.knn import knn_accuracy
from eqmodels.evaluation.label_efficiency import LabelEfficiency, label_efficiency
from eqmodels.evaluation.linear_probe import LinearProbe, fit_linear_probe
from eqmodels.evaluation.probe import randomise, smooth_images

__all__ = [
    "AngleError",
    "Collapse",
    "EquivarianceReport",
    "Estimate",
    "LabelEfficiency",
    "LayerError",
    "LinearProbe",
    "assert_equivariant",
    "effective_rank",
    "equivariance_report",
    "estimate",
    "fit_linear_probe",
    "knn_accuracy",
    "label_efficiency",
    "plot_equivariance",
    "proportion_interval",
    "randomise",
    "smooth_images",
]
