"""Fine-tuning: from a pretrained network to a classifier, chosen on held-out training images, tested once."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eqmodels import create_model, load
from eqmodels.data import LabelledImages, in_memory, subset
from eqmodels.data.pictures import BadFile
from eqmodels.finetuning import FinetuneConfig, finetune, validation_split
from eqmodels.finetuning.finetuning import PAGE
from eqmodels.finetuning.probe import fitted_classifier
from eqmodels.finetuning.splitting import Together, image_digests
from eqmodels.finetuning.tuning import CHECKPOINT, Tuning, logits_of
from eqmodels.storage import StorageError
from eqmodels.training import TrainingError
from eqmodels.transforms import Preprocessing
from tests.training.runs import photos

CONFIG = FinetuneConfig(epochs=2, batch_size=8, learning_rate=1e-2, augment="none")


def network(name="c4_resnet18s_w4", pool="invariant", channels=1):
    """A small network that was never pretrained, and says how its images are normalised."""
    torch.manual_seed(0)
    built = create_model(name, num_classes=0, in_chans=channels, global_pool=pool)
    built.preprocessing = Preprocessing((0.5,) * channels, (0.25,) * channels, (32, 32), "squash_8bit")
    return built.eval()


def labelled(classes, *, seed=0, names="abcd"):
    """Images of such classes, brighter the higher their number is."""
    labels = torch.tensor(classes)
    noise = torch.rand(len(labels), 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    images = (0.3 * noise + 0.15 * labels[:, None, None, None]).clamp(0, 1)
    return LabelledImages("few", images, labels, tuple(names))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished fine-tuning: what was returned, and its folder."""
    folder = tmp_path_factory.mktemp("finetuned") / "whole"
    train = labelled([0] * 8 + [1] * 8 + [2] * 8 + [3])
    test = labelled([0, 1, 1, 2, 2, 2], seed=1)
    return finetune(network(), train, test, folder, CONFIG), folder, train, test


def test_the_folder_is_a_network_that_names_its_classes(done):
    result, folder, _, test = done
    loaded = load(folder)
    assert loaded.classes == result.classes == ("a", "b", "c", "d")
    # What pictures go through is what the training images did.
    assert (loaded.preprocessing.size, loaded.preprocessing.resize) == ((8, 8), "crop")
    torch.testing.assert_close(logits_of(loaded, test.pixels()), logits_of(result.network, test.pixels()))
    assert not (folder / CHECKPOINT).exists()
    assert load(folder, num_classes=0).classes == ()
    assert load(folder, in_chans=3).classes == result.classes


def test_what_is_reported_is_what_the_network_does(done):
    result, folder, _, test = done
    predicted = logits_of(load(folder), test.pixels()).argmax(1)
    scores = result.test
    assert scores.upright.mean == pytest.approx(float((predicted == test.labels).double().mean()))
    assert sum(map(sum, scores.confusion)) == scores.images == len(test)
    for true, named in zip(test.labels.tolist(), predicted.tolist(), strict=True):
        assert scores.confusion[true][named]
    assert len(scores.views) == 8
    assert len(scores.mistakes) == int((predicted != test.labels).sum())
    assert all(test.labels[one.image] == one.label != one.predicted for one in scores.mistakes)
    # The only image of the last class is trained on, and none of it is tested.
    assert scores.recall(3) is None
    assert result.images == {"training": 19, "validation": 6}
    assert [note.partition(":")[0] for note in result.notes] == ["Without a validation image", "Without a test image"]
    assert all(": 'd'; " in note for note in result.notes)


def test_the_best_epoch_is_kept_the_linear_probe_among_them(done):
    result, *_ = done
    ranks = [(row["accuracy"], -row["loss"]) for row in result.log]
    assert ranks.index(max(ranks)) == result.best
    assert [row["epoch"] for row in result.log] == [0, 1, 2]


