"""Ranks candidate transformations for a data set, before any long pretraining."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from eqmodels.arguments import check_arguments
from eqmodels.data import Source
from eqmodels.evaluation import observe
from eqmodels.measures import SynergyTerms, measure_synergy
from eqmodels.training import PretrainConfig, Pretraining, snapshot

__all__ = ["TaskRank", "rank_tasks"]


@dataclass(frozen=True)
class TaskRank:
    """How promising a transformation is.

    Attributes:
        task: which.
        score: the synergy after a brief pretraining, as a part of ``log|A|``; what is ranked by.
        terms: all terms of information after it.
    """

    task: str
    score: float
    terms: SynergyTerms

    def to_dict(self) -> dict[str, Any]:
        """All values by name, ready for JSON."""
        return asdict(self)


def rank_tasks(
    train: Source,
    test: Source,
    tasks: Sequence[str],
    *,
    model: str,
    augment: str = "none",
    epochs: int = 1,
    batch_size: int = 128,
    folds: int = 5,
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> tuple[tuple[TaskRank, ...], dict[str, str]]:
    """The tasks in falling order of synergy after a brief pretraining with each, and those that cannot be asked.

    The first two principles of the paper as one number: a transformation that loses something, ``H(A|Z) > 0``, of which
    the class brings much back, has a large ``H_V(A|Z) - H_V(A|Z,C)``. How well this predicts the linear probe is a
    measured question, see docs/why.md.

    Args:
        train: images that are pretrained on.
        test: held-out images with classes, on which information is measured.
        tasks: the candidates, see `create_task`.
        model: the backbone.
        augment: the augmentation.
        epochs: of the brief pretraining.
        batch_size: images a step.
        folds: of the cross-fitting.
        seed: of everything that is random.
        report: called with a word on what is being done.

    Returns:
        The ranks, and the reasons why tasks cannot be asked, by name.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a class has too few images, or no task can be asked.
    """
    check_arguments(rank_tasks, locals())
    ranks, impossible = [], {}
    for task in tasks:
        report(task)
        try:
            config = PretrainConfig.of(
                model=model,
                head="mlp",
                head_hidden=512,
                task=task,
                augment=augment,
                epochs=epochs,
                batch_size=min(batch_size, len(train)),
                seed=seed,
            )
            with torch.random.fork_rng(devices=[]):
                training = Pretraining(config, train)
                for _ in range(epochs):
                    training.epoch()
        except ValueError as error:
            impossible[task] = str(error)
            continue
        terms = measure_synergy(observe(snapshot(training), test, seed=seed), folds=folds, seed=seed)
        ranks.append(TaskRank(task, terms.normalised("unlocked"), terms))
    if not ranks:
        raise ValueError(f"none of the tasks can be asked of {train.name}: {'; '.join(impossible.values())}")
    return tuple(sorted(ranks, key=lambda rank: -rank.score)), impossible
