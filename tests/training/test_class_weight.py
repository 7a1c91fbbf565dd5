"""A class head adds class information to the backbone, observes it or eliminates it; without one nothing changes."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.nn.functional import cross_entropy

from eqmodels import load
from eqmodels.data import LabelledImages
from eqmodels.evaluation import ClassScores, EncoderEvaluation, head_scores
from eqmodels.hub.timm_models import encoder_state
from eqmodels.storage import StorageError
from eqmodels.training import Pretraining, TrainingError, load_run, load_unfinished, pretrain
from eqmodels.training.terms import parts_of, total_loss
from tests.training.runs import DEMANDING, photos, tiny

HEAD = {"class_hidden": 8}
MLP = {"head": "mlp", "channels_last": False, **HEAD}


def trained(config, folder, **options):
    return pretrain(config, folder, **{"data": photos(), "device": "cpu", "quiet": True, **options})


def gradients(run, loss):
    """Of every parameter, by name; None where the loss does not depend on it."""
    names = run.model.state_dict(keep_vars=True)
    names, parameters = zip(*((n, p) for n, p in names.items() if isinstance(p, torch.nn.Parameter)), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True), strict=True))


@pytest.mark.parametrize("task", ["rotation", "rotation+jigsaw"])
@pytest.mark.parametrize("weight", [-9.0, 0.0, 0.5])
def test_the_backbone_descends_the_task_and_the_weighted_class_loss_and_the_head_its_own(randomised, weight, task):
    run = Pretraining(tiny(class_weight=weight, task=task, **MLP), photos())
    randomised(run.model).double().train()
    images, labels = run.views(1, 2)
    total = gradients(run, total_loss(run.terms((images.double(), labels))))
    features = run.model.network(images.double())
    columns = zip(run.objective.heads, labels.unbind(1), strict=False)
    tasks = gradients(run, sum(cross_entropy(head(features), column) for head, column in columns))
    classes = gradients(run, cross_entropy(run.objective.class_information.head(features), labels[:, -1]))
    for name, gradient in total.items():
        if name.startswith("backbone."):
            expected = tasks[name] + weight * classes[name]
        else:
            expected = classes[name] if name.startswith("class_information.") else tasks[name]
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12, msg=lambda text, name=name: name + text)
    assert max(float(value.abs().max()) for name, value in classes.items() if name.startswith("backbone.")) > 1e-3


@pytest.mark.parametrize("changes", [{"clip_norm": 0.05}, DEMANDING], ids=["clipped", "demanding"])
def test_at_a_weight_of_0_backbone_and_heads_are_bit_for_bit_those_without_a_class_head(tmp_path, changes):
    without = trained(tiny(**{**changes, "turn": "always"}), tmp_path / "without").model.state_dict()
    observed = trained(tiny(**{**changes, "class_weight": 0.0}, **HEAD), tmp_path / "observed").model.state_dict()
    assert {name for name in observed if name not in without} == {
        f"class_information.head.{layer}.{kind}" for layer in ("hidden", "logits") for kind in ("weight", "bias")
    }
    for name, value in without.items():
        assert torch.equal(value, observed[name]), name


def test_a_weight_changes_the_backbone(tmp_path):
    states = [
        trained(tiny(epochs=1, class_weight=weight, **HEAD), tmp_path / str(weight)).model.backbone.state_dict()
        for weight in (-1.0, 0.0, 1.0)
    ]
    name = "stem.conv.weight"
    assert not torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[2][name], states[1][name])


def test_without_a_class_head_nothing_is_noted_of_classes(tmp_path):
    run = trained(tiny(epochs=1), tmp_path)
    assert {name.split(".")[0] for name in run.model.state_dict()} == {"backbone", "heads"}
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert set(content["images"]) == {"number", "mean", "deviation", "size", "resize"}
    assert not [name for name in run.log[0] if "class" in name]


def test_the_log_tells_the_class_loss_from_the_loss(tmp_path):
    run = trained(tiny(epochs=2, class_weight=0.0, task="rotation+blur", **MLP), tmp_path)
    with (tmp_path / "log.csv").open() as stream:
        (_, last) = list(csv.DictReader(stream))
    names = "epoch loss class_loss learning_rate accuracy_rotation accuracy_blur accuracy_class seconds"
    assert list(last) == [*names.split(), "images_per_second"]
    assert float(last["class_loss"]) == pytest.approx(run.log[-1]["class_loss"], rel=1e-5)
    observer = Pretraining(run.config, photos())
    with torch.no_grad():
        terms = observer.terms(observer.views(0, 0))
    assert float(total_loss(terms)) == pytest.approx(sum(float(term.loss) for term in terms.values()))
    assert 0.5 < float(terms["class"].loss) / math.log(4) < 2
    assert len(terms) == 3


def shaded():
    """Images whose classes are told by their brightness."""
    data = photos()
    shades = torch.tensor([0, 60, 120, 180], dtype=torch.uint8)[data.labels][:, None, None, None]
    return replace(data, images=data.images // 8 + shades)


def test_every_image_comes_with_its_own_class():
    run = Pretraining(tiny(class_weight=1.0, augment="none", **HEAD), shaded())
    for epoch, step in ((0, 0), (1, 3)):
        images, labels = run.views(epoch, step)
        order = images.mean((1, 2, 3)).argsort()
        assert labels[order, -1].tolist() == sorted(labels[:, -1].tolist())
        assert labels[:, -1].unique().numel() > 2


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_class_head_learns_the_classes(tmp_path, weight):
    config = tiny(epochs=12, augment="none", learning_rate=0.05, class_weight=weight, class_hidden=32)
    run = trained(config, tmp_path, data=shaded())
    assert run.log[-1]["accuracy_class"] > 0.4
    assert run.log[-1]["class_loss"] < 0.8 * run.log[0]["class_loss"]


@pytest.mark.parametrize("weight", [-9.0, 0.5])
def test_a_step_in_parts_is_the_step_with_layer_norm(randomised, weight):
    """In float64 and for one step: over several, an activation next to 0 may fall to its other side by rounding."""
    results = []
    for accumulate in (1, 4):
        config = tiny(model="c4_resnet18s_w8", norm="layer", class_weight=weight, accumulate=accumulate, **HEAD)
        run = Pretraining(config, photos())
        torch.manual_seed(3)
        randomised(run.model).double().train()
        images, labels = run.views(1, 2)
        parts = [run.terms(part) for part in parts_of((images.double(), labels), accumulate)]
        sum(total_loss(part) / accumulate for part in parts).backward()
        counts = {
            name: (sum(part[name].loss.item() for part in parts) / accumulate, sum(int(p[name].correct) for p in parts))
            for name in parts[0]
        }
        results.append(({name: parameter.grad for name, parameter in run.model.named_parameters()}, counts))
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-12)


@pytest.mark.tracing
@pytest.mark.slow
def test_a_compiled_network_trains_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    # In larger steps the reversed gradient makes of two orders of summation, 1e-6 apart, two other networks.
    config = {"epochs": 1, "class_weight": -2.0, **HEAD, "learning_rate": 1e-3}
    plain = trained(tiny(**config), tmp_path / "plain").model.state_dict()
    compiled = trained(tiny(**config, compile=True), tmp_path / "compiled").model.state_dict()
    torch.testing.assert_close(plain, compiled, rtol=0, atol=1e-5)


# Files.


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run with a class head, and the run."""
    folder = tmp_path_factory.mktemp("run")
    return folder, trained(tiny(epochs=1, class_weight=-9.0, **HEAD), folder)