def test_the_same_call_returns_at_once_and_another_is_refused(done):
    result, folder, train, test = done
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    again = finetune(network(), train, test, folder, CONFIG)
    assert json.dumps(again.to_dict()) == json.dumps(result.to_dict())
    with pytest.raises(TrainingError, match="another run: epochs=2 there and 3 here"):
        finetune(network(), train, test, folder, replace(CONFIG, epochs=3))
    with pytest.raises(TrainingError, match="train_pixels"):
        finetune(network(), labelled([0] * 8 + [1] * 8 + [2] * 8 + [3], seed=2), test, folder, CONFIG)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_network_of_something_else_is_not_overwritten(tmp_path, done):
    _, _, train, test = done
    network().save_pretrained(tmp_path / "mine")
    with pytest.raises(StorageError, match="nothing of it is overwritten"):
        finetune(network(), train, test, tmp_path / "mine", CONFIG)


def test_one_that_is_stopped_anywhere_goes_on_to_the_same_weights(done, tmp_path, monkeypatch):
    _, whole, train, test = done
    step, folder, said = Tuning.step, tmp_path / "cut", []
    for steps in (1, 2):

        def interrupted(tuning, left=[steps]):  # noqa: B006 (what is left is kept there)
            step(tuning)
            left[0] -= 1
            if not left[0]:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Tuning, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            finetune(network(), train, test, folder, CONFIG, report=said.append)
        assert not (folder / "config.json").exists()
    monkeypatch.setattr(Tuning, "step", step)
    with pytest.raises(TrainingError, match="epochs=2 there and 1 here"):
        finetune(network(), train, test, folder, replace(CONFIG, epochs=1))
    result = finetune(network(), train, test, folder, CONFIG, report=said.append)
    assert (folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert [one["loss"] for one in result.log] == [one["loss"] for one in done[0].log]
    assert [sentence for sentence in said if "goes on" in sentence] == [
        "goes on from epoch 1, step 2",
        "goes on from epoch 2, step 1",
    ]


def test_a_damaged_checkpoint_is_named(tmp_path, done):
    (tmp_path / CHECKPOINT).write_bytes(b"nothing")
    with pytest.raises(TrainingError, match=r"finetuning\.pt cannot be read .* Delete it to start again"):
        finetune(network(), *done[2:], tmp_path, CONFIG)


@pytest.mark.parametrize(
    ("name", "pool"),
    [("c4_resnet18s_w4", "invariant"), ("c4_resnet18s_w4", "canonical"), ("d4_resnet18s_w8", "canonical")],
)
def test_a_network_stays_invariant_while_all_layers_learn(name, pool, randomised):
    images = photos(12, size=8)
    own = randomised(network(name, pool))
    own.preprocessing = Preprocessing((0.5,), (0.25,), (8, 8))
    own.reset_classifier(4)
    before = logits_of(own, images.pixels())
    numbers = torch.arange(12)
    tuning = Tuning(own, images, numbers, numbers, FinetuneConfig(epochs=1, batch_size=6, learning_rate=1e-3), {})
    tuning.start(0.1)
    tuning.step()
    tuning.step()
    after = logits_of(own, images.pixels())
    assert (after - before).abs().max() > 1e-3
    for g in own.group.elements:
        moved = logits_of(own, own.group.act(g, images.pixels()))
        torch.testing.assert_close(moved, after, rtol=0, atol=1e-4 * float(after.abs().max()))


@pytest.mark.parametrize("learns", [True, False])
def test_what_predicts_the_pose_of_canonical_features_learns_unless_it_is_not_to(learns, tmp_path):
    own = network(pool="canonical")
    before = {name: value.clone() for name, value in own.global_pool.pose.state_dict().items()}
    train, test = labelled([0] * 8 + [1] * 8), labelled([0, 1], seed=1)
    config = replace(CONFIG, epochs=1, patience=1, learn_pose=learns)
    result = finetune(own, train, test, tmp_path, config)
    mode = "canonical-soft" if learns else "canonical"
    assert (own.global_pool.mode, result.network.global_pool.mode) == ("canonical", mode)
    assert result.marks["features"] == load(tmp_path).global_pool.mode == mode
    tuning = Tuning(result.network, train, *[torch.arange(16)] * 2, config, {})
    tuning.start(0.1)
    tuning.step()
    after = result.network.global_pool.pose.state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in after.items()) is learns


