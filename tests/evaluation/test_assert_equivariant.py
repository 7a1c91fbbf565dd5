"""An equivariance test never passes what it did not judge: it judges by declared fields, or refuses."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from eqmodels import create_model
from eqmodels.evaluation import assert_equivariant, equivariance_report, smooth_images
from eqmodels.evaluation.declared_calls import declared_calls
from eqmodels.fields import Regular, Scalars
from eqmodels.layers import FieldBatchNorm2d, GlobalPool, GroupPool, Restrict, SteerableConv2d

C4_MAPS = Regular("c4", 2)


def lifting(group: str = "c4", fields: int = 2) -> SteerableConv2d:
    return SteerableConv2d(group, 3, fields, 3, lifting=True)


class Returning(nn.Module):
    """A lifting layer, and whatever a function makes of its maps."""

    def __init__(self, change, **fields) -> None:
        super().__init__()
        self.lifting, self.change = lifting(), change
        for name, field in fields.items():
            setattr(self, name, field)

    def forward(self, images):
        return self.change(self.lifting(images))


class Tokens(nn.Module):
    """Patches of images as tokens (B, N, C), with a position embedding."""

    def __init__(self, *, pooled: bool = False) -> None:
        super().__init__()
        self.embed, self.pooled = nn.Conv2d(3, 8, 4, stride=4), pooled
        self.position = nn.Parameter(torch.randn(1, 16, 8))

    def forward(self, images):
        tokens = (self.embed(images).flatten(2).mT + self.position).relu()
        return tokens.mean(1) if self.pooled else tokens


# What declares nothing, or returns what cannot be judged, is refused in a sentence.


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            nn.Sequential(lifting(), nn.Conv2d(8, 8, 3)),
            "Conv2d(8, 8, kernel_size=(3, 3), stride=(1, 1)) mixes",
        ),
        (
            nn.Sequential(lifting(), nn.Flatten(), nn.Linear(8 * 256, 8)),
            "Linear(in_features=2048, out_features=8",
        ),
        (nn.Sequential(lifting(), nn.BatchNorm2d(8)), "mixes or scales channels regardless of the group"),
        (
            Tokens(),
            "Tokens declares no field, so that nothing is known of what its channels mean. Give it the attribute",
        ),
        (Returning(lambda maps: maps), "Returning declares no field"),
        (nn.Sequential(lifting(), Returning(lambda maps: maps)), "Returning declares no field"),
        (create_model("c4_resnet18s_w4", num_classes=3, global_pool="regular"), "learned function of the pose"),
        (
            nn.Sequential(create_model("c4_resnet18s_w4", num_classes=0, global_pool="regular"), nn.Linear(32, 3)),
            "mixes",
        ),
    ],
    ids=["conv", "flatten", "norm", "tokens", "own", "inner", "scores", "wrapped scores"],
)
def test_what_declares_no_field_is_refused(model, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        assert_equivariant(model, size=16, group="c4")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda maps: {"maps": maps},
            "must return a tensor (batch, channels) or (batch, channels, height, width) to be",
        ),
        (lambda maps: (maps, maps), "to be judged; got a tuple. Wrap it in a module that returns the one tensor"),
        (lambda maps: [maps], "to be judged; got a list."),
        (lambda maps: None, "to be judged; got a NoneType."),
        (
            lambda maps: (100 * maps).long(),
            "floating point tensor (batch, channels) or (batch, channels, height, width)",
        ),
        (lambda maps: maps > 0, "got torch.bool of the shape (2, 8, 16, 16) for 2 images."),
        (lambda maps: maps.to(torch.complex128), "got torch.complex128"),
        (lambda maps: maps.flatten(2), "got torch.float64 of the shape (2, 8, 256) for 2 images."),
        (lambda maps: maps.flatten(2).mT, "of the shape (2, 256, 8) for 2 images."),
        (lambda maps: maps.mean((0, 2, 3))[None], "of the shape (1, 8) for 2 images."),
        (lambda maps: maps.sum(), "of the shape () for 2 images."),
    ],
    ids=["dict", "tuple", "list", "None", "integers", "booleans", "complex", "rank 3", "tokens", "batch", "number"],
)
@pytest.mark.parametrize("declared", ["attribute", "argument"])
def test_an_output_that_cannot_be_judged_is_refused_whatever_is_declared(change, sentence, declared):
    model = Returning(change, **({"out_field": C4_MAPS} if declared == "attribute" else {}))
    with pytest.raises(ValueError, match=re.escape(sentence)):
        assert_equivariant(model, size=16, out_field=C4_MAPS if declared == "argument" else None)


@pytest.mark.parametrize(
    ("out_field", "group", "sentence"),
    [
        (C4_MAPS, "d4", "is declared as 2 x regular(c4), which says nothing of flip, then 0° (element 4 of D4)"),
        (Regular("c1", 8), "c4", "is declared as 8 x regular(c1), which says nothing of 90° (element 1 of C4)"),
        (Regular("d2", 4, (0, 3)), "d2", "which says nothing of 180° (element 1 of D2), so that it cannot be judged."),
    ],
)
def test_an_element_that_the_field_does_not_represent_is_refused(out_field, group, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        assert_equivariant(lifting(), size=9, out_field=out_field, group=group)


def test_an_out_field_is_a_field():
    # Under run-time shape checks it is they who refuse it.
    with pytest.raises(TypeError, match=r"out_field must be a field such as Regular|parameter .out_field."):
        assert_equivariant(lifting(), size=9, out_field="2 x regular(c4)")


# What is declared wrongly fails, and the layer is named.


@pytest.mark.parametrize(
    ("model", "out_field"),
    [
        (nn.Sequential(lifting(), nn.Conv2d(8, 8, 3, padding=1)), C4_MAPS),
        (nn.Sequential(lifting(), nn.Flatten(), nn.Linear(8 * 256, 8)), C4_MAPS),
        (nn.Sequential(lifting(), nn.Flatten(), nn.Linear(8 * 256, 8)), Scalars(8)),
        (Tokens(pooled=True), Scalars(8)),
        (lifting(), Scalars(8)),
        (GroupPool("c4"), Regular("c4", 1)),
        (nn.Sequential(lifting(), nn.AdaptiveAvgPool2d(1)), Regular("c4", 1) + Scalars(4)),
    ],
    ids=["conv", "flatten", "flatten to scalars", "tokens", "fibre", "scalars", "half"],
)
def test_a_field_that_is_not_the_true_one_fails(model, out_field):
    images = torch.randn(2, 4 if isinstance(model, GroupPool) else 3, 16, 16)
    if isinstance(model, GroupPool):
        model = nn.Sequential(SteerableConv2d("c4", 4, 4, 3, lifting=True), model)
    with pytest.raises(AssertionError, match=r"is not C4-equivariant: the worst of its layers is output, .* for the"):
        assert_equivariant(model, images=images, out_field=out_field, group="c4")


class Lopsided(nn.Module):
    """Says that it keeps regular fields, and weighs the elements differently."""

    def __init__(self, **fields) -> None:
        super().__init__()
        for name, field in fields.items():
            setattr(self, name, field)

    def forward(self, maps):
        return maps * torch.arange(1, 1 + maps.shape[1]).to(maps).view(-1, 1, 1)


class SaysItKeeps(Lopsided):
    def output_field(self, field):
        return field


@pytest.mark.parametrize(
    "layer",
    [Lopsided(out_field=C4_MAPS), Lopsided(in_field=C4_MAPS, out_field=C4_MAPS), SaysItKeeps()],
    ids=["out_field", "both", "method"],
)
@pytest.mark.parametrize("after", ["alone", "inside", "hidden"])
def test_a_layer_that_declares_wrongly_is_named(layer, after):
    """And not the layers after it, whose own law holds."""
    rest = [FieldBatchNorm2d("c4", 2), nn.ReLU(), SteerableConv2d("c4", 2, 2, 3), GlobalPool("c4")]
    stack = nn.Sequential(lifting(), nn.Sequential(nn.ReLU(), layer), *rest)
    if after == "alone":
        model = nn.Sequential(lifting(), layer)
    elif after == "inside":
        model = stack
    else:
        # A network of someone else, which declares its own output alone.
        model = Returning(nn.Identity(), out_field=Scalars(2))
        model.lifting = stack
    name = {"alone": "1", "inside": "1.1", "hidden": "lifting.1.1"}[after]
    with pytest.raises(AssertionError, match=rf"the worst of its layers is {re.escape(name)}, .* the field 2 x reg"):
        assert_equivariant(model, size=9, out_field=None if after != "alone" else C4_MAPS)


def test_a_wrong_layer_inside_fails_even_where_the_output_is_right():
    class Forgets(nn.Module):
        def forward(self, maps):
            return maps.unflatten(1, (4, 2)).amax(1).mean((-2, -1))

    # It puts out regular fields, and says scalars: the pooling after it makes the output invariant all the same.
    wrong = Returning(lambda maps: maps, out_field=Scalars(8))
    with pytest.raises(AssertionError, match="the worst of its layers is 0,"):
        assert_equivariant(nn.Sequential(wrong, Forgets()), size=9, out_field=Scalars(2))
    wrong.out_field = C4_MAPS
    assert_equivariant(nn.Sequential(wrong, Forgets()), size=9, out_field=Scalars(2))


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            Returning(lambda maps: maps[:, :4], out_field=C4_MAPS),
            "the output is declared as 2 x regular(c4), of 8 channels",
        ),
        (
            nn.Sequential(lifting(), nn.Flatten()),
            "is declared as 2 x regular(c4), of 8 channels; got the shape (2, 648)",
        ),
        (
            nn.Sequential(lifting(), Lopsided(out_field=Regular("c4", 3)), GroupPool("c4")),
            "the layer 1 (Lopsided) declares the output field 3 x regular(c4) of 12 channels; its output has the shape",
        ),
        (
            Returning(Lopsided(in_field=Regular("c4", 3), out_field=C4_MAPS), out_field=C4_MAPS),
            "the layer change (Lopsided) declares the input field 3 x regular(c4) of 12 channels; its input",
        ),
    ],
    ids=["output", "flatten", "inner output", "inner input"],
)
def test_a_field_of_another_number_of_channels_fails_and_names_the_layer(model, sentence):
    with pytest.raises(AssertionError, match=re.escape(sentence)):
        assert_equivariant(model, size=9)


def test_a_pooling_that_breaks_the_grid_is_named():
    model = nn.Sequential(lifting(), nn.MaxPool2d(2), SteerableConv2d("c4", 2, 2, 3), GlobalPool("c4"))
    assert_equivariant(model, size=16)
    with pytest.raises(AssertionError, match="the worst of its layers is 1,"):
        assert_equivariant(model, size=17)


def test_a_network_whose_output_ignores_the_image_fails_though_its_maps_do_not():
    model = nn.Sequential(lifting(), GroupPool("c4"), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    with torch.no_grad():
        model[4].weight.zero_()
    with pytest.raises(AssertionError, match="output of Sequential at 9x9 hardly depends on the image"):
        assert_equivariant(model, size=9, randomised=False)


# What is declared truly passes.


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (lifting("d4"), {}),
        (nn.Sequential(lifting("d4"), FieldBatchNorm2d("d4", 2), nn.ReLU(inplace=True), GlobalPool("d4")), {}),
        (nn.Sequential(lifting("d4"), GroupPool("d4"), nn.Conv2d(2, 5, 1), nn.BatchNorm2d(5)), {}),
        (nn.Sequential(lifting("d4", 1), Restrict("d4", "c4"), SteerableConv2d("c4", 2, 1, 3)), {}),
        (nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU(inplace=True), nn.AvgPool2d(2)), {"group": "d4", "size": 12}),
        (Returning(lambda maps: maps.relu(), out_field=C4_MAPS), {}),
        (Returning(lambda maps: maps.relu()), {"out_field": C4_MAPS}),
        (nn.Sequential(create_model("c4_resnet18s_w4", num_classes=0), nn.Linear(8, 3)), {"size": 16}),
        (nn.Sequential(*create_model("d4_resnet18s_w8", num_classes=3).children()), {"size": 16}),
        (create_model("c4_resnet18s_w4", num_classes=0, global_pool="regular"), {"group": "c2", "size": 16}),
        (lifting("c8"), {"group": "c4"}),
        (lifting("c8"), {"elements": "all", "tolerance": 0.5, "size": 33}),
    ],
    ids=lambda value: None if isinstance(value, dict) else type(value).__name__,
)
def test_what_is_declared_truly_passes(model, options):
    assert_equivariant(model, **({"size": 9} | options))


def test_a_layer_of_regular_maps_is_tested_on_regular_maps():
    assert_equivariant(SteerableConv2d("d4", 2, 1, 3), size=8)
    with pytest.raises(AssertionError, match="is output"):
        assert_equivariant(nn.Sequential(SteerableConv2d("d4", 2, 1, 3)), size=8, out_field=Regular("d4", 1))


def test_the_argument_overrides_the_declaration():
    model = Returning(GlobalPool("c4"), out_field=Regular("c4", 1))
    assert_equivariant(model, size=9, out_field=Scalars(2))


@pytest.mark.parametrize("build", [lambda: create_model("c4_resnet18s_w4"), lifting], ids=["network", "layer"])
def test_it_runs_in_inference_mode_too(build):
    with torch.inference_mode():
        assert_equivariant(build(), size=9)


class Symmetrised(nn.Module):
    """The sum over the orbit of a C4 layer under a flip: the layer sees images that moved otherwise than the input."""

    out_field = Scalars(2)

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(lifting(), GlobalPool("c4"))

    def forward(self, images):
        return self.inner(images) + self.inner(images.flip(-1))


def test_layers_whose_input_moves_otherwise_than_the_image_are_not_blamed():
    assert_equivariant(Symmetrised(), size=9, group="d4")
    with pytest.raises(AssertionError, match="is output"):
        assert_equivariant(Symmetrised().inner, size=9, group="d4", out_field=Scalars(2))


# The calls that are judged.


def test_every_layer_of_a_network_is_judged():
    model = create_model("c4_resnet18s_w4").eval()
    output, calls = declared_calls(model, torch.randn(2, 3, 8, 8), Scalars(3))
    assert output.shape == (2, 1000)
    convolutions = [name for name, module in model.named_modules() if isinstance(module, SteerableConv2d)]
    others = {"layer1.0", "layer4.1.bn2", "stem.relu", "global_pool", "fc"}
    assert {*convolutions, *others} <= set(calls)
    assert calls["stem.conv"].in_field == Scalars(3)
    assert calls["global_pool"].in_field == model.map_field
    assert calls["global_pool"].out_field == Scalars(8)
    assert calls["layer4.1"].out_field == Regular("c4", 8)


def test_a_tensor_that_was_written_into_has_no_known_field():
    class Scribbles(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lifting, self.relu = lifting(), nn.ReLU()

        def forward(self, images):
            return self.relu(self.lifting(images).mul_(2))

    _, calls = declared_calls(Scribbles(), torch.randn(2, 3, 8, 8), Scalars(3))
    assert set(calls) == {"lifting"}


def test_layers_called_on_something_else_than_one_tensor_an_image_are_left_alone():
    class Patches(nn.Module):
        out_field = Scalars(2)

        def __init__(self) -> None:
            super().__init__()
            self.lifting, self.pool = lifting(), GlobalPool("c4")

        def forward(self, images):
            halves = torch.cat([images, images.flip(-1)])
            return self.pool(self.lifting(halves)).unflatten(0, (2, -1)).sum(0)

    assert_equivariant(Patches(), size=9, group="d4")


def test_hooks_are_removed_after_an_error():
    model = nn.Sequential(lifting(), nn.Linear(3, 3))
    with pytest.raises(RuntimeError):
        declared_calls(model, torch.randn(2, 3, 5, 5), Scalars(3))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_group_of_the_declared_output_is_tested():
    class Pair(nn.Module):
        """Names no group, and has no layer that does: what a pixel is above its left neighbour, and above its right."""

        out_field = Regular("c2", 1)

        def forward(self, images):
            return torch.cat([images - images.roll(1, -1), images - images.roll(-1, -1)], 1)

    images = torch.randn(2, 1, 9, 9)
    assert_equivariant(Pair(), images=images)
    with pytest.raises(AssertionError, match="is not C2-equivariant"):
        assert_equivariant(Pair(), images=images, out_field=Scalars(2), group="c2")


# Nothing is judged on images that do not move.

BROKEN = nn.Conv2d(3, 8, 3, padding=1)


def symmetric(*flips):
    """One image without symmetry, and one that is its own mirror image along the axes."""
    images = smooth_images(2, 3, 9)
    for axes in flips:
        images[1] = (images[1] + images[1].flip(axes)) / 2
    return images


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 1}, "image 0 of 2, 1x1, is the same after 90"),
        ({"size": 1, "batch": 5}, "image 0 of 5, 1x1"),
        ({"images": torch.rand(2, 3, 1, 1).expand(2, 3, 9, 9).contiguous()}, "image 0 of 2, 9x9"),
        ({"images": torch.zeros(2, 3, 9, 9)}, "image 0 of 2, 9x9"),
        ({"images": symmetric([-2, -1])}, "image 1 of 2, 9x9, is the same after 180"),
        ({"images": symmetric([-1]), "group": "d1"}, "image 1 of 2, 9x9, is the same after flip"),
        (
            {"images": torch.rand(2, 3, 1, 1).expand(2, 3, 9, 9), "group": "c3", "elements": "all", "tolerance": 0.5},
            "after 120",
        ),
    ],
)
def test_images_that_an_element_leaves_as_they_are_are_refused(options, words):
    with pytest.raises(ValueError, match=r"^images must change visibly under every element that is asserted") as caught:
        assert_equivariant(BROKEN, out_field=Scalars(8), **{"group": "c4", **options})
    assert words in str(caught.value)


def test_a_symmetry_of_an_image_that_is_not_asserted_does_not_matter():
    assert_equivariant(nn.Conv2d(3, 8, 1), images=symmetric([-1]), group="c4")


def test_maps_of_one_pixel_are_moved_by_their_fibres():
    layer = SteerableConv2d("c4", 2, 3, 1)
    assert_equivariant(layer, images=torch.rand(2, 8, 1, 1))
    with pytest.raises(ValueError, match=r"^images must change visibly"):
        assert_equivariant(layer, images=torch.ones(2, 8, 1, 1))
    with pytest.raises(ValueError, match=r"^images must change visibly"):
        assert_equivariant(layer, images=torch.rand(2, 8, 1, 1).expand(2, 8, 5, 5).contiguous())


@pytest.mark.parametrize("judge", [assert_equivariant, equivariance_report])
def test_a_function_is_refused_in_a_sentence(judge):
    def pooled(images):
        return images.mean((-2, -1))

    with pytest.raises(
        TypeError, match=r"^model must be a torch\.nn\.Module, .*; got 'pooled', a function\. Call it in"
    ):
        judge(pooled, group="c4")
