"""Measures: information in nats, exact and estimated, and the probes and intervals that they are made of."""

from eqmodels.measures.exact import BayesianNetwork, Variable
from eqmodels.measures.theorems import STATEMENTS, Finding, Statement, check_statements
from eqmodels.measures.toys import additive, pose_cue, style_leak, two_poses

__all__ = [
    "STATEMENTS",
    "BayesianNetwork",
    "Finding",
    "Statement",
    "Variable",
    "additive",
    "check_statements",
    "pose_cue",
    "style_leak",
    "two_poses",
]
