"""A run is a function of its config: determinism, parts of a step, clipping, what it writes and gives back."""

from __future__ import annotations

import csv
import json
import math
import sys
from functools import partial

import pytest
import torch

from eqmodels.training import Pretraining, pretrain, training_images
from eqmodels.training.images import preprocessing_of
from eqmodels.training.log import tensorboard_rows
from tests.training.runs import DEMANDING, photos, tiny, weights


def trained(config, folder, **options):
    options = {"data": photos(), "device": "cpu", "quiet": True, **options}
    return pretrain(config, folder, **options)


def assert_states_close(first, second, tolerance):
    for (name, a), (_, b) in zip(first.state_dict().items(), second.state_dict().items(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("changes", [{}, DEMANDING], ids=["tiny", "demanding"])
def test_two_runs_of_one_config_give_the_same_weights_bit_for_bit(tmp_path, changes):
    config = tiny(**changes, epochs=2)
    torch.manual_seed(5)
    trained(config, tmp_path / "a")
    torch.rand(17)
    trained(config, tmp_path / "b")
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_another_seed_gives_other_weights(tmp_path):
    for seed in (0, 1):
        trained(tiny(epochs=1, seed=seed), tmp_path / str(seed))
    assert weights(tmp_path / "0") != weights(tmp_path / "1")


def test_a_run_leaves_the_global_generator_alone(tmp_path):
    before = torch.get_rng_state()
    trained(tiny(epochs=1, head="mlp", head_dropout=0.5), tmp_path)
    assert torch.equal(before, torch.get_rng_state())


def test_a_network_learns_the_task(tmp_path):
    # Wide enough that every seed learns: of a field or two, ReLU can leave nothing.
    run = trained(tiny(model="c4_resnet18s_w16", head_hidden=64, augment="none", epochs=12), tmp_path)
    first, last = run.log[0], run.log[-1]
    assert last["loss"] < 0.5 * math.log(4) < 0.8 * math.log(4) < first["loss"]
    assert last["accuracy_rotation"] > 0.8


@pytest.mark.parametrize("model", ["c4_resnet18s_w8", "d4_resnet18s_w16"])
def test_a_step_in_parts_is_the_step_with_layer_norm(tmp_path, model):
    config = {"model": model, "norm": "layer", "epochs": 2, "augment": "simclr"}
    whole = trained(tiny(**config), tmp_path / "whole")
    parts = trained(tiny(**config, accumulate=4), tmp_path / "parts")
    assert_states_close(whole.model, parts.model, 1e-6)
    for a, b in zip(whole.log, parts.log, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-5)
        assert a["accuracy_rotation"] == b["accuracy_rotation"]


@pytest.mark.parametrize("bound", [1e-3, 0.1])
def test_the_gradient_is_clipped_to_its_bound(bound):
    def gradients(**changes):
        run = Pretraining(tiny(**changes), photos())
        run.network.train()
        run.step()
        return torch.cat([parameter.grad.flatten() for parameter in run.model.parameters()])

    free, clipped = gradients(), gradients(clip_norm=bound)
    assert float(free.norm()) > bound
    assert float(clipped.norm()) == pytest.approx(bound, rel=1e-3)
    torch.testing.assert_close(clipped, free * bound / free.norm(), rtol=1e-3, atol=1e-8)
    assert torch.equal(gradients(clip_norm=1e6), free)


def test_channels_last_and_bfloat16_change_rounding_alone(tmp_path):
    exact = trained(tiny(epochs=1, channels_last=False), tmp_path / "exact").log[0]["loss"]
    for name, changes, tolerance in [
        ("strides", {"channels_last": True}, 1e-4),
        ("bf16", {"precision": "bfloat16"}, 0.05),
    ]:
        run = trained(tiny(epochs=1, **changes), tmp_path / name)
        assert run.log[0]["loss"] == pytest.approx(exact, abs=tolerance)
        assert {value.dtype for value in run.model.parameters()} == {torch.float32}


def test_the_folder_has_a_log_with_a_row_an_epoch(tmp_path):
    run = trained(tiny(task="rotation+blur", head="mlp", epochs=2), tmp_path)
    with (tmp_path / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    names = "epoch loss learning_rate accuracy_rotation accuracy_blur seconds images_per_second"
    assert list(rows[0]) == names.split()
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row, logged in zip(rows, run.log, strict=True):
        assert {name: float(value) for name, value in row.items()} == pytest.approx(logged, rel=1e-5)
    assert {file.name for file in tmp_path.iterdir()} == {
        "checkpoint.pt",
        "config.json",
        "log.csv",
        "model.safetensors",
    }


def test_the_run_says_where_it_comes_from(tmp_path):
    run = trained(tiny(epochs=1), tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["provenance"] == run.provenance
    assert run.provenance["data"] == {"name": "photos", "images": 40, "channels": 1, "classes": list("abcd")}
    assert run.provenance["torch"] == torch.__version__
    assert run.preprocessing == preprocessing_of(run.config, photos())


def test_images_are_normalised_by_what_is_saved():
    data = photos(channels=3)
    normalised = preprocessing_of(tiny(), data).normalise(data.pixels())
    torch.testing.assert_close(normalised.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(normalised.std((0, 2, 3)), torch.ones(3), rtol=0, atol=1e-3)


def test_a_finished_run_is_returned_at_once(tmp_path, monkeypatch):
    first = trained(tiny(epochs=1), tmp_path)
    monkeypatch.setattr(Pretraining, "step", None)  # nothing is trained
    (tmp_path / "checkpoint.pt").unlink()  # nor needed
    second = trained(tiny(epochs=1), tmp_path)
    assert_states_close(first.model, second.model, 0)
    assert (first.log, first.sha256, first.config) == (second.log, second.sha256, second.config)


def test_fewer_epochs_than_a_second_leave_a_checkpoint_only_at_their_ends(tmp_path, monkeypatch):
    saved = []
    save = Pretraining.save
    monkeypatch.setattr(Pretraining, "save", lambda run, folder: (saved.append(run.progress.epoch), save(run, folder)))
    trained(tiny(epochs=2), tmp_path / "rare", checkpoint_seconds=1e6)
    assert saved == [0, 1, 2]
    saved.clear()
    trained(tiny(epochs=2), tmp_path / "often", checkpoint_seconds=0.0)
    assert len(saved) == 1 + 2 * 5


def test_the_training_images_are_those_of_the_config():
    every = training_images(tiny())
    assert (len(every), every.channels) == (6000, 1)
    some = training_images(tiny(limit=30, to_rgb=True))
    assert (len(some), some.channels) == (30, 3)
    assert some.labels.bincount().tolist() == [3] * 10
    coloured = training_images(tiny(limit=30, coloured=True))
    assert coloured.channels == 3
    assert not torch.equal(coloured.pixels(slice(None)), some.pixels(slice(None)))
    assert len(training_images(tiny(limit=6010))) == 6000


@pytest.mark.slow
@pytest.mark.tracing
def test_a_compiled_network_trains_alike_and_leaves_the_same_names(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    plain = trained(tiny(epochs=1), tmp_path / "plain")
    compiled = trained(tiny(epochs=1, compile=True), tmp_path / "compiled")
    assert type(compiled.model) is type(plain.model)
    assert_states_close(plain.model, compiled.model, 1e-5)


@pytest.mark.tracing
@pytest.mark.slow
def test_a_network_compiled_to_machine_code_trains_alike(tmp_path):
    plain = trained(tiny(epochs=1), tmp_path / "plain")
    compiled = trained(tiny(epochs=1, compile=True), tmp_path / "compiled")
    assert_states_close(plain.model, compiled.model, 1e-4)


def test_tensorboard_that_is_not_installed_is_missed_before_anything_happens(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"^tensorboard=True needs .* run: pip install tensorboard, or "):
        trained(tiny(), tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


def scalars(folder):
    """What TensorBoard reads from a folder: numbers by name and epoch."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {(name, event.step): event.value for name in events.Tags()["scalars"] for event in events.Scalars(name)}


def test_tensorboard_reads_every_number_of_the_log(tmp_path):
    run = trained(tiny(epochs=2), tmp_path, tensorboard=True)
    logged = {(name, row["epoch"]): row[name] for row in run.log for name in row if name != "epoch"}
    assert {epoch for _, epoch in logged} == {1, 2}
    assert scalars(tmp_path / "tensorboard") == pytest.approx(logged, rel=1e-6)


def test_tensorboard_forgets_the_epochs_of_a_stopped_run_that_are_trained_again(tmp_path):
    for first, losses in ((1, (3.0, 2.0, 1.5)), (2, (2.5,))):
        with tensorboard_rows(tmp_path, first) as add:
            for epoch, loss in enumerate(losses, first):
                add({"epoch": epoch, "loss": loss})
    assert scalars(tmp_path / "tensorboard") == {("loss", 1): 3.0, ("loss", 2): 2.5}