def test_the_classifier_begins_as_the_linear_probe_and_never_names_what_it_never_saw():
    own, features = network(), torch.rand(20, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 2 * 2  # classes 0 and 2 of four
    features = torch.cat([features, labels[:, None] + features], 1)[:, : own.head_hidden_size]
    probe = fitted_classifier(own, features, labels, 4)
    scores = own.fc(features)
    torch.testing.assert_close(scores[:, [0, 2]].double(), probe.scores(features).double(), rtol=1e-4, atol=1e-4)
    assert set(scores.argmax(1).tolist()) <= {0, 2}


def test_stages_learn_the_more_slowly_the_nearer_they_are_to_the_image():
    own = network()
    own.reset_classifier(4)
    numbers = torch.arange(12)
    tuning = Tuning(own, photos(12), numbers, numbers, FinetuneConfig(layer_decay=0.5), {})
    names = {parameter: name for name, parameter in own.named_parameters()}
    scales = {names[one]: group["scale"] for group in tuning.optimiser.param_groups for one in group["params"]}
    assert scales.keys() == set(names.values())
    assert {name: scale for name, scale in scales.items() if name.startswith(("fc", "layer4.0.conv1"))} == {
        "fc.weight": 1.0,
        "fc.bias": 1.0,
        "layer4.0.conv1.weight": 0.5,
    }
    assert all(scale == 0.5 ** len(own.stages) for name, scale in scales.items() if name.startswith(own.stages[0]))
    decaying = [p for group in tuning.optimiser.param_groups if group["weight_decay"] for p in group["params"]]
    assert decaying
    assert all(parameter.dim() > 1 for parameter in decaying)


def test_images_are_held_out_of_every_class_by_what_they_are():
    source = photos(40)
    fit, held_out = validation_split(source, 0.25)
    assert source.labels[held_out].bincount().tolist() == [2, 2, 2, 2]  # a quarter of ten, rounded to even
    assert sorted([*fit.tolist(), *held_out.tolist()]) == list(range(40))
    digests = image_digests(source)
    chosen = {digests[number] for number in held_out.tolist()}
    shuffled = in_memory(subset(source, torch.randperm(40, generator=torch.Generator().manual_seed(3))))
    order = image_digests(shuffled)
    assert {order[number] for number in validation_split(shuffled, 0.25)[1].tolist()} == chosen
    # An image more moves one other at most.
    fewer = in_memory(subset(source, torch.arange(39)))
    assert len(chosen ^ {image_digests(fewer)[n] for n in validation_split(fewer, 0.25)[1].tolist()}) <= 2


def test_copies_of_an_image_are_on_one_side():
    source = photos(12)
    doubled = in_memory(subset(source, torch.arange(12).repeat(3)))
    _, held_out = validation_split(doubled, 0.3)
    held = torch.zeros(36, dtype=torch.bool).index_fill(0, held_out, True).view(3, 12)
    assert held.any()
    assert torch.equal(held, held[:1].expand(3, 12))


def test_images_that_no_classifier_can_learn_from_are_refused(tmp_path):
    test = labelled([0, 1])
    for train, sentence in {
        LabelledImages("loose", torch.rand(4, 1, 8, 8), torch.full((4,), -1), ()): "needs a class of every image",
        labelled([1] * 5): "all 5 training images of few are of 'b'",
        labelled([0, 1, 2]): "every class of few has one",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            finetune(network(), train, test, tmp_path / "none", CONFIG)
    for train, other, sentence in (
        (labelled([0, 0, 1]), labelled([0], names="xyzw"), "must have the classes of the training images"),
        (photos(8, channels=3), photos(8, channels=3), "--in-chans 3"),
        (photos(8), photos(8, size=10), "as large as the training images"),
    ):
        with pytest.raises(ValueError, match=sentence):
            finetune(network(), train, other, tmp_path / "none", CONFIG)
    bare = network()
    bare.preprocessing = None
    with pytest.raises(ValueError, match="says how its images are normalised"):
        finetune(bare, labelled([0, 0, 1]), test, tmp_path / "none", CONFIG)
    for name, value in {"config": {"epochs": 2}, "train": [0], "quiet": "no", "folder": 3, "report": None}.items():
        given = {"train": test, "test": test, "folder": tmp_path / "none", name: value}
        with pytest.raises(TypeError, match=f"^{name} must be"):
            finetune(network(), **given)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epochs": -1}, "epochs must be"),
        ({"batch_size": 1}, "batch_size must be"),
        ({"layer_decay": 0.0}, "layer_decay must be above 0"),
        ({"validation": 0.9}, "validation must be above 0 and at most 0.5"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number"),
        ({"augment": "crop_flap"}, "crop_flip"),
        ({"seed": 2**32}, "seed must be at most"),
    ],
)
def test_values_that_break_their_rule_are_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        FinetuneConfig(**values)


def test_images_to_choose_on_may_be_given_and_all_others_are_trained_on(tmp_path):
    train, chosen_on = labelled([0, 1, 2] * 4), labelled([0, 1, 1, 2], seed=3)
    test = labelled([0, 1, 2, 2], seed=1)
    result = finetune(network(), train, test, tmp_path / "a", CONFIG, validation=chosen_on)
    assert result.images == {"training": 12, "validation": 4}
    predicted = logits_of(load(tmp_path / "a"), chosen_on.pixels()).argmax(1)
    assert result.log[result.best]["accuracy"] == float((predicted == chosen_on.labels).double().mean())
    assert [note.partition(":")[0] for note in result.notes] == ["Without a training image", "Without a test image"]
    page = (tmp_path / "a" / PAGE).read_text()
    assert "the epoch was chosen on 4 validation images" in page
    assert "test images were looked at once" in page
    again = finetune(network(), train, test, tmp_path / "a", CONFIG, validation=chosen_on)
    assert json.dumps(again.to_dict()) == json.dumps(result.to_dict())
    with pytest.raises(TrainingError, match="validation_images"):
        finetune(network(), train, test, tmp_path / "a", CONFIG)
    with pytest.raises(ValueError, match=r"^validation images must have the classes of the training images"):
        finetune(network(), train, test, tmp_path / "b", CONFIG, validation=labelled([0, 1], names="ab"))


def test_test_images_that_the_epoch_was_chosen_on_are_said(tmp_path):
    train, test = labelled([0, 1, 2, 3] * 3), labelled([0, 1, 2, 3], seed=1)
    result = finetune(network(), train, test, tmp_path / "a", replace(CONFIG, epochs=0), validation=test)
    assert result.notes[-1].startswith("All test images are validation images, on which the epoch was chosen")
    assert "looked at once" not in (tmp_path / "a" / PAGE).read_text()
    some = subset(replace(test, skipped=(BadFile(Path("bad.png"), "it is damaged"),)), [0, 2])
    result = finetune(network(), train, test, tmp_path / "b", replace(CONFIG, epochs=0), validation=some)
    assert result.notes[-2].startswith("2 of the 4 test images are validation images")
    assert result.notes[-1] == "Left out: 1 file that cannot be read, see skipped.csv."
    assert (tmp_path / "b/skipped.csv").read_text() == "path,reason\nbad.png,it is damaged\n"


def test_two_sources_are_numbered_one_after_the_other():
    first, second = labelled([0, 1, 2]), labelled([3, 0], seed=1)
    both = Together(first, second)
    assert [part.tolist() for part in both.split()] == [[0, 1, 2], [3, 4]]
    assert both.labels.tolist() == [0, 1, 2, 3, 0]
    numbers = torch.tensor([4, 0, 3, 2, 0, -1])
    assert torch.equal(both.pixels(numbers), torch.cat([first.pixels(), second.pixels()])[numbers])
    assert torch.equal(both.pixels(slice(1, 2)), first.pixels(slice(1, 2)))
