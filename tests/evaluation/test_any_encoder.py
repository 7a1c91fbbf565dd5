"""Evaluation takes whatever gives feature vectors, and asks its own group: nothing of training is needed."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
import torchvision
from torch import nn

from eqmodels.backbones import as_encoder, create_model
from eqmodels.evaluation import CONTROLS, encode, evaluate, kinds_of, pool_features, probing
from eqmodels.evaluation.kinds import TURNED_BACK
from eqmodels.evaluation.orbits import Motion, View
from eqmodels.fields import Field, Regular, Scalars
from eqmodels.groups import PlanarGroup, circular_mask
from eqmodels.transforms import Preprocessing
from tests.evaluation.test_evaluate import QUICK, striped, untrained

TRAIN, TEST = striped(60), striped(40, seed=1)


@dataclass
class Foreign:
    """An encoder of no class of ours: it is called, and says what it takes and gives."""

    network: Callable[[torch.Tensor], torch.Tensor]
    out_field: Field | None = None
    in_chans: int = 1
    preprocessing: Preprocessing | None = None

    def __call__(self, images):
        return self.network(images)


def rows(images):
    """The mean of every row of the image."""
    return images.mean((1, 3))


def steerable(name, global_pool="regular", **options):
    torch.manual_seed(0)
    return create_model(name, in_chans=1, num_classes=0, global_pool=global_pool, **options).eval()


def test_a_plain_function_is_scored_with_the_controls():
    scores = evaluate(rows, TRAIN, TEST, **QUICK)
    assert [entry.kind for entry in scores.kinds] == ["regular", "orbit-mean", "regular, turned probe"]
    assert (scores.model, scores.parameters, scores.tasks, scores.field) == ("rows", 0, (), None)
    assert (scores.sha256, scores.config, scores.group) == ("", None, "C1")
    assert scores.of("regular").accuracy > 0.9
    mean = scores.of("orbit-mean").elements
    assert list(mean) == ["0°", "90°", "180°", "270°"]
    assert len(set(mean.values())) == 1
    # A turned copy has the columns' means instead.
    turned = torch.rot90(TEST.pixels(), 1, (2, 3))
    error = float((rows(turned) - rows(TEST.pixels())).norm() / rows(TEST.pixels()).norm())
    assert scores.equivariance_error["90°"] == pytest.approx(error, rel=1e-4)


def test_a_function_sees_pixels_as_they_are_and_an_encoder_normalised_ones():
    seen = []

    def remembering(images):
        seen.append(images)
        return rows(images)

    encode(remembering, TEST.pixels, 5)
    encode(Foreign(remembering, preprocessing=Preprocessing((0.5,), (0.25,), (12, 12))), TEST.pixels, 5)
    assert torch.equal(seen[0], TEST.pixels(slice(0, 5)))
    torch.testing.assert_close(seen[1], (seen[0] - 0.5) / 0.25)


def test_a_processor_sees_few_large_images_at_a_time():
    """Its cache does not hold the activations of more; what comes out is the same."""
    seen, images = [], torch.rand(50, 1, 64, 64)

    def means(batch):
        seen.append(len(batch))
        return batch.mean((2, 3))

    torch.testing.assert_close(encode(means, lambda part: images[part], 50), images.mean((2, 3)))
    assert seen == [24, 24, 2]
    encode(means, lambda part: images[part][..., :20, :20], 50)
    assert seen[3:] == [50]


def test_a_torchvision_network_is_scored_once_it_is_wrapped():
    network = torchvision.models.resnet18(num_classes=8)
    network.train()
    statistics = network.bn1.running_mean.clone()

    class Wrapped(nn.Module):
        in_chans, out_field, preprocessing = 3, None, None

        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, images):
            return self.network(images)

    train, test = (data.to_rgb() for data in (TRAIN, TEST))
    scores = evaluate(Wrapped(), train, test, kinds=("regular", "orbit-mean"), name="tv", **QUICK)
    assert (scores.model, scores.of("regular").width) == ("tv", 8)
    assert scores.parameters == sum(value.numel() for value in network.parameters())
    assert torch.equal(network.bn1.running_mean, statistics)
    with pytest.raises(ValueError, match="the network takes images of 3 channels; striped has 1"):
        evaluate(Wrapped(), TRAIN, TEST)


def test_an_encoder_of_ours_is_scored_as_its_field_says():
    regular, invariant = (
        evaluate(steerable("c4_resnet18s_w8", pool), TRAIN, TEST, **QUICK) for pool in ("regular", "invariant")
    )
    assert regular.field == "16 x regular(c4)"
    assert {entry.kind for entry in regular.kinds} == {"regular", "regular-half", "invariant", "invariant-3", "all"}
    assert max(regular.equivariance_error.values()) < 1e-5
    # Scalars have no fibre to pool: the vectors, and the controls.
    assert invariant.field == "16 x scalar"
    assert [entry.kind for entry in invariant.kinds] == ["invariant", "orbit-mean", "regular, turned probe"]
    assert max(invariant.equivariance_error.values()) < 1e-5
    assert len(set(invariant.of("invariant").elements.values())) == 1
    assert invariant.of("invariant").accuracy == regular.of("invariant").accuracy


def test_a_run_is_its_encoder_of_regular_features_with_heads():
    run = untrained("c4_resnet18s_w8", "equivariant")
    ours = evaluate(run, TRAIN, TEST, **QUICK)
    alone = evaluate(run.encoder("regular"), TRAIN, TEST, **QUICK)
    assert ours.tasks
    assert not alone.tasks
    assert ours.config == run.config.to_dict()
    assert {entry.kind for entry in ours.kinds} - {entry.kind for entry in alone.kinds} == {
        "canonical",
        "canonical-soft",
    }
    for kind in ("regular", "invariant-3"):
        assert ours.of(kind) == alone.of(kind)
    assert ours.equivariance_error == alone.equivariance_error


def test_a_sum_of_scalars_and_fibres_is_pooled_part_by_part():
    field = Scalars(2) + Regular("c4", 3)
    encoder = Foreign(lambda images: images.flatten(1)[:, :14], field)
    features = torch.rand(5, 14)
    fibre = features[:, 2:].unflatten(1, (4, 3))
    assert torch.equal(pool_features(encoder, features, "invariant"), torch.cat([features[:, :2], fibre.amax(1)], 1))
    assert pool_features(encoder, features, "invariant-3").shape == (5, 2 + 3 * 3)
    assert pool_features(encoder, features, "regular-half").shape == (5, 1 + 4)
    for g in range(4):
        moved = field.transform(PlanarGroup(4), g, features)
        torch.testing.assert_close(
            pool_features(encoder, moved, "invariant-3"), pool_features(encoder, features, "invariant-3")
        )


@pytest.mark.parametrize("name", ["c6_resnet18s_w12", "c3_resnet18s_w6"])
def test_elements_between_the_pixels_are_asked_in_a_circle_like_their_probe_and_their_reference(name):
    encoder = steerable(name, norm="batch")
    group = encoder.group
    scores = evaluate(encoder, TRAIN, TEST, kinds=("regular", "invariant"), **QUICK)
    assert scores.group == str(group)
    between = [f"{group.describe(g)} in a circle" for g in group.elements if not group.is_exact(g)]
    assert [view for view in scores.equivariance_error if "circle" in view] == between
    assert set(scores.of("invariant").elements) == {"0°", "90°", "180°", "270°", "0° in a circle", *between}
    reference, moved = (encoder(group.act(g, TEST.pixels(), circular=True)).detach() for g in (0, 1))
    expected = group.permute_fibre(1, reference)
    error = float((moved - expected).norm() / reference.norm())
    assert scores.equivariance_error[between[0]] == pytest.approx(error, rel=1e-3)


def test_a_probe_of_what_is_seen_in_a_circle_has_learned_from_such_images():
    """Features change their sign where corners are dark: a probe of whole images would be wrong about the circle."""
    outside = 1 - circular_mask(12, 12)

    def signed(images):
        dark = (images * outside).sum((1, 2, 3)) == 0
        return torch.where(dark, -1, 1)[:, None] * rows(images)

    options = QUICK | {"curve_images": 40}
    scores = evaluate(signed, TRAIN, TEST, kinds=("regular",), **options).of("regular")
    assert scores.accuracy > 0.9
    assert scores.angles["0° in a circle"] > 0.9


@pytest.mark.parametrize("group", ["c3", "c6", "d1", "d2", "d4", "d6"])
def test_invariant_features_are_asked_the_elements_of_their_encoder(group):
    order = PlanarGroup.parse(group).order
    invariant, regular = (
        evaluate(
            steerable(f"{group}_resnet18s_w{order}", pool, norm="batch"), TRAIN, TEST, kinds=["invariant"], **QUICK
        )
        for pool in ("invariant", "regular")
    )
    assert invariant.group == regular.group == str(PlanarGroup.parse(group))
    assert invariant.field == f"{invariant.of('invariant').width} x scalar"
    assert list(invariant.equivariance_error) == list(regular.equivariance_error)
    assert list(invariant.of("invariant").elements) == list(regular.of("invariant").elements)
    exact = {str(View(Motion.of(PlanarGroup.parse(group), g))) for g in PlanarGroup.parse(group).exact_elements[1:]}
    assert exact <= invariant.equivariance_error.keys()
    assert all(invariant.equivariance_error[view] < 1e-5 for view in exact)


def test_invariant_features_are_probed_with_few_labels_too():
    scores = evaluate(steerable("c4_resnet18s_w4", "invariant"), TRAIN, TEST, **QUICK | {"fractions": (0.5, 1.0)})
    assert list(scores.of("invariant").labels) == ["0.5", "1"]


def test_a_group_that_an_encoder_names_is_asked_where_its_field_says_nothing():
    class Pooled(nn.Module):
        in_chans, out_field, preprocessing, group = 1, Scalars(1), None, PlanarGroup(2, True)

        def forward(self, images):
            return images.mean((2, 3))

    assert evaluate(Pooled(), TRAIN, TEST, kinds=["invariant"], **QUICK).group == "D2"
    wrapped = as_encoder(steerable("d1_resnet18s_w4", "invariant"), in_chans=1, out_field="16 x scalar")
    assert evaluate(wrapped, TRAIN, TEST, kinds=["invariant"], **QUICK).group == "D1"
    assert evaluate(Foreign(rows, Scalars(12)), TRAIN, TEST, kinds=["invariant"], **QUICK).group == "C1"


def test_the_flip_of_d1_is_asked_and_quarter_turns_are_a_control():
    encoder = steerable("d1_resnet18s_w8")
    scores = evaluate(encoder, TRAIN, TEST, **QUICK)
    assert scores.group == "D1"
    assert list(scores.equivariance_error) == ["flip, then 0°", "90°", "180°", "270°"]
    assert scores.equivariance_error["flip, then 0°"] < 1e-5
    assert scores.equivariance_error["90°"] > 0.01
    invariant = scores.of("invariant")
    assert invariant.elements["flip, then 0°"] == invariant.accuracy
    assert invariant.turned == pytest.approx(sum(invariant.elements[turn] for turn in ("90°", "180°", "270°")) / 3)


def test_d2_is_asked_its_own_elements():
    scores = evaluate(untrained("d2_resnet18s_w8", "mlp"), TRAIN, TEST, **QUICK)
    assert scores.group == "D2"
    assert scores.equivariance_error["180°"] < 1e-5
    assert scores.equivariance_error["flip, then 180°"] < 1e-5
    assert scores.equivariance_error["90°"] > 0.01
    assert "flip, then 90°" not in scores.equivariance_error


def test_eighths_of_a_turn_are_measured_of_their_group():
    scores = evaluate(untrained("c8_resnet18s_w8", "equivariant"), TRAIN, TEST, **QUICK)
    assert scores.group == "C8"
    invariant = scores.of("invariant")
    quarters = [invariant.elements[angle] for angle in ("90°", "180°", "270°")]
    assert invariant.turned == pytest.approx(sum(quarters) / 3)
    assert set(quarters) == {invariant.accuracy}
    errors = scores.equivariance_error
    assert max(errors[angle] for angle in ("90°", "180°", "270°")) < 1e-5 < errors["45° in a circle"]
    assert "45°" not in errors


@pytest.mark.parametrize(("encoder", "held"), [(steerable("d4_resnet18s_w8"), 3), (rows, 6)])
def test_however_many_views_there_are_few_copies_are_held(encoder, held, monkeypatch):
    """Of the test images: one copy, and four where a control is made of four; not 24 angles and eight elements."""
    original, alive, most = probing.encode, [], [0]

    def counted(subject, pixels, count, **options):
        features = original(subject, pixels, count, **options)
        if count == len(TEST):
            alive.append(weakref.ref(features))
            most[0] = max(most[0], sum(reference() is not None for reference in alive))
        return features

    monkeypatch.setattr(probing, "encode", counted)
    evaluate(encoder, TRAIN, TEST, **(QUICK | {"curve_images": len(TEST)}))
    # A law of quarter turns that holds leaves 6 angles of 24.
    assert len(alive) >= (6 + 8 if held == 3 else 24 + 4)
    assert most[0] <= held


def test_angles_that_follow_by_the_law_are_those_that_are_encoded(monkeypatch):
    network, told = steerable("c4_resnet18s_w8"), []
    options = QUICK | {"curve_images": len(TEST), "progress": lambda done, steps: told.append((done, steps))}
    by_law = evaluate(network, TRAIN, TEST, **options)
    steps, encoded = list(told), []
    original = probing.encode
    monkeypatch.setattr(probing, "encode", lambda *given, **named: encoded.append(named) or original(*given, **named))
    monkeypatch.setattr(probing.Examination, "_law_holds", lambda _: False)
    assert evaluate(network, TRAIN, TEST, **options) == by_law
    assert told[len(steps) :] == steps
    # Whole test images in four turns, training images whole and in a circle.
    assert len(encoded) == 4 + 2 + 24


def test_a_law_that_is_declared_and_does_not_hold_is_not_followed(monkeypatch):
    network = steerable("c4_resnet18s_w8")

    class Pretending(nn.Module):
        out_field, group, in_chans = network.out_field, network.group, 1

        def forward(self, images):
            return network(images) + images.mean((1, 3))[:, :1]

    encoded, original = [], probing.encode
    monkeypatch.setattr(probing, "encode", lambda *given, **named: encoded.append(named) or original(*given, **named))
    evaluate(Pretending(), TRAIN, TEST, **(QUICK | {"curve_images": len(TEST), "kinds": ("invariant",)}))
    assert len(encoded) == 4 + 2 + 24


def test_nothing_of_the_heads_is_made_up_for_what_has_none():
    assert TURNED_BACK not in kinds_of(rows)
    assert TURNED_BACK in kinds_of(untrained("resnet18s_w4", "mlp"))
    assert set(CONTROLS) >= set(kinds_of(Foreign(rows, Scalars(12)))) - {"invariant"}


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("encoder", "error", "sentence"),
    [
        (
            lambda images: images,
            ValueError,
            r"must give one vector an image, shape \(40, features\); got \(40, 1, 12, 12\)",
        ),
        (lambda images: images.mean((1, 3))[:-1], ValueError, "must give one vector an image"),
        (lambda images: {"features": images}, TypeError, "as one tensor of floating-point numbers; got dict"),
        (lambda images: images.flatten(1).argmax(1, keepdim=True), TypeError, "got torch.int64"),
        (
            Foreign(rows, Regular("c4", 2)),
            ValueError,
            "declares features of the field 2 x regular.c4., 8 channels; got 12",
        ),
        (Foreign(rows, in_chans=3), ValueError, "takes images of 3 channels; striped has 1"),
        (7, TypeError, "encoder must be callable, .*; got int"),
    ],
)
def test_what_gives_no_feature_vectors_is_refused_in_one_sentence(encoder, error, sentence):
    with pytest.raises(error, match=sentence):
        evaluate(encoder, TRAIN, TEST, **QUICK)


@pytest.mark.usefixtures("no_shape_checks")
def test_images_without_classes_are_refused():
    class Unlabelled:
        name, channels, size, classes = "photographs", 1, (12, 12), ()
        labels = torch.full((60,), -1)
        pixels = staticmethod(TRAIN.pixels)

        def __len__(self):
            return 60

    with pytest.raises(ValueError, match=r"photographs has 60 images, 60 of them without[.] Sort images into"):
        evaluate(rows, Unlabelled(), TEST, **QUICK)


def test_a_view_is_what_the_encoder_sees():
    seen = []

    def remembering(images):
        seen.append(images)
        return rows(images)

    view = View(Motion.by_degrees(30), circular=True)
    features = encode(remembering, TEST.pixels, 7, view=view)
    assert torch.equal(seen[0], view.of(TEST.pixels(slice(0, 7))))
    assert math.isclose(float(features.sum()), float(rows(seen[0]).sum()), rel_tol=1e-6)
