"""How exactly features turn with the image once a network was trained on, exported, or rounded to 8 bits."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones import Backbone
from eqmodels.bench.engines import running
from eqmodels.bench.inside import INSIDE, layers_inside
from eqmodels.bench.layers import Layers, read_layers, worst_of_layers
from eqmodels.bench.symmetry import SQUARE
from eqmodels.data import Source
from eqmodels.evaluation import equivariance_report
from eqmodels.evaluation.encoding import normalised
from eqmodels.fields import Scalars
from eqmodels.groups import PlanarGroup

__all__ = ["FORMS", "LAYERED", "Forms", "measure_forms", "precision_of"]

Computed = Callable[[Tensor], Tensor]
"""From normalised images to features."""
IMAGES = 64
"""That are moved, and that ranges of 8 bits are taken from."""
STEPS = 10
"""Of training, after which a network is asked again."""
TRAINED = "after training"


@dataclass(frozen=True)
class Forms:
    """Errors of one network in other forms.

    Attributes:
        errors: by form and element of D4 in words, ``|f(g x) - rho(g) f(x)| / |f(x)|`` of the features; where nobody
            says how they move, how far they change.
        own: the elements, in words, that the network's group has.
        layers: by form of `LAYERED`, the largest error of every layer for these elements, and which; without forms that
            were not measured, and empty if the group has no such element.
    """

    errors: dict[str, dict[str, float]]
    own: tuple[str, ...]
    layers: dict[str, Layers] = field(default_factory=dict)

    def worst(self, form: str) -> float | None:
        """The largest error of a form over the network's own elements; None without any."""
        return max((error for element, error in self.errors.get(form, {}).items() if element in self.own), default=None)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Forms:
        """What `dataclasses.asdict` made of one, also after a way through JSON.

        Raises:
            TypeError: if names are missing or unknown.
        """
        layers = read_layers(content.get("layers", {}))
        return cls(**{**content, "own": tuple(content["own"]), "layers": layers})


def _as_it_is(network: Backbone, images: Tensor) -> Computed:  # noqa: ARG001
    return network


def _after_training(network: Backbone, images: Tensor) -> Computed:
    """A copy that made some steps of SGD on other goals, with the statistics of these images."""
    learner = copy.deepcopy(network).train()
    parameters = [one for one in learner.parameters() if one.requires_grad]
    optimiser = torch.optim.SGD(parameters, lr=1e-2, momentum=0.9)
    for batch in (images[step::STEPS] for step in range(STEPS)):
        features = learner(batch)
        optimiser.zero_grad()
        (features - features.detach().roll(1, 0)).square().mean().backward()
        optimiser.step()
    return _as_it_is(learner.eval(), images)


FORMS: dict[str, Callable[[Backbone, Tensor], Computed]] = {
    "as it is": _as_it_is,
    TRAINED: _after_training,
    "exported": partial(running, "exported"),
    "onnxruntime": partial(running, "onnxruntime"),
    "int8": partial(running, "int8"),
}
"""By name: what makes a form of a network, given images of the kind that it sees."""
LAYERED = (TRAINED, *INSIDE)
"""The forms whose layers are asked too."""


def precision_of(form: str) -> str:
    """In what a form computes, in words."""
    return {"int8": "8 bits"}.get(form, "float32")


def measure_forms(
    encoder: Backbone,
    test: Source,
    forms: Iterable[str],
    *,
    report: Callable[[str], None] = lambda _: None,
) -> Forms:
    """The errors of a network of this package in some forms, on held-out images.

    Args:
        encoder: in eval mode, on the CPU; it is not changed.
        test: square images of its channels.
        forms: names of `FORMS`.
        report: called with a word on what is being done.

    Raises:
        ModuleNotFoundError: if what a form needs is not installed.
        ValueError: if images are not square.
    """
    height, width = test.size
    if height != width:
        raise ValueError(f"images must be square to be turned; got {height} x {width}. Leave forms out.")
    images = normalised(test.pixels(slice(0, IMAGES)), encoder.preprocessing, torch.device("cpu"))
    group = encoder.group
    shared = PlanarGroup(math.gcd(4, group.rotations), group.reflections)
    own = tuple(SQUARE.describe(SQUARE.embed(shared, g)) for g in shared.elements if g != shared.identity)
    errors, layers = {}, {}
    for form in forms:
        report(form)
        computed = FORMS[form](encoder, images)
        errors[form] = _errors(computed, images, encoder)
        if form == TRAINED and own and isinstance(computed, nn.Module):
            found = equivariance_report(computed, size=(height, width), dtype=torch.float32, group=SQUARE, angles=())
            layers[form] = worst_of_layers(found.layers, own, computed)
        elif form in INSIDE and own:
            layers[form] = layers_inside(form, encoder, images, SQUARE, own)
    return Forms(errors, own, layers)


@torch.no_grad()
def _errors(computed: Computed, images: Float[Tensor, "B C H W"], encoder: nn.Module) -> dict[str, float]:
    """The error of every element of D4 but the first."""
    field: Any = getattr(encoder, "out_field", None)
    upright = computed(images.contiguous())
    found = {}
    for g in SQUARE.elements:
        if g == SQUARE.identity:
            continue
        moved = computed(SQUARE.act(g, images).contiguous())
        says = field is not None and not isinstance(field, Scalars) and field.represents(SQUARE, g)
        expected = field.transform(SQUARE, g, upright) if says else upright
        found[SQUARE.describe(g)] = float((moved - expected).norm() / upright.norm())
    return found
