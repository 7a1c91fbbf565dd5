"""Evaluation: any encoder in, a dataclass of numbers out."""

from eqmodels.evaluation.classifying import ClassifierAccuracy, classifier_accuracy
from eqmodels.evaluation.cloud_scores import CloudEvaluation, CloudScores
from eqmodels.evaluation.clouds import embed_clouds, evaluate_clouds
from eqmodels.evaluation.collapse import Collapse, effective_rank
from eqmodels.evaluation.embedding import embed
from eqmodels.evaluation.encoding import Encodable, encode
from eqmodels.evaluation.equivariance_assertion import assert_equivariant
from eqmodels.evaluation.equivariance_measurement import equivariance_report
from eqmodels.evaluation.equivariance_plot import plot_equivariance
from eqmodels.evaluation.equivariance_results import AngleError, EquivarianceReport, LayerError
from eqmodels.evaluation.evaluating import evaluate
from eqmodels.evaluation.feature_table import Embedding
from eqmodels.evaluation.few_labels import LabelEfficiency, label_efficiency
from eqmodels.evaluation.kinds import CONTROLS, ORBIT_MEAN, TURNED_BACK, TURNED_PROBE, kinds_of
from eqmodels.evaluation.knn import knn_accuracy
from eqmodels.evaluation.observing import observe
from eqmodels.evaluation.orbits import Motion, Orbits, View
from eqmodels.evaluation.poolings import POOLINGS, pool_features, poolings_of
from eqmodels.evaluation.predicting import PredictedFile, Predictions, predict, predict_to_file
from eqmodels.evaluation.pretrained import Pretrained
from eqmodels.evaluation.resumable_embedding import EmbeddedFile, embed_to_file
from eqmodels.evaluation.scores import EncoderEvaluation, FeatureScores
from eqmodels.evaluation.scoring_heads import ClassScores, TaskScores, head_scores, task_scores
from eqmodels.evaluation.seeds import FeatureSummary, SeedSummary, TaskSummary, over_seeds
from eqmodels.evaluation.specimen import randomise, smooth_images
from eqmodels.evaluation.speed import images_per_second
from eqmodels.measures.intervals import Estimate, estimate, proportion_interval
from eqmodels.measures.linear_probe import LinearProbe, fit_linear_probe

__all__ = [
    "CONTROLS",
    "ORBIT_MEAN",
    "POOLINGS",
    "TURNED_BACK",
    "TURNED_PROBE",
    "AngleError",
    "ClassScores",
    "ClassifierAccuracy",
    "CloudEvaluation",
    "CloudScores",
    "Collapse",
    "EmbeddedFile",
    "Embedding",
    "Encodable",
    "EncoderEvaluation",
    "EquivarianceReport",
    "Estimate",
    "FeatureScores",
    "FeatureSummary",
    "LabelEfficiency",
    "LayerError",
    "LinearProbe",
    "Motion",
    "Orbits",
    "PredictedFile",
    "Predictions",
    "Pretrained",
    "SeedSummary",
    "TaskScores",
    "TaskSummary",
    "View",
    "assert_equivariant",
    "classifier_accuracy",
    "effective_rank",
    "embed",
    "embed_clouds",
    "embed_to_file",
    "encode",
    "equivariance_report",
    "estimate",
    "evaluate",
    "evaluate_clouds",
    "fit_linear_probe",
    "head_scores",
    "images_per_second",
    "kinds_of",
    "knn_accuracy",
    "label_efficiency",
    "observe",
    "over_seeds",
    "plot_equivariance",
    "pool_features",
    "poolings_of",
    "predict",
    "predict_to_file",
    "proportion_interval",
    "randomise",
    "smooth_images",
    "task_scores",
]
