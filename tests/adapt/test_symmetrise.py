"""The laws of symmetrised networks: of every group, output and shape of image, whatever the network is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from eqmodels import Encoder, PlanarGroup
from eqmodels.adapt import canonicalise, posing, symmetrise
from eqmodels.backbones import Orbit, Symmetrised
from eqmodels.evaluation import assert_equivariant, equivariance_report
from eqmodels.export import to_plain

GROUPS = ["c1", "c2", "c4", "d1", "d2", "d4"]
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}


def network(*layers):
    """A network without any symmetry."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.Conv2d(6, 5, 3), *layers).eval()


class Counting(nn.Module):
    """The same network, which notes how many images it is asked about at a time."""

    def __init__(self):
        super().__init__()
        self.inner, self.asked = network(), []

    def forward(self, batch):
        self.asked.append(len(batch))
        return self.inner(batch)


def images(*size, dtype=torch.float64, count=2):
    return torch.randn(count, 3, *size, dtype=dtype, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("size", [(13, 13), (12, 17)], ids=str)
@pytest.mark.parametrize("output", ["mean", "max", "regular", "maps"])
@pytest.mark.parametrize("group", GROUPS)
def test_the_output_turns_as_its_field_says(group, output, size, dtype):
    model = symmetrise(network(), group, output=output).to(dtype)
    upright = images(*size, dtype=dtype)
    with torch.no_grad():
        original = model(upright)
        for g in model.group.elements:
            found = model(model.group.act(g, upright))
            torch.testing.assert_close(
                found, model.out_field.act(model.group, g, original), rtol=0, atol=TOLERANCES[dtype]
            )
    assert original.std(0).max() > 1e-3, "it does not depend on the image"


@pytest.mark.parametrize("size", [(13, 13), (12, 17)], ids=str)
def test_maps_are_the_mean_of_those_of_moved_copies_turned_back(size):
    inner, group = network().double(), PlanarGroup(4, reflections=True)
    upright = images(*size)
    copies = [group.act(h, inner(group.act(group.inverse(h), upright))) for h in group.elements]
    model = symmetrise(inner, "d4", output="maps").double()
    torch.testing.assert_close(model(upright), torch.stack(copies).mean(0))
    torch.testing.assert_close(symmetrise(inner, "d4").double()(upright), torch.stack(copies).mean((0, -2, -1)))
    highest = torch.stack(copies).mean((-2, -1)).amax(0)
    torch.testing.assert_close(symmetrise(inner, "d4", output="max").double()(upright), highest)


def test_the_trivial_group_leaves_the_network_as_it_is():
    inner = network()
    torch.testing.assert_close(
        symmetrise(inner, "c1", output="maps")(images(13, 13).float()), inner(images(13, 13).float())
    )


def test_weights_of_the_mean_are_learned_and_leave_it_invariant():
    inner, upright = network().double(), images(12, 17)
    model = symmetrise(inner, "d4", output="weighted").double()
    torch.testing.assert_close(model(upright), symmetrise(inner, "d4").double()(upright))
    inner.requires_grad_(False)
    optimiser = torch.optim.SGD(model.global_pool.pose.parameters(), lr=1.0)
    for _ in range(2):
        optimiser.zero_grad()
        before = model(upright).square().sum()
        before.backward()
        optimiser.step()
    assert model(upright).square().sum() < before
    assert_equivariant(model, size=(12, 17), tolerance=1e-10)


def test_canonical_pooling_and_heads_read_its_regular_features():
    model = symmetrise(network(), "d4", output="regular")
    model.reset_classifier(3, "invariant")
    assert_equivariant(model, size=(12, 15), tolerance=1e-10)
    pose = Symmetrised("d4", source=network(), global_pool="canonical", pose_hidden=64)
    assert_equivariant(pose, size=12, tolerance=1e-10)


def test_a_processor_is_asked_about_few_images_at_a_time_and_training_about_all():
    counted = Counting()
    model = symmetrise(counted, "d4", output="regular")
    asked = counted.asked

    def sizes(count):
        asked.clear()
        model(images(12, 12, count=count).float())
        return list(asked)

    assert [sizes(count) for count in (1, 2, 4, 5, 40)] == [[8], [16], [16, 16], [15, 15, 10], [40] * 8]
    model.train()
    assert sizes(40) == [320], "batch statistics are of all copies"
    assert sum(sizes(0)) == 0
    whole = symmetrise(network(), "d4", output="regular", at_a_time=8)
    upright = images(13, 13, count=20).float()
    torch.testing.assert_close(model.eval()(upright), whole(upright))


@pytest.mark.parametrize("at_a_time", [1, 3])
@pytest.mark.parametrize("size", [(13, 13), (12, 17)], ids=str)
def test_elements_at_a_time_bound_the_batch_and_change_nothing(at_a_time, size):
    counted, upright = Counting(), images(*size)
    whole = symmetrise(counted, "d4", output="regular").double()
    part = symmetrise(counted, "d4", output="regular", at_a_time=at_a_time)
    asked = counted.asked
    asked.clear()
    expected = whole(upright)
    assert asked == ([16] if size[0] == size[1] else [8, 8])
    asked.clear()
    torch.testing.assert_close(part(upright), expected, rtol=0, atol=1e-12)
    assert max(asked) == 2 * at_a_time
    assert sum(asked) == 16


def test_a_part_of_the_orbit_is_drawn_in_training_alone():
    counted, upright = Counting(), images(13, 13)
    model = symmetrise(counted, "d4", drawn=3).double().train()
    asked = counted.asked
    asked.clear()
    first, second = model(upright), model(upright)
    assert asked == [6, 6]
    assert not torch.equal(first, second), "the same elements are drawn again"
    torch.manual_seed(5)
    chosen = sorted(torch.randperm(8)[:3].tolist())
    copies = symmetrise(network(), "d4", output="regular").double()(upright).unflatten(1, (8, -1))[:, chosen]
    torch.manual_seed(5)
    torch.testing.assert_close(model(upright), copies.mean(1))
    model.reset_classifier(0, "regular")
    torch.manual_seed(5)
    torch.testing.assert_close(model(upright).unflatten(1, (8, -1))[:, chosen], copies)
    model.eval()
    asked.clear()
    model(upright)
    assert asked == [16]


def test_recomputed_copies_give_the_same_gradients_and_statistics():
    found = []
    for recompute in (False, True):
        inner = network(nn.BatchNorm2d(5), nn.Tanh())
        model = symmetrise(inner, "c4", at_a_time=2).train()
        model.set_grad_checkpointing(recompute)
        model(images(13, 13).float()).square().sum().backward()
        found.append([*(one.grad for one in inner.parameters()), inner[3].running_mean, inner[3].num_batches_tracked])
    for plain, recomputed in zip(*found, strict=True):
        torch.testing.assert_close(recomputed, plain)


def test_it_is_an_encoder_whose_inner_layers_are_not_judged():
    model = symmetrise(network(), "c4", output="regular", at_a_time=1)
    assert isinstance(model, Encoder)
    report = equivariance_report(model, size=(12, 13), angles=())
    assert {layer.layer for layer in report.layers} == {"orbit", "global_pool", "output"}
    assert report.worst.error < 1e-12
    assert_equivariant(model, size=(12, 13), tolerance=1e-10)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda maps: {"out": maps, "aux": maps[:, :1]},
        lambda maps: {"out": maps.mean((-2, -1))},
        lambda maps: SimpleNamespace(last_hidden_state=maps, pooler_output=maps.mean((-2, -1), keepdim=True)),
        lambda maps: SimpleNamespace(logits=maps.mean((-2, -1)), hidden_states=None),
    ],
)
def test_outputs_with_names_are_understood(wrap):
    inner = network()
    expected = symmetrise(inner, "c4")(images(13, 13).float())
    found = symmetrise(lambda batch: wrap(inner(batch)), "c4", in_chans=3)(images(13, 13).float())
    torch.testing.assert_close(found, expected)


