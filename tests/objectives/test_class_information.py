"""Class information is injected or eliminated by the backbone; the class head always learns."""

from __future__ import annotations

import copy
import itertools
import re
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eqmodels.evaluation import fit_linear_probe
from eqmodels.objectives import ClassInformation, class_information_loss, prediction_loss, scale_gradient

WEIGHTS = [-9.0, -1.0, 0.0, 0.5, 1.0]


def network():
    """A backbone, a class head, images and classes, in float64."""
    torch.manual_seed(3)
    backbone = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5)).double()
    head = ClassInformation(5, 3, weight=1.0, hidden=7).head.double()
    return backbone, head, torch.randn(12, 6, dtype=torch.float64), torch.arange(12) % 3


def gradients(loss, weight):
    """Of backbone and head, for a loss of features, classes, head and weight."""
    backbone, head, images, classes = network()
    loss(backbone(images), classes, head, weight=weight).backward()
    return tuple([parameter.grad for parameter in part.parameters()] for part in (backbone, head))


def plain(features, classes, head, weight):
    return cross_entropy(head(features), classes)


def ascending(features, classes, head, weight):
    """The defect of the paper's public code: one optimiser descends the loss times the weight."""
    return weight * cross_entropy(head(features), classes)


def assert_gradient_law(loss, weight):
    backbone, head = gradients(loss, weight)
    expected_backbone, expected_head = gradients(plain, weight)
    for ours, own in zip(head, expected_head, strict=True):
        torch.testing.assert_close(ours, own, rtol=1e-12, atol=1e-12)
    for ours, own in zip(backbone, expected_backbone, strict=True):
        torch.testing.assert_close(ours, weight * own, rtol=1e-12, atol=1e-12)
    assert all(gradient.abs().max() > 1e-3 for gradient in (*expected_head, *expected_backbone))


def assert_head_learns(loss, weight, step=0.5):
    """On frozen features, gradient descent of the loss lowers the head's cross-entropy in every step."""
    backbone, head, images, classes = network()
    features = backbone(images).detach()
    optimiser = torch.optim.SGD(head.parameters(), lr=step)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        losses.append(cross_entropy(head(features), classes).item())
        loss(features, classes, head, weight=weight).backward()
        optimiser.step()
    assert all(after < before for before, after in itertools.pairwise(losses))
    assert losses[-1] < 0.85 * losses[0]


@pytest.mark.parametrize("weight", WEIGHTS)
def test_the_backbone_gets_the_weight_times_its_gradient_and_the_head_its_own(weight):
    assert_gradient_law(class_information_loss, weight)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_the_class_head_minimises_its_own_loss_whatever_the_weight(weight):
    assert_head_learns(class_information_loss, weight)


@pytest.mark.parametrize("weight", [-9.0, -1.0])
@pytest.mark.parametrize("law", [assert_gradient_law, assert_head_learns])
def test_these_laws_find_the_published_defect_of_a_head_that_ascends_its_own_loss(law, weight):
    with pytest.raises(AssertionError):
        law(ascending, weight)


def test_these_laws_find_a_reversal_behind_the_head():
    def behind(features, classes, head, weight):
        return cross_entropy(scale_gradient(head(features), weight), classes)

    for law in (assert_gradient_law, assert_head_learns):
        with pytest.raises(AssertionError):
            law(behind, -1.0)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_the_module_is_the_function(weight):
    def module(features, classes, head, weight, *, forward):
        intervention = ClassInformation(5, 3, weight=weight, hidden=7)
        intervention.head = head
        if forward:
            return prediction_loss(intervention(features), classes)
        return intervention.loss(features, classes)

    for forward in (True, False):
        assert_gradient_law(partial(module, forward=forward), weight)


def test_the_head_is_a_perceptron_or_linear():
    assert sum(p.numel() for p in ClassInformation(5, 3, weight=1.0, hidden=7).parameters()) == 6 * 7 + 8 * 3
    assert sum(p.numel() for p in ClassInformation(5, 3, weight=1.0, hidden=0).parameters()) == 6 * 3
    assert "weight=-9" in repr(ClassInformation(5, 3, weight=-9.0))


