"""Studies: many pretrainings, measured and compared; a plan in, tables and pictures out."""

from eqmodels.studies.calibration import Calibration, calibrate
from eqmodels.studies.encoder import EncoderSynergy, encoder_synergy
from eqmodels.studies.findings import GridPoint, correlations, grid_points
from eqmodels.studies.page import write_study_report
from eqmodels.studies.plan import Cell, SynergyPlan
from eqmodels.studies.ranking import TaskRank, rank_tasks
from eqmodels.studies.results import CellResult
from eqmodels.studies.study import SynergyStudy, load_study_data, read_study, run_study
from eqmodels.studies.tables import study_tables

__all__ = [
    "Calibration",
    "Cell",
    "CellResult",
    "EncoderSynergy",
    "GridPoint",
    "SynergyPlan",
    "SynergyStudy",
    "TaskRank",
    "calibrate",
    "correlations",
    "encoder_synergy",
    "grid_points",
    "load_study_data",
    "rank_tasks",
    "read_study",
    "run_study",
    "study_tables",
    "write_study_report",
]