def test_a_network_of_one_size_sees_every_image_resampled_to_it():
    inner = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 4)).double()
    inner.pretrained_cfg = {"input_size": (3, 12, 12), "mean": [0.5] * 3, "std": [0.2] * 3, "fixed_input_size": True}
    model = symmetrise(inner, "d4", output="regular")
    assert model.preprocessing.size == (12, 12)
    assert_equivariant(model, size=(20, 9), tolerance=1e-10)
    at_its_size = images(12, 12)
    torch.testing.assert_close(model(at_its_size)[:, :4], inner(at_its_size))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"network": 3}, TypeError, "network must be a module or a function of images, or its source; got 3"),
        ({"group": "c8"}, ValueError, "group must be one whose elements permute pixels.*got C8.*Use 'c4' or 'd4'"),
        ({"output": "median"}, ValueError, "output must be one of mean, max, weighted, regular, maps; got 'median'"),
        ({"at_a_time": 9}, ValueError, "at_a_time must be at most 8.*got 9"),
        ({"drawn": 0}, ValueError, "drawn must be at least 1"),
        ({"weights": "random"}, ValueError, "weights are for a network that is named"),
        ({"in_chans": 4}, ValueError, r"must run on images of the shape \(2, 4, 32, 32\); it failed"),
        ({"network": lambda batch: batch}, ValueError, "in_chans must be given"),
        ({"network": lambda batch: batch.mean(), "in_chans": 3}, ValueError, r"this one returned the shape \(\)"),
        ({"network": lambda batch: batch.flatten(2), "in_chans": 3}, ValueError, r"returned the shape \(2, 3, 1024\)"),
        ({"network": lambda batch: {"a": batch}, "in_chans": 3}, TypeError, "this one returned a dict"),
        ({"mean": [0.5]}, ValueError, "size, mean and std describe images together"),
        (
            {"source": "timm:resnet18", "network": lambda batch: batch},
            TypeError,
            "source names the network of a module",
        ),
    ],
)
def test_what_cannot_be_adapted_is_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        symmetrise(**{"network": network(), "group": "d4", **arguments})