def test_autocast_and_other_integers_are_taken():
    module = ClassInformation(5, 3, weight=-1.0, hidden=7)
    features = torch.randn(6, 5, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        loss = module.loss(features, (torch.arange(6) % 3).to(torch.int32))
    loss.backward()
    assert (loss.dtype, features.grad.dtype) == (torch.float32, torch.float32)


def cued(count, seed):
    """Vectors of noise that show a task's label and, elsewhere, a class; the two are independent."""
    generator = torch.Generator().manual_seed(seed)
    classes, labels = torch.randint(4, (2, count), generator=generator)
    images = torch.randn(count, 12, generator=generator)
    images[torch.arange(count), classes] += 2.0
    images[torch.arange(count), 4 + labels] += 2.0
    return images, labels, classes


def trained(weight):
    """Accuracies on held-out images: of a fresh linear probe of the class, of the task's head and of the class head."""
    torch.manual_seed(0)
    (images, labels, classes), (test, test_labels, test_classes) = cued(2000, 0), cued(2000, 1)
    backbone = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 12))
    task, intervention = nn.Linear(12, 4), ClassInformation(12, 4, weight=weight, hidden=64)
    everything = nn.ModuleList([backbone, task, intervention])
    optimiser = torch.optim.SGD(everything.parameters(), lr=0.1, weight_decay=1e-3)
    for _ in range(600):
        chosen = torch.randint(len(images), (100,))
        features = backbone(images[chosen])
        loss = cross_entropy(task(features), labels[chosen]) + intervention.loss(features, classes[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        features, held_out = backbone(images), backbone(test)
        probe = fit_linear_probe(features, classes, strengths=(0.01,))
        right = [task(held_out).argmax(1) == test_labels, intervention(held_out).argmax(1) == test_classes]
    return probe.accuracy(held_out, test_classes), *(float(found.double().mean()) for found in right)


def test_held_out_images_show_less_of_an_eliminated_class_and_more_of_an_injected_one():
    eliminated, observed, injected = (trained(weight) for weight in (-1.0, 0.0, 0.5))
    assert eliminated[0] < observed[0] - 0.08
    assert injected[0] > observed[0] + 0.08
    # The task does not suffer: what was learned is not destroyed but chosen.
    assert min(eliminated[1], observed[1], injected[1]) > 0.75
    # The head of the observer and of the injection reads what is there.
    assert observed[2] > 0.5
    assert injected[2] > observed[2]


def test_a_weight_of_0_trains_the_backbone_as_if_there_were_no_head():
    def steps(with_head):
        backbone, head, images, classes = network()
        task = copy.deepcopy(head)
        parameters = [*backbone.parameters(), *task.parameters(), *head.parameters()]
        optimiser = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
        for _ in range(5):
            features = backbone(images)
            loss = cross_entropy(task(features), classes.flip(0))
            if with_head:
                loss = loss + class_information_loss(features, classes, head, weight=0.0)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return backbone.state_dict()

    torch.testing.assert_close(steps(True), steps(False), rtol=0, atol=0)


BROKEN = [
    (
        lambda: ClassInformation(5, 1, weight=1.0),
        ValueError,
        "num_classes must be at least 2, as a single class holds no information; got 1. Use images of several classes, "
        "or no class head.",
    ),
    (
        lambda: ClassInformation(5, 2.0, weight=1.0),
        TypeError,
        "num_classes must be an integer; got 2.0. Pass a whole number of at least 0.",
    ),
    (
        lambda: ClassInformation(5, 2, weight=1.0, hidden=-1),
        ValueError,
        "hidden must be at least 0; got -1. Pass a whole number of at least 0.",
    ),
    *(
        (
            lambda weight=weight: ClassInformation(5, 2, weight=weight),
            ValueError,
            f"weight must be a finite number; got {weight}. Pass 0.5 to add class information, 0 to observe it or -9 "
            "to eliminate it.",
        )
        for weight in (float("nan"), float("inf"), -float("inf"))
    ),
    (
        lambda: ClassInformation(5, 2, weight=1.0).loss(torch.zeros(4, 5), torch.zeros(3).long()),
        ValueError,
        "class information needs one label an image; got 4 images and labels of the shape (3,). Pass the labels of the "
        "same batch.",
    ),
    (
        lambda: ClassInformation(5, 2, weight=1.0).loss(torch.zeros(4, 5), torch.arange(4)),
        ValueError,
        "labels must lie in 0 .. 1, the classes of the head; got 0 .. 3. Use a head with num_classes=4, or number the "
        "classes from 0.",
    ),
]


@pytest.mark.parametrize(("call", "error", "sentence"), BROKEN)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_breaks_a_rule_is_refused_in_a_sentence(call, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        call()