def test_the_class_head_is_saved_with_the_rest(finished):
    folder, run = finished
    for loaded in (load_run(folder), load_unfinished(folder / "checkpoint.pt")):
        assert loaded.class_information.weight == -9.0
        torch.testing.assert_close(loaded.model.state_dict(), run.model.state_dict(), rtol=0, atol=0)


def test_an_encoder_has_no_class_head(finished):
    folder, run = finished
    encoder = load(folder)
    torch.testing.assert_close(encoder.state_dict(), run.encoder("canonical").state_dict(), rtol=0, atol=0)
    state = encoder_state(run.model.state_dict(), encoder)
    assert set(state) == set(encoder.state_dict())


def test_a_run_that_does_not_name_its_classes_is_refused(finished, tmp_path):
    folder, _ = finished
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    content = json.loads((tmp_path / "config.json").read_text())
    del content["provenance"]["data"]["classes"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(
        StorageError,
        match=r"describes no run: class_weight=-9 needs images labelled with at least two classes; got 0\. Use ",
    ):
        load_run(tmp_path)


def test_a_checkpoint_of_other_labels_is_refused(tmp_path):
    config = tiny(class_weight=1.0, **HEAD)
    Pretraining(config, photos()).save(tmp_path)
    permuted = replace(photos(), labels=photos().labels.flip(0))
    with pytest.raises(TrainingError, match=r"checkpoint.pt belongs to another run: images' labels='\w{16}' there"):
        trained(config, tmp_path, data=permuted)


# Input.


@pytest.mark.parametrize("classes", ["a", "abcd"])
def test_images_of_one_class_are_refused_in_one_sentence(classes):
    data = photos()
    alike = LabelledImages("alike", data.images, torch.zeros_like(data.labels), tuple(classes))
    found = "got 1" if classes == "a" else "those of alike are all of 'a'"
    sentence = (
        rf"^class_weight=0.5 needs (training )?images labelled with at least two classes; {found}. "
        r"Use labelled images, such as a folder with one folder of images a class, or class_weight=None.$"
    )
    with pytest.raises(ValueError, match=sentence):
        Pretraining(tiny(class_weight=0.5, **HEAD), alike)
    Pretraining(tiny(), alike)  # nobody asks for the class


# Held-out images.


def test_the_class_head_is_scored_on_held_out_images_as_it_was_trained(finished):
    _, run = finished
    test = photos(20)
    (task,), scores = head_scores(run, test)
    logits = []
    with torch.no_grad():
        for quarter in range(4):
            turned = torch.rot90(run.preprocessing.normalise(test.pixels()), quarter, (-2, -1))
            logits.append(run.objective.logits(run.encoder("regular")(turned))["class"].double())
    logits, classes = torch.cat(logits), test.labels.repeat(4)
    assert scores.loss == pytest.approx(float(cross_entropy(logits, classes)), abs=1e-5)
    assert scores.accuracy == pytest.approx(float((logits.argmax(1) == classes).double().mean()), abs=0.02)
    assert (scores.weight, scores.num_classes) == (-9.0, 4)
    assert scores.training_accuracy == run.log[-1]["accuracy_class"]
    assert (task.task, task.num_labels) == ("rotation", 4)


def test_classes_that_the_head_did_not_learn_are_not_scored(finished):
    _, run = finished
    assert head_scores(run, replace(photos(20), classes=tuple("abcx")))[1] is None
    assert head_scores(run, replace(photos(20), classes=tuple("abcde")))[1] is None
    assert head_scores(replace(run, provenance={}), photos(20))[1] is not None


@pytest.mark.parametrize("scores", [None, ClassScores(-9.0, 10, 0.5, 1.5, 0.4, math.nan)])
def test_an_evaluation_is_the_same_after_json_with_a_class_head_and_without(scores):
    evaluation = EncoderEvaluation("m", "s", 1, 2, ("a", 3), ("b", 4), "C4", (), (), {"90°": 0.0}, class_head=scores)
    content = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert ("class_head" in content) == (scores is not None)
    restored = EncoderEvaluation.from_dict(content)
    assert restored.to_dict() == content
    assert (restored.class_head is None) == (scores is None)
