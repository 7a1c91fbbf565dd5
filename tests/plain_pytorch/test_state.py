"""The state of a network: parameters and running statistics, the same in every mode."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from eqmodels import create_model

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def assert_equal_outputs(first, second, images):
    with torch.no_grad():
        assert torch.equal(first.eval()(images), second.eval()(images))


def test_state_has_the_same_keys_in_train_and_eval(model, images):
    keys = list(model.state_dict())
    assert list(model.eval().state_dict()) == keys
    with torch.no_grad():
        model(images)
        model.train()(images)
    assert list(model.state_dict()) == keys


def test_state_is_parameters_and_running_statistics(model):
    others = model.state_dict().keys() - dict(model.named_parameters()).keys()
    assert {key for key in others if key.split(".")[-1] not in STATISTICS} == set()


def test_a_saved_file_is_about_as_large_as_the_parameters(model, tmp_path):
    torch.save(model.state_dict(), tmp_path / "state.pt")
    numbers = sum(value.numel() for value in model.state_dict().values())
    overhead_a_tensor = 512
    assert (tmp_path / "state.pt").stat().st_size < 4 * numbers + overhead_a_tensor * len(model.state_dict()) + 4096


def test_a_deep_copy_is_equal_and_independent(model, images):
    twin = copy.deepcopy(model)
    assert_equal_outputs(twin, model, images)
    before = model(images)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert torch.equal(model(images), before)


def test_pickle_round_trip(model, images):
    assert_equal_outputs(pickle.loads(pickle.dumps(model)), model, images)


def test_state_round_trip_through_a_file(model, images, tmp_path):
    torch.save(model.state_dict(), tmp_path / "state.pt")
    fresh = copy.deepcopy(model)
    with torch.no_grad():
        for value in fresh.state_dict().values():
            value.zero_()
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert_equal_outputs(fresh, model, images)


def test_a_state_saved_in_train_mode_loads_in_eval_mode_and_back(model, images):
    state = copy.deepcopy(model.train().state_dict())
    model.eval().load_state_dict(state)
    model.train().load_state_dict(model.eval().state_dict())


def test_loading_is_strict(model):
    state = model.state_dict()
    first = next(iter(state))
    with pytest.raises(RuntimeError, match=f'Missing key.*"{first}"'):
        model.load_state_dict({key: value for key, value in state.items() if key != first})
    with pytest.raises(RuntimeError, match=r'Unexpected key.*"stray"'):
        model.load_state_dict(state | {"stray": torch.zeros(1)})
    with pytest.raises(RuntimeError, match=r"size mismatch for fc\.bias"):
        model.load_state_dict(state | {"fc.bias": torch.zeros(7)})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_and_nothing_is_loaded(model, images, value):
    state = {key: torch.zeros_like(tensor) for key, tensor in model.state_dict().items()}
    state["fc.bias"][0] = value
    before = model.eval()(images)
    with pytest.raises(
        ValueError, match=r"weights must be finite; 1 of \d+ .* 'fc.bias'\. Nothing of the encoder was loaded: use a"
    ):
        model.load_state_dict(state)
    assert torch.equal(model(images), before)


def test_a_teacher_in_eval_mode_follows_its_student(model, images):
    teacher = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=True).eval()
    with torch.no_grad():
        before = teacher(images)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        # The first update copies, the following ones average.
        teacher.update_parameters(model)
        copied = teacher(images)
        assert_equal_outputs(teacher, model, images)
        assert not torch.allclose(copied, before)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        teacher.update_parameters(model)
        assert not torch.allclose(teacher(images), copied)
        rebuilt = copy.deepcopy(model)
        rebuilt.load_state_dict(teacher.module.state_dict())
        assert_equal_outputs(teacher, rebuilt, images)


def test_a_changed_weight_shows_in_the_next_output_in_eval_mode(images):
    model = create_model("c4_resnet18s_w8", num_classes=3).eval()
    with torch.no_grad():
        before = model(images)
        model.stem.conv.weight.mul_(-1)
        assert not torch.allclose(model(images), before)


def test_converting_the_dtype_converts_every_buffer_that_takes_part(model, images):
    with torch.no_grad():
        outputs = copy.deepcopy(model).double().eval()(images.double())
        assert outputs.dtype == torch.float64
        torch.testing.assert_close(model.eval()(images).double(), outputs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("decay", [0.9, 0.996, 0.9999])
def test_an_averaged_teacher_of_an_unchanged_student_is_the_student(model, images, decay):
    """Averaging the buffers too must not touch the tables that say where a weight goes."""
    teacher = AveragedModel(
        model.eval(), avg_fn=lambda old, new, _: decay * old + (1 - decay) * new, use_buffers=True
    ).eval()
    for _ in range(3):
        teacher.update_parameters(model)
    torch.testing.assert_close(teacher(images), model(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("way", ["assigned", "emptied", "halved"])
def test_the_state_alone_makes_the_network_whatever_happened_before(model, images, way):
    other = copy.deepcopy(model)
    other = other.bfloat16().float() if way == "halved" else other.to("meta")
    other = other.to_empty(device="cpu") if way == "emptied" else other
    other.load_state_dict(model.state_dict(), assign=way == "assigned")
    assert_equal_outputs(other, model, images)


def test_weights_that_are_not_finite_are_refused_by_what_contains_the_network_too(model):
    detector = torch.nn.Sequential(torch.nn.Identity(), model)
    before = copy.deepcopy(model.state_dict())
    state = copy.deepcopy(detector.state_dict())
    state["1.stem.conv.weight"].view(-1)[0] = float("nan")
    with pytest.raises(ValueError, match=r"weights must be finite; 1 of .* the first is '1\.stem\.conv\.weight'"):
        detector.load_state_dict(state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
