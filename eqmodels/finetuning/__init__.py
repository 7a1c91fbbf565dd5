"""Fine-tuning: a pretrained encoder becomes a classifier of somebody's own images."""

from eqmodels.finetuning.config import FinetuneConfig
from eqmodels.finetuning.finetuning import finetune
from eqmodels.finetuning.result import Finetuned, TestScores
from eqmodels.finetuning.splitting import validation_split

__all__ = ["FinetuneConfig", "Finetuned", "TestScores", "finetune", "validation_split"]
