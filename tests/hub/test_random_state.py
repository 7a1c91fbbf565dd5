"""Loading draws no random number: what a caller draws next is what would have been drawn without it."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from eqmodels import load
from eqmodels.hub import load_pretrained, verify
from eqmodels.training import Pretraining
from tests.training.runs import photos, tiny


def next_numbers() -> tuple[float, float, float]:
    """One number of each generator that a caller may have seeded."""
    return float(torch.rand(())), float(np.random.rand()), random.random()  # noqa: NPY002


@pytest.fixture
def undisturbed():
    """The next numbers of generators that are then put back to where they were."""
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    found = next_numbers()
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    random.setstate(states[2])
    return found


@pytest.mark.parametrize(
    "call",
    [
        load,
        lambda folder: load(folder, num_classes=0, in_chans=3),
        lambda folder: load(folder, global_pool="regular"),
        load_pretrained,
        lambda folder: load_pretrained(folder).encoder("canonical"),
        verify,
    ],
)
def test_the_next_random_numbers_are_the_caller_s(call, folder, undisturbed):
    call(folder)
    assert next_numbers() == undisturbed


def test_an_encoder_that_was_saved_alone_draws_none(folder, tmp_path, undisturbed):
    load(folder).save_pretrained(tmp_path / "encoder")
    load(tmp_path / "encoder")
    assert next_numbers() == undisturbed


def test_a_run_that_is_not_done_draws_none(tmp_path):
    training = Pretraining(tiny(), photos())
    training.step()
    training.save(tmp_path)
    state = torch.get_rng_state()
    load_pretrained(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_fresh_classifier_is_the_caller_s_to_seed(folder):
    torch.manual_seed(1)
    first = load(folder, num_classes=3)
    second = load(folder, num_classes=3)
    torch.manual_seed(1)
    again = load(folder, num_classes=3)
    assert torch.equal(first.fc.weight, again.fc.weight)
    assert not torch.equal(first.fc.weight, second.fc.weight)
