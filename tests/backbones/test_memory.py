"""A network that no machine has the memory for is refused in a sentence."""

from __future__ import annotations

import os

import pytest
import torch

from eqmodels import EqmodelsError, create_model
from eqmodels.backbones.memory import machine_memory, within_memory
from eqmodels.cli import main

HUGE = "c4_resnet18s_w4000000"


def test_memory_that_is_not_there_is_named():
    sentence = f"^{HUGE} needs more memory than this machine can give. Name a narrower network"
    with pytest.raises(EqmodelsError, match=sentence), within_memory(HUGE):
        create_model(HUGE)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")])
def test_so_is_that_of_python_and_of_a_gpu(error):
    with pytest.raises(EqmodelsError, match=r"^it needs more memory"), within_memory("it"):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), EqmodelsError("out of memory of its own")])
def test_other_errors_are_left_as_they_are(error):
    with pytest.raises(type(error)) as found, within_memory("it"):
        raise error
    assert found.value is error


def test_the_command_says_so(capsys):
    assert main(["report", HUGE]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"eqmodels: {HUGE} needs more memory")
    assert captured.err.count("\n") == 1


def test_the_memory_of_the_machine_is_known_or_without_bound(monkeypatch):
    assert 2**28 < machine_memory() < 2**50
    monkeypatch.delattr(os, "sysconf")
    assert machine_memory() == float("inf")