def test_maps_that_do_not_fit_together_are_refused():
    lying = Orbit(nn.AdaptiveAvgPool2d((2, 3)), "c4", 3)
    with pytest.raises(ValueError, match=r"must have their sides exchanged.*2 x 3 and 3 x 2 pixels"):
        lying(images(12, 12))
    with pytest.raises(ValueError, match="returned 3 features an image, and 4 before"):
        Orbit(nn.AdaptiveAvgPool2d(2), "c4", 4)(images(12, 12))


@pytest.mark.tracing
@pytest.mark.parametrize("size", [(12, 12), (12, 16)], ids=str)
def test_it_is_a_graph_for_any_number_of_images(size):
    model = symmetrise(network(), "d4")
    program = torch.export.export(
        to_plain(model, size=size),
        (torch.zeros(2, 3, *size),),
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
    )
    upright = images(*size, count=5).float()
    torch.testing.assert_close(program.module()(upright), model(upright))


@pytest.mark.parametrize("last", [True, False])
def test_copies_have_the_memory_format_of_the_images(last):
    formats = []

    def noted(batch):
        formats.append(batch.is_contiguous(memory_format=torch.channels_last))
        return batch.mean((-2, -1))

    models = [symmetrise(noted, "d4", in_chans=3), symmetrise(noted, "c4", in_chans=3, at_a_time=1)]
    models += [canonicalise(noted, posing("c4_resnet18s_w4"), in_chans=3, mode=mode) for mode in ("hard", "frames")]
    formats.clear()
    form = torch.channels_last if last else torch.contiguous_format
    for model in models:
        model(images(8, 8, dtype=torch.float32).contiguous(memory_format=form))
    assert formats == [last] * len(formats)
    assert len(formats) >= 1 + 4 + 1 + 1
