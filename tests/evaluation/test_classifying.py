"""The accuracy of a network's own classifier, as it was saved."""

from __future__ import annotations

import pytest
import torch

from eqmodels.backbones import SteerableResNet
from eqmodels.cli import main
from eqmodels.data import LabelledImages
from eqmodels.evaluation import classifier_accuracy
from eqmodels.transforms import Preprocessing

CLASSES = tuple("abcdefg")


def network(group: str = "c4") -> SteerableResNet:
    torch.manual_seed(0)
    found = SteerableResNet("resnet18s", group, width=8, num_classes=len(CLASSES)).eval()
    found.preprocessing = Preprocessing((0.4, 0.5, 0.6), (0.2, 0.3, 0.2), (9, 9))
    return found


def judged(encoder, wrong: int = 0) -> LabelledImages:
    """Images with the labels that the network gives them, but for so many of the ten."""
    images = torch.rand(10, 3, 9, 9)
    with torch.no_grad():
        scores = encoder(encoder.preprocessing.normalise(images))
    labels = scores.argmax(1)
    labels[:wrong] = scores.argmin(1)[:wrong]  # the seventh, so not among five either
    return LabelledImages("judged", images, labels, CLASSES)


def test_right_and_wrong_are_counted_and_an_exact_network_does_not_care_for_turns():
    encoder = network()
    found = classifier_accuracy(encoder, judged(encoder, wrong=3))
    assert (found.images, found.top1, found.top5, found.turned, found.changed) == (10, 0.7, 0.7, 0.7, 0.0)


def test_a_network_without_a_group_changes_its_mind():
    encoder = network("c1")
    found = classifier_accuracy(encoder, judged(encoder))
    assert found.top1 == 1
    with torch.no_grad():
        images = encoder.preprocessing.normalise(judged(encoder).images)
    assert found.turned == pytest.approx(1 - found.changed)
    assert images.shape == (10, 3, 9, 9)


def test_other_classes_are_refused():
    encoder = network()
    images = LabelledImages("more", torch.rand(2, 3, 9, 9), torch.tensor([0, 7]), (*CLASSES, "h"))
    with pytest.raises(ValueError, match="must have a classifier of the classes of more; got 7 classes for 2 images"):
        classifier_accuracy(encoder, images)


def test_the_command_wants_one_network_and_images(capsys):
    assert main(["evaluate", "one", "two", "--classifier", "--data", "imagenet"]) == 2
    assert "--classifier is asked of one network" in capsys.readouterr().err
