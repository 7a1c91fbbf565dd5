"""Random numbers depend on the seed, their purpose and the position, and on nothing else."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch

from eqmodels.objectives.randomness import Purpose, generator_for, seed_dropout
from eqmodels.training import Pretraining
from tests.training.runs import photos, tiny


def test_the_same_arguments_give_the_same_numbers_whatever_was_drawn_before():
    first = torch.rand(8, generator=generator_for(1, Purpose.LABELS, 2, 3))
    torch.rand(100)
    assert torch.equal(first, torch.rand(8, generator=generator_for(1, Purpose.LABELS, 2, 3)))


def test_every_argument_matters():
    arguments = [
        (seed, purpose, epoch, step) for seed in (0, 1) for purpose in Purpose for epoch in (0, 1) for step in (0, 1)
    ]
    drawn = [torch.rand(8, generator=generator_for(*each)) for each in arguments]
    assert not any(torch.equal(a, b) for a, b in combinations(drawn, 2))
    # Neighbouring streams are not each other's shifts either: no number comes twice.
    assert torch.cat(drawn).unique().numel() == 8 * len(arguments)


def test_dropout_is_a_function_of_its_position():
    seed_dropout(0, 1, 2)
    first = torch.rand(8)
    torch.rand(100)
    seed_dropout(0, 1, 2)
    assert torch.equal(first, torch.rand(8))
    seed_dropout(0, 1, 3)
    assert not torch.equal(first, torch.rand(8))


def test_a_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    torch.rand(8, generator=generator_for(0, Purpose.ORDER, 1))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("augment", ["none", "crop_flip", "simclr"])
def test_batches_are_a_function_of_their_position(augment):
    run = Pretraining(tiny(augment=augment, turn="always"), photos())
    images, labels = run.views(1, 2)
    run.views(0, 0)
    again, again_labels = Pretraining(tiny(augment=augment, turn="always"), photos()).views(1, 2)
    assert torch.equal(images, again)
    assert torch.equal(labels, again_labels)
    for epoch, step in [(1, 3), (0, 2)]:
        assert not torch.equal(images, run.views(epoch, step)[0])


def test_an_epoch_has_every_image_once_in_an_order_of_its_own():
    data = photos()
    run = Pretraining(tiny(augment="none", turn="auto"), data)
    epochs = [torch.cat([run.views(epoch, step)[0] for step in range(5)]) for epoch in (0, 1)]
    every = data.pixels()
    for seen in epochs:
        assert sorted(seen.flatten(1).tolist()) == sorted(every.flatten(1).tolist())
    assert not torch.equal(*epochs)
