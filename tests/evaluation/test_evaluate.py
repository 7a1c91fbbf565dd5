"""Measuring a pretrained network: what must come out, whatever the weights."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from eqmodels.data import LabelledImages
from eqmodels.evaluation import (
    EncoderEvaluation,
    encode,
    evaluate,
    head_scores,
    over_seeds,
    pool_features,
    poolings_of,
)
from eqmodels.evaluation.kinds import CONTROLS
from eqmodels.training import PretrainConfig, Pretraining, Run


def striped(count: int, *, channels: int = 1, seed: int = 0, size: tuple[int, int] = (12, 12)) -> LabelledImages:
    """Images of two classes without symmetry: stripes at the top, or a spot at the left; noise on both."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = 60 * torch.rand(count, channels, *size, generator=generator)
    images[labels == 0, :, 1:5:2, 1:9] += 150
    images[labels == 1, :, 6:10, 1:4] += 150
    return LabelledImages("striped", images.to(torch.uint8), labels, ("stripes", "spot"))


def untrained(model: str, head: str, *, task: str = "rotation", channels: int = 1) -> Run:
    config = PretrainConfig.of(model=model, head=head, task=task, batch_size=8, head_hidden=16)
    run = Pretraining(config, striped(40, channels=channels))
    # Random running statistics too, so that nothing holds by initialisation alone.
    generator = torch.Generator().manual_seed(1)
    for name, buffer in run.model.named_buffers():
        if name.endswith("_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return Run(config, run.model.eval(), run.preprocessing, [], {})


QUICK = {"knn": False, "fractions": (), "curve_images": 0, "strengths": (0.01,)}


@pytest.mark.parametrize(("model", "elements"), [("c4_resnet18s_w8", 4), ("d4_resnet18s_w8", 8)])
def test_invariant_and_canonical_features_do_not_care_how_the_image_is_turned(model, elements):
    scores = evaluate(untrained(model, "equivariant"), striped(60), striped(40, seed=1), **QUICK)
    assert {entry.kind for entry in scores.kinds} == set(poolings_of(untrained(model, "equivariant")))
    for name in ("invariant", "invariant-3", "canonical", "canonical-soft"):
        accuracies = scores.of(name).elements
        assert len(accuracies) == elements
        assert max(accuracies.values()) == min(accuracies.values()) == pytest.approx(scores.of(name).turned)
    assert max(scores.equivariance_error.values()) < 1e-5
    assert scores.group == model[:2].upper()


def test_regular_features_do_care():
    told = []
    quick = {**QUICK, "progress": lambda done, steps: told.append((done, steps))}
    scores = evaluate(untrained("c4_resnet18s_w8", "equivariant"), striped(60), striped(40, seed=1), **quick)
    # Four views of the test images, one of the training images, and a fit of each kind.
    steps = 4 + 1 + len(scores.kinds)
    assert told == [(done, steps) for done in range(1, steps + 1)]
    assert scores.of("regular").accuracy > 0.9
    assert scores.of("regular").turned < scores.of("regular").accuracy


def test_a_network_without_a_group_has_its_controls():
    scores = evaluate(untrained("resnet18s_w4", "mlp"), striped(60), striped(40, seed=1), **QUICK)
    assert [entry.kind for entry in scores.kinds] == ["regular", *CONTROLS]
    averaged = scores.of("orbit-mean")
    assert max(averaged.elements.values()) == min(averaged.elements.values())
    assert max(scores.equivariance_error.values()) > 0.01


def test_the_curve_repeats_itself_by_quarters_for_invariant_features():
    curve = evaluate(
        untrained("c4_resnet18s_w8", "equivariant"),
        striped(60),
        striped(40, seed=1),
        knn=False,
        fractions=(),
        curve_images=20,
        strengths=(0.01,),
    ).of("canonical")
    assert list(curve.angles) == [f"{angle}° in a circle" for angle in range(0, 360, 15)]
    assert [degrees for degrees, _ in curve.curve] == list(range(0, 360, 15))
    accuracy = dict(curve.curve)
    for angle in range(0, 270, 15):
        # Bilinear sampling rounds differently by quadrant: one of the 20 images may change sides.
        assert abs(accuracy[angle] - accuracy[angle + 90]) <= 0.05
    assert curve.angle_worst == min(curve.angles.values())
    assert min(curve.angles.values()) <= curve.angle_mean <= max(curve.angles.values())


def test_everything_that_is_asked_for_is_measured_and_is_json():
    run = untrained("c4_resnet18s_w8", "mlp")
    scores = evaluate(
        run,
        striped(400),
        striped(40, seed=1),
        fractions=(0.05, 1.0),
        curve_images=10,
        strengths=(1.0, 0.01),
    )
    # Heads are asked about turned images whose features are known: they answer as when they are asked alone.
    assert scores.tasks == head_scores(run, striped(40, seed=1))[0]
    content = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    regular = next(entry for entry in content["kinds"] if entry["kind"] == "regular")
    assert regular["width"] == 64
    assert set(regular["labels"]) == {"0.05", "1"}
    assert regular["labels"]["1"]["mean"] == regular["accuracy"]
    assert regular["knn"] > 0.5
    assert "canonical" not in {entry["kind"] for entry in content["kinds"]}
    assert content["tasks"][0]["training_accuracy"] is None
    assert EncoderEvaluation.from_dict(content).to_dict() == content
    assert content["config"] == untrained("c4_resnet18s_w8", "mlp").config.to_dict()
    del content["config"]  # as results were before
    assert EncoderEvaluation.from_dict(content).config is None
    assert EncoderEvaluation.from_dict(content).of("invariant") == scores.of("invariant")


def test_a_task_is_asked_with_every_label_of_every_image():
    """The held-out loss of an equivariant head is the same for all labels, that of another head is their mean."""
    run = untrained("c4_resnet18s_w8", "equivariant")
    test = striped(10, seed=1)
    (scores,) = evaluate(run, striped(60), test, **QUICK).tasks
    upright = run.preprocessing.normalise(test.pixels())
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(
            run.heads[0](run.encoder("regular")(upright)).double(), torch.zeros(10, dtype=torch.long)
        )
    assert scores.loss == pytest.approx(float(loss), abs=1e-5)
    assert (scores.task, scores.num_labels) == ("rotation", 4)


def test_every_task_of_a_multivariate_run_is_scored():
    run = untrained("c1_resnet18s_w4", "mlp", task="rotation+colour_inversion", channels=3)
    scores = evaluate(run, striped(60, channels=3), striped(40, channels=3, seed=1), **QUICK).tasks
    assert [(entry.task, entry.num_labels) for entry in scores] == [("rotation", 4), ("colour_inversion", 2)]
    assert all(0 <= entry.accuracy <= 1 and math.isfinite(entry.loss) for entry in scores)


def test_the_same_images_give_the_same_numbers():
    run = untrained("c4_resnet18s_w8", "equivariant")
    first, second = (evaluate(run, striped(60), striped(20, seed=1), **QUICK).to_dict() for _ in range(2))
    assert first == second


def test_batches_do_not_change_features():
    run, images = untrained("c4_resnet18s_w8", "equivariant"), striped(11)
    whole = encode(run, images.pixels, len(images))
    parts = encode(run, images.pixels, len(images), batch_size=4)
    torch.testing.assert_close(whole, parts)
    assert pool_features(run, whole, "all").shape[1] == 3 * 16 + 64 + 64


@pytest.mark.parametrize("pooling", ["canonical", "canonical-soft", "all"])
def test_features_are_turned_back_where_the_pose_is_and_come_back(pooling, monkeypatch):
    """The device `meta` computes nothing, and refuses tensors of others as a GPU does."""
    run, back = untrained("c4_resnet18s_w8", "equivariant"), []
    run.model.to("meta")

    def fetched(tensor):
        back.append(tensor.device.type)
        return torch.zeros(tensor.shape)

    monkeypatch.setattr(torch.Tensor, "cpu", fetched)
    pooled = pool_features(run, torch.randn(5, 64), pooling)
    assert pooled.device.type == "cpu"
    assert set(back) == {"meta"}


def test_permuted_test_labels_choose_the_same_probes():
    """Nothing is chosen on the test images."""
    run, test = untrained("c4_resnet18s_w8", "equivariant"), striped(60, seed=1)
    kinds = ("regular", "invariant", "canonical")
    options = QUICK | {"kinds": kinds, "fractions": (0.2,), "strengths": (1.0, 0.1, 0.01, 1e-3)}
    permuted = replace(test, labels=test.labels[torch.randperm(60)])
    given, other = (evaluate(run, striped(60), data, **options) for data in (test, permuted))
    assert [entry.strength for entry in given.kinds] == [entry.strength for entry in other.kinds]
    assert given.of("regular").accuracy > other.of("regular").accuracy
    # A label's part of the images that are right is what the probe says of them, whatever their labels.
    flipped = replace(test, labels=1 - test.labels)
    opposite = evaluate(run, striped(60), flipped, **options)
    for one, two in zip(given.kinds, opposite.kinds, strict=True):
        assert one.strength == two.strength
        assert one.accuracy == pytest.approx(1 - two.accuracy)
        for part, found in one.labels.items():
            assert found.mean == pytest.approx(1 - two.labels[part].mean)


def test_ties_are_no_predictions():
    """As in training: else a network that knows nothing would know the first label."""
    run = untrained("c4_resnet18s_w8", "equivariant")
    with torch.no_grad():
        for parameter in run.heads.parameters():
            parameter.zero_()
    (scores,) = evaluate(run, striped(60), striped(20, seed=1), kinds=("invariant",), **QUICK).tasks
    assert (scores.accuracy, scores.augmented_accuracy) == (0, 0)
    assert scores.loss == pytest.approx(math.log(4))


def test_all_labels_are_a_fraction_too():
    options = QUICK | {"fractions": (1.0,)}
    scores = evaluate(untrained("c4_resnet18s_w8", "mlp"), striped(60), striped(20, seed=1), **options).of("regular")
    assert scores.labels["1"].mean == scores.accuracy
    assert set(scores.labels) == {"1"}


def three_classes() -> LabelledImages:
    """Images of two of three classes, the first of which has none."""
    return replace(striped(60), labels=striped(60).labels + 1, classes=("third", "stripes", "spot"))


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"fractions": (0.1, 2.0)}, ValueError, "fraction must be above 0 and at most 1; got 2.0"),
        ({"fractions": (0.0,)}, ValueError, "fraction must be above 0 and at most 1; got 0.0"),
        ({"curve_images": -3}, ValueError, "curve_images must be at least 0; got -3"),
        ({"curve_images": 2.5}, TypeError, "curve_images must be an integer; got 2.5"),
        ({"strengths": ()}, ValueError, "strengths must be positive and finite"),
        ({"seed": -1}, ValueError, "seed must be at least 0; got -1"),
        ({"kinds": ("canonic",)}, ValueError, "kinds of features of this network are regular, .*; got 'canonic'"),
        ({"train": striped(60).subset(range(0, 60, 2))}, ValueError, "all 30 of striped are of 'stripes'. Add images"),
        ({"train": three_classes()}, ValueError, "striped has 60, and none of 'third'"),
        ({"train": striped(60, size=(12, 10))}, ValueError, "rotation turns images .* so they must be square"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(changes, error, sentence, monkeypatch):
    def never(*_, **__):
        raise AssertionError("features were computed")

    monkeypatch.setattr("eqmodels.evaluation.probing.encode", never)
    options = {"train": striped(60), **changes}
    train = options.pop("train")
    test = striped(20, seed=1, size=(12, 10)) if train.images.shape[-1] == 10 else striped(20, seed=1)
    with pytest.raises(error, match=sentence):
        evaluate(untrained("c4_resnet18s_w8", "equivariant"), train, test, **options)


def test_kinds_that_are_not_there_are_answered_by_those_that_are():
    scores = evaluate(untrained("c4_resnet18s_w8", "mlp"), striped(60), striped(20, seed=1), **QUICK)
    for measured in (scores, over_seeds([scores])):
        with pytest.raises(
            KeyError, match="kind must be one of regular, regular-half, invariant, invariant-3, all; got 'canon'"
        ):
            measured.of("canon")


def test_images_of_other_channels_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match="takes images of 1 channels; striped has 3"):
        evaluate(untrained("c4_resnet18s_w8", "equivariant"), striped(60, channels=3), striped(40, channels=3))


def test_an_unknown_pooling_is_refused_in_one_sentence():
    run = untrained("c4_resnet18s_w8", "mlp")
    with pytest.raises(
        ValueError, match="poolings are regular, regular-half, invariant, invariant-3, all; got 'canonical'"
    ):
        pool_features(run, torch.zeros(2, 64), "canonical")


def test_without_augmentation_the_head_is_asked_once():
    run = untrained("resnet18s_w4", "mlp")
    plain = replace(run, config=run.config.replaced(augment="none"))
    asked = []
    run.heads[0].register_forward_hook(lambda *_: asked.append(1))
    (with_augmentation,), _ = head_scores(run, striped(40))
    twice = len(asked)
    (without,), _ = head_scores(plain, striped(40))
    assert twice == 2 * (len(asked) - twice)
    assert without.augmented_accuracy == without.accuracy == with_augmentation.accuracy
    assert without.loss == with_augmentation.loss
