"""Measures: information in nats, exact and estimated, and the probes and intervals that they are made of."""

from eqmodels.measures.exact import BayesianNetwork, Variable
from eqmodels.measures.families import Prediction, PredictorFamily
from eqmodels.measures.film_family import FilmFamily
from eqmodels.measures.information import SynergyTerms, measure_synergy
from eqmodels.measures.intervals import Estimate, estimate, proportion_interval
from eqmodels.measures.linear_family import LinearFamily
from eqmodels.measures.linear_probe import LinearProbe, fit_linear_probe
from eqmodels.measures.observations import Observations
from eqmodels.measures.theorems import STATEMENTS, Finding, Statement, check_statements
from eqmodels.measures.toys import additive, pose_cue, style_leak, two_poses

__all__ = [
    "STATEMENTS",
    "BayesianNetwork",
    "Estimate",
    "FilmFamily",
    "Finding",
    "LinearFamily",
    "LinearProbe",
    "Observations",
    "Prediction",
    "PredictorFamily",
    "Statement",
    "SynergyTerms",
    "Variable",
    "additive",
    "check_statements",
    "estimate",
    "fit_linear_probe",
    "measure_synergy",
    "pose_cue",
    "proportion_interval",
    "style_leak",
    "two_poses",
]
