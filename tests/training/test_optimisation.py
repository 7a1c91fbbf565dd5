"""The learning rate is a pure function of the step."""

from __future__ import annotations

import pytest
import torch

from eqmodels.training import OptimisationConfig
from eqmodels.training.optimisation import create_optimiser, learning_rate_at


def rates(steps_per_epoch: int = 10, **values) -> list[float]:
    config = OptimisationConfig(learning_rate=1.0, **values)
    return [learning_rate_at(config, step, steps_per_epoch) for step in range(config.epochs * steps_per_epoch)]


def test_warm_up_grows_linearly_to_the_learning_rate():
    assert rates(epochs=10, warmup_epochs=1.0)[:10] == pytest.approx([0.1 * k for k in range(1, 11)])


@pytest.mark.parametrize("schedule", ["cosine", "multistep"])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.25, 0.77, 1.0, 2.5, 3.0])
def test_no_rate_is_above_the_learning_rate_or_not_positive(schedule, warmup):
    every = rates(epochs=3, warmup_epochs=warmup, schedule=schedule)
    assert 0 < min(every) <= max(every) <= 1


def test_cosine_falls_from_the_learning_rate_to_the_final_one():
    config = OptimisationConfig(epochs=4, warmup_epochs=1.0, learning_rate=1.0, final_learning_rate=0.1)
    every = rates(epochs=4, warmup_epochs=1.0, final_learning_rate=0.1)
    assert every[10] == 1
    assert every[25] == pytest.approx(0.55)  # half way, half way
    assert every[10:] == sorted(every[10:], reverse=True)
    assert every[-1] == pytest.approx(0.1, abs=0.003)
    assert learning_rate_at(config, 40, 10) == pytest.approx(0.1)


def test_multistep_falls_at_30_60_and_80_per_cent():
    every = rates(epochs=10, warmup_epochs=0.0, schedule="multistep")
    for first, last, factor in [(0, 30, 1), (30, 60, 0.2), (60, 80, 0.04), (80, 100, 0.008)]:
        assert every[first:last] == pytest.approx([factor] * (last - first))


@pytest.mark.parametrize("schedule", ["cosine", "multistep"])
def test_the_rate_depends_on_the_part_of_the_run_alone(schedule):
    config = OptimisationConfig(epochs=10, warmup_epochs=2.0, schedule=schedule)
    for epoch in range(2, 10):
        assert learning_rate_at(config, 300 * epoch, 300) == pytest.approx(learning_rate_at(config, epoch, 1))


def test_the_optimisers_are_those_of_the_config():
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]}]
    sgd = create_optimiser(OptimisationConfig(weight_decay=0.3), groups)
    assert isinstance(sgd, torch.optim.SGD)
    assert (sgd.defaults["momentum"], sgd.defaults["nesterov"], sgd.defaults["weight_decay"]) == (0.9, True, 0.3)
    adamw = create_optimiser(OptimisationConfig(optimiser="adamw", weight_decay=0.3), groups)
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.defaults["weight_decay"] == 0.3
