"""The network of a pretraining as it is now, before its end or its beginning."""

from __future__ import annotations

from dataclasses import replace

import torch

from eqmodels.arguments import check_arguments
from eqmodels.data import Source
from eqmodels.training.beginning import settled
from eqmodels.training.config import PretrainConfig
from eqmodels.training.origin import provenance
from eqmodels.training.pretraining import Pretraining
from eqmodels.training.run import Run

__all__ = ["snapshot", "untrained"]


def snapshot(training: Pretraining) -> Run:
    """The network in eval mode, with its objective and log; it is the pretraining's own, not a copy.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(snapshot, locals())
    seconds = sum((row["seconds"] for row in training.progress.log), 0.0)
    sources = provenance(training.data, seconds, training.world.size, training.progress.precision)
    model, log = training.model.eval(), training.progress.log
    return Run(training.config, model, training.preprocessing, log, sources)


def untrained(config: PretrainConfig, images: Source) -> Run:
    """The network of a config as it is initialised: the control without any training.

    Args:
        config: of the training that it does not get.
        images: of that training: they give the preprocessing.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: as `Pretraining`.
    """
    check_arguments(untrained, locals())
    config = settled(config)
    # No step is taken, so that images need not be as many as those of one.
    stepless = config.replaced(batch_size=min(config.optimisation.batch_size, len(images)), accumulate=1)
    with torch.random.fork_rng(devices=[]):
        return replace(snapshot(Pretraining(stepless, images)), config=config)
