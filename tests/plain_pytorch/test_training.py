"""What a training loop does to a network: autocast, gradient checkpointing, memory formats, synchronised norms."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from eqmodels import create_model

LABELS = torch.tensor([0, 1, 2, 0])


def without_dropout(model):
    """Dropout draws numbers; what is compared here must not depend on how many were drawn before."""
    for module in model.modules():
        if hasattr(module, "p"):
            module.p = 0.0
    return model


def step(model, images):
    """Loss and gradients of one batch."""
    model.zero_grad()
    loss = F.cross_entropy(model(images), LABELS)
    loss.backward()
    return loss.detach(), {name: parameter.grad for name, parameter in model.named_parameters()}


def test_every_parameter_has_a_gradient(model, images):
    _, gradients = step(model, images)
    assert [name for name, value in gradients.items() if value is None or not value.isfinite().all()] == []
    # A pooled maximum passes no gradient to some scores, but no whole parameter is cut off.
    assert [name for name, value in gradients.items() if not value.any()] == []


def test_autocast_to_bfloat16_runs_both_ways(model, images):
    model = without_dropout(model)
    reference, exact = step(copy.deepcopy(model), images)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images)
        assert logits.dtype == torch.bfloat16
    loss = F.cross_entropy(logits.float(), LABELS)
    loss.backward()
    assert float(loss.detach() - reference) == pytest.approx(0, abs=0.1 * max(float(reference), 1))
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}
    cosine = F.cosine_similarity(model.fc.weight.grad.flatten(), exact["fc.weight"].flatten(), dim=0)
    assert float(cosine) > 0.95


def test_gradient_checkpointing_changes_neither_loss_nor_gradients_nor_statistics(model, images):
    model, twin = without_dropout(model).double(), copy.deepcopy(without_dropout(model)).double()
    twin.set_grad_checkpointing()
    assert twin.grad_checkpointing
    images = images.double()
    loss, gradients = step(model, images)
    same_loss, same_gradients = step(twin, images)
    assert torch.equal(loss, same_loss)
    for name, gradient in gradients.items():
        torch.testing.assert_close(same_gradients[name], gradient, rtol=1e-9, atol=1e-12)
    for (name, value), same in zip(model.state_dict().items(), twin.state_dict().values(), strict=True):
        assert torch.equal(value, same), name
    twin.set_grad_checkpointing(False)
    assert not twin.grad_checkpointing


def test_gradient_checkpointing_repeats_the_same_dropout(model, images):
    twin = copy.deepcopy(model)
    twin.set_grad_checkpointing()
    torch.manual_seed(1)
    _, gradients = step(model, images)
    torch.manual_seed(1)
    _, same = step(twin, images)
    for name, gradient in gradients.items():
        torch.testing.assert_close(same[name], gradient, rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("options", [{}, {"find_unused_parameters": True}, {"static_graph": True}], ids=str)
@pytest.mark.parametrize("name", ["c4_resnet18s_w4", "resnet18s_w8"])
def test_gradient_checkpointing_under_data_parallelism_counts_statistics_once(
    name, options, images, one_process, shallow
):
    model = create_model(name, num_classes=3).double()
    twin = copy.deepcopy(model)
    twin.set_grad_checkpointing()
    parallel = DistributedDataParallel(twin, **options)
    for number in range(3):
        batch = images.double() + number
        loss, gradients = step(model, batch)
        same_loss, same_gradients = step(parallel, batch)
        torch.testing.assert_close(same_loss, loss, rtol=1e-9, atol=1e-12)
        for place, gradient in gradients.items():
            torch.testing.assert_close(same_gradients[f"module.{place}"], gradient, rtol=1e-9, atol=1e-12)
    for (place, value), same in zip(model.state_dict().items(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(same, value, rtol=1e-9, atol=1e-12, msg=lambda m, n=place: f"{n}: {m}")


def test_channels_last_changes_nothing(model, images):
    model = without_dropout(model).double()
    expected, gradients = step(copy.deepcopy(model), images.double())
    loss, same = step(model, images.double().to(memory_format=torch.channels_last))
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-12)
    for name, gradient in gradients.items():
        torch.testing.assert_close(same[name], gradient, rtol=1e-7, atol=1e-10)


def test_running_statistics_follow_the_batches(model, images):
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        model(images)
    after = model.state_dict()
    tracked = [key for key in before if "running" in key]
    assert all(not torch.equal(before[key], after[key]) for key in tracked)
    assert all(after[key] == before[key] + 1 for key in before if key.endswith("num_batches_tracked"))


def test_batch_norms_are_found_and_replaced_by_synchronised_ones(model):
    count = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    keys = list(model.state_dict())
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert sum(isinstance(module, nn.SyncBatchNorm) for module in converted.modules()) == count
    assert list(converted.state_dict()) == keys


def test_its_children_in_order_are_the_network(model, images):
    model.eval()
    with torch.no_grad():
        assert torch.equal(nn.Sequential(*model.children())(images), model(images))


def test_frozen_weights_get_no_gradient(model, images):
    model.stem.requires_grad_(False)
    _, gradients = step(model, images)
    assert all(value is None for name, value in gradients.items() if name.startswith("stem."))
    assert gradients["fc.weight"] is not None
