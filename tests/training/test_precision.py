"""``precision="auto"``: what the device multiplies itself, and one precision from a run's first step to its last."""

from __future__ import annotations

import pytest
import torch

from eqmodels.processes.devices import usable_precision
from eqmodels.training import Learner, load_run, pretrain
from tests.training.runs import photos, tiny

CPU = torch.device("cpu")


@pytest.fixture
def processor(monkeypatch):
    """A function that makes the processor one with the given instructions."""

    def become(*, native: bool):
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda: native, raising=False)

    return become


def test_a_processor_without_such_instructions_computes_in_float32(processor, monkeypatch):
    processor(native=True)
    assert usable_precision("auto", CPU) == "bfloat16"
    processor(native=False)
    assert usable_precision("auto", CPU) == "float32"
    assert usable_precision("auto", torch.device("meta")) == "float32"
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name)
    assert usable_precision("auto", CPU) == "float32"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_precision_that_is_named_is_taken_everywhere(processor, precision):
    for native in (False, True):
        processor(native=native)
        assert usable_precision(precision, CPU) == precision


def test_a_run_that_goes_on_keeps_its_precision_and_says_which(processor, tmp_path):
    whole = tiny(precision="auto", epochs=2)
    processor(native=False)
    pretrain(whole, tmp_path / "whole", data=photos(), quiet=True)
    pretrain(tiny(precision="float32", epochs=2), tmp_path / "named", data=photos(), quiet=True)

    images, asked = photos(), []
    original = type(images).pixels

    def pixels(self, indices):
        asked.append(indices)
        if len(asked) > 9:  # in the second epoch
            raise KeyboardInterrupt
        return original(self, indices)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(images), "pixels", pixels)
        with pytest.raises(KeyboardInterrupt):
            pretrain(whole, tmp_path / "stopped", data=images, quiet=True)
    assert (tmp_path / "stopped" / "checkpoint.pt").is_file()
    processor(native=True)
    pretrain(whole, tmp_path / "stopped", data=photos(), quiet=True)
    runs = {name: load_run(tmp_path / name) for name in ("whole", "stopped", "named")}
    assert {run.provenance["precision"] for run in runs.values()} == {"float32"}
    assert len({run.sha256 for run in runs.values()}) == 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_epoch_is_computed_in_it(precision, tmp_path, monkeypatch):
    config, computed, original = tiny(precision=precision, epochs=3), [], Learner.forward

    def forward(self, *arguments):
        computed.append(torch.is_autocast_enabled("cpu"))
        return original(self, *arguments)

    monkeypatch.setattr(Learner, "forward", forward)
    run = pretrain(config, tmp_path / "run", data=photos(), quiet=True)
    assert len(computed) >= 3
    assert set(computed) == {precision == "bfloat16"}
    assert run.provenance["precision"] == precision
