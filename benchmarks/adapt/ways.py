"""The ways to make one network answer alike however a picture lies, each from training pictures to an encoder.

What asks the base network as it is reads its cached answers (`seen`); the weights of orbits and poses are those of the
encoders that `eqmodels.adapt` makes, so that only the passes of the base network are spared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.adapt import peer
from benchmarks.adapt.seen import ANGLES, MIRRORED, Seen
from benchmarks.adapt.training import trained_on_turned, trained_weights
from benchmarks.distil.measure import STRENGTHS
from eqmodels import PlanarGroup, create_model
from eqmodels.adapt import canonicalise, fit_pose, posing, symmetrise
from eqmodels.backbones import Backbone, Canonicalised
from eqmodels.data import LabelledImages
from eqmodels.evaluation import encode
from eqmodels.evaluation.encoding import Subject
from eqmodels.evaluation.orbits import QUARTERS, UPRIGHT, View
from eqmodels.evaluation.poolings import pool_features
from eqmodels.hub import load_pretrained
from eqmodels.measures import LinearProbe, fit_linear_probe
from eqmodels.objectives import create_teacher
from eqmodels.transforms import Preprocessing

__all__ = ["SIDE", "WAYS", "Built", "Way", "base"]

SIDE = 96
BASE, ZOO = "lite0", "{group}_resnet18_w32.distil_lite0"
FRESH, FRESH_EPOCHS = "c4_resnet18_w16", 20
"""What learns the pose from the training pictures."""
TUNING = {"epochs": 10, "rate": 1e-3}
SCRATCH = {"epochs": 20, "rate": 2e-3}
CHECKED = 16
"""Pictures for which the peer's own turns are compared with quarter turns."""
MODES = ("hard", "soft", "frames")

Encode = Callable[[View, Tensor], Mapping[str, Tensor]]
"""What is known of some pictures in a view, by kind: features, or classes where there is a classifier already."""


@dataclass(frozen=True)
class Built:
    """An encoder, and what became known while it was made.

    Attributes:
        encode: see `Encode`.
        notes: numbers by what they are.
    """

    encode: Encode
    notes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Way:
    """A way to an encoder.

    Attributes:
        build: from the pictures, the numbers of those that train, and a seed.
        is_trained: whether it reads the training pictures, and the seed.
    """

    build: Callable[[Seen, Tensor, int], Built]
    is_trained: bool = False


def taken(data: LabelledImages, chosen: Tensor) -> LabelledImages:
    """Some of the pictures."""
    return LabelledImages(data.name, data.images[chosen], data.labels[chosen], data.classes)


def asked(encoder: Any, seen: Seen, view: View, chosen: Tensor) -> Tensor:  # noqa: ANN401 (what `encode` takes)
    """What a network says of some pictures in a view."""
    some = taken(seen.data, chosen)
    return encode(encoder, some.pixels, len(some), view=view, batch_size=32)


def base(seen: Seen, training: Tensor, seed: int) -> Built:  # noqa: ARG001 (of every way)
    """The network as it is."""
    return Built(lambda view, chosen: {"": seen.features(view)[chosen]})


def probed_turned(name: str, seen: Seen, training: Tensor, seed: int) -> Built:
    """The mean over the orbit (of C1: the network as it is), whose probe sees the training pictures turned, too.

    They are in all poses that are tested, but for those that the mean does not tell apart.
    """
    group = PlanarGroup.parse(name)
    labels, classes = seen.data.labels[training], len(seen.data.classes)
    whole, circular = (*QUARTERS[: 4 // group.order], MIRRORED), ANGLES[: 16 // group.order]

    @cache
    def probe(views: tuple[View, ...]) -> LinearProbe:
        features = torch.cat([seen.orbit(view, group)[training].mean(1) for view in views])
        options: dict[str, Any] = {"num_classes": classes, "strengths": STRENGTHS, "seed": seed}
        return fit_linear_probe(features, labels.repeat(len(views)), copies=len(views), **options)

    def encoded(view: View, chosen: Tensor) -> dict[str, Tensor]:
        features = seen.orbit(view, group)[chosen].mean(1)
        return {"": probe(circular if view.circular else whole).predict(features)}

    return Built(encoded)


def over_orbit(name: str, seen: Seen, training: Tensor, seed: int) -> Built:  # noqa: ARG001
    """All copies of a picture: their mean, their maximum, or all of them."""
    group = PlanarGroup.parse(name)

    def encoded(view: View, chosen: Tensor) -> dict[str, Tensor]:
        orbit = seen.orbit(view, group)[chosen]
        return {"mean": orbit.mean(1), "max": orbit.amax(1), "regular": orbit.flatten(1)}

    return Built(encoded)


def weighted(name: str, seen: Seen, training: Tensor, seed: int) -> Built:
    """The mean over the orbit with weights that are learned (lambda-equitune)."""
    torch.manual_seed(seed)
    encoder = symmetrise(BASE, name, output="weighted", size=SIDE)
    orbit = seen.orbit(UPRIGHT, encoder.group)[training]
    labels, classes = seen.data.labels[training], len(seen.data.classes)
    pool = trained_weights(encoder.global_pool, orbit, labels, classes, seed)  # type: ignore[arg-type]

    @torch.no_grad()
    def encoded(view: View, chosen: Tensor) -> dict[str, Tensor]:
        regular = seen.orbit(view, encoder.group)[chosen].flatten(1)
        return {"": pool(regular[:, :, None, None])}

    return Built(encoded)


def upright(encoders: Mapping[str, Canonicalised], seen: Seen, training: Tensor) -> Built:
    """Answers about pictures turned upright by a pose that a small network predicts, in several modes."""
    first = next(iter(encoders.values()))

    pose = first.canonical.pose
    assert pose is not None

    @cache
    def poses(view: View) -> Tensor:
        return _asked_all(pose, first, seen, view)

    def encoded(view: View, chosen: Tensor) -> dict[str, Tensor]:
        orbit, logits = seen.orbit(view, first.group)[chosen], poses(view)[chosen]
        return {
            mode: torch.einsum("bg,bgf->bf", encoder.canonical.weights(logits), orbit)
            for mode, encoder in encoders.items()
        }

    return Built(encoded, _seen_upright(poses(UPRIGHT).argmax(1) == first.group.identity, training))


def _seen_upright(found: Tensor, training: Tensor) -> dict[str, float]:
    """The share of the pictures that did not train, as they stand, that are said to stand upright."""
    others = torch.ones(len(found), dtype=torch.bool)
    others[training] = False
    return {"seen upright": float(found[others].double().mean())}


@torch.no_grad()
def _asked_all(function: Callable[[Tensor], Tensor], encoder: Backbone, seen: Seen, view: View) -> Tensor:
    assert encoder.preprocessing is not None
    pixels = seen.data.pixels(slice(None)).split(64)
    return torch.cat([function(encoder.preprocessing.normalise(view.of(some))) for some in pixels])


def _canonicalised(by: Any, **options: Any) -> Canonicalised:  # noqa: ANN401 (of `canonicalise`)
    """The base network behind a pose, as a user makes it."""
    found = canonicalise(BASE, by, size=SIDE, **options)
    assert isinstance(found, Canonicalised)
    return found


def by_zoo(group: str, seen: Seen, training: Tensor, seed: int) -> Built:  # noqa: ARG001 (of every way)
    """By the pose that a network of the zoo knows."""
    name = ZOO.format(group=group)
    return upright({mode: _canonicalised(name, mode=mode) for mode in MODES}, seen, training)


def by_fresh(seen: Seen, training: Tensor, seed: int) -> Built:
    """By a small network that learns from the training pictures how they stand."""
    torch.manual_seed(seed)
    network = posing(FRESH)
    found = fit_pose(network, taken(seen.data, training), epochs=FRESH_EPOCHS, seed=seed)
    built = upright({"": _canonicalised(network)}, seen, training)
    return Built(built.encode, {**built.notes, "training pictures seen upright": found.upright})


def by_energy(name: str, seen: Seen, training: Tensor, seed: int) -> Built:  # noqa: ARG001 (of every way)
    """By the pose in which the network is surest of its own 1,000 classes (equizero)."""
    group = PlanarGroup.parse(name)
    weigh = _canonicalised(lambda images: images.new_zeros(len(images), group.order), group=group)

    def encoded(view: View, chosen: Tensor) -> dict[str, Tensor]:
        weights = weigh.canonical.weights(seen.energies(view, group)[chosen])
        return {"": torch.einsum("bg,bgf->bf", weights, seen.orbit(view, group)[chosen])}

    sure = seen.energies(UPRIGHT, group).argmax(1) == group.identity
    return Built(encoded, _seen_upright(sure, training))


def tuned(seen: Seen, training: Tensor, seed: int) -> Built:
    """The base network fine-tuned on turned and mirrored pictures: its features, and its own classifier."""
    torch.manual_seed(seed)
    network = create_teacher(BASE)
    network.network.network.reset_classifier(len(seen.data.classes))  # type: ignore[operator, union-attr]
    return _classifier(network, TUNING, seen, training, seed)


def scratch(name: str, seen: Seen, training: Tensor, seed: int) -> Built:
    """A network with random weights, trained on the same pictures, turned and mirrored."""
    torch.manual_seed(seed)
    network = _Scores(create_model(name, num_classes=len(seen.data.classes)))
    return _classifier(network, SCRATCH, seen, training, seed)


class _Scores(nn.Module):
    """Features and scores of pixels in [0, 1], by one pass."""

    def __init__(self, network: Backbone) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Both."""
        network = self.network
        features: Tensor = network.global_pool(network.forward_features(2 * pixels - 1))
        return features, network.fc(features)


def _classifier(network: nn.Module, options: Mapping[str, Any], seen: Seen, training: Tensor, seed: int) -> Built:
    trained_on_turned(network, taken(seen.data, training), seed=seed, **options)

    @torch.no_grad()
    def both(images: Tensor) -> Tensor:
        return torch.cat(network(images), 1)

    def encoded(view: View, chosen: Tensor) -> dict[str, Tensor]:
        classes = len(seen.data.classes)
        found = asked(both, seen, view, chosen)
        return {"probe": found[:, :-classes], "own classifier": found[:, -classes:].argmax(1)}

    return Built(encoded)


def of_zoo(name: str, kinds: tuple[str, ...], seen: Seen, training: Tensor, seed: int) -> Built:  # noqa: ARG001
    """A distilled network of the zoo."""
    subject = Subject.of(load_pretrained(name))

    def encoded(view: View, chosen: Tensor) -> dict[str, Tensor]:
        found = asked(subject, seen, view, chosen)
        return {kind: pool_features(subject, found, kind) for kind in kinds}

    return Built(encoded)


def untrained(name: str, seen: Seen, training: Tensor, seed: int) -> Built:  # noqa: ARG001
    """A network with random weights, as it is."""
    torch.manual_seed(seed)
    subject = Subject.of(create_model(name, num_classes=0, global_pool="regular").eval())

    def encoded(view: View, chosen: Tensor) -> dict[str, Tensor]:
        return {"": pool_features(subject, asked(subject, seen, view, chosen), "invariant-3")}

    return Built(encoded)


def by_peer(make: Callable[[], nn.Module], is_fitted: bool, seen: Seen, training: Tensor, seed: int) -> Built:
    """The base network behind a canonicalisation of equiadapt, whose turned pictures are checked."""
    torch.manual_seed(seed)
    images, group = _images(), PlanarGroup(4)
    canonicaliser = make()
    if is_fitted:
        peer.fitted(canonicaliser, taken(seen.data, training), images, seed)
    few = images.normalise(seen.data.pixels(training[:CHECKED]))
    with torch.no_grad():
        turned, poses = canonicaliser(few), peer.poses_of(canonicaliser, few)
    exact = torch.stack([group.act(group.inverse(g), one) for g, one in zip(poses.tolist(), few, strict=True)])
    torch.testing.assert_close(turned, exact, rtol=0, atol=1e-3)

    @cache
    @torch.no_grad()
    def chosen(view: View) -> Tensor:
        pixels = seen.data.pixels(slice(None)).split(64)
        return torch.cat([peer.poses_of(canonicaliser, images.normalise(view.of(some))) for some in pixels])

    def encoded(view: View, numbers: Tensor) -> dict[str, Tensor]:
        return {"": seen.orbit(view, group)[numbers, chosen(view)[numbers]]}

    return Built(encoded, _seen_upright(chosen(UPRIGHT) == group.identity, training))


def _images() -> Preprocessing:
    """How the base network takes its pictures."""
    images = symmetrise(BASE, "c1", size=SIDE).preprocessing
    assert images is not None
    return images


def _of_zoo_in_peer() -> nn.Module:
    return peer.with_pose_of(ZOO.format(group="c4"), _images(), SIDE)


WAYS: dict[str, Way] = {
    "base": Way(base),
    "base, probe trained on turned pictures": Way(partial(probed_turned, "c1"), is_trained=True),
    "base, fine-tuned on turned pictures": Way(tuned, is_trained=True),
    "symmetrised, c4": Way(partial(over_orbit, "c4")),
    "symmetrised, c4, mean, probe trained on turned pictures": Way(partial(probed_turned, "c4"), is_trained=True),
    "symmetrised, d4": Way(partial(over_orbit, "d4")),
    "symmetrised, c4, weights learned": Way(partial(weighted, "c4"), is_trained=True),
    "symmetrised, d4, weights learned": Way(partial(weighted, "d4"), is_trained=True),
    "canonicalised, c4, pose of the zoo": Way(partial(by_zoo, "c4")),
    "canonicalised, d4, pose of the zoo": Way(partial(by_zoo, "d4")),
    "canonicalised, c4, pose learned": Way(by_fresh, is_trained=True),
    "canonicalised, c4, by energy": Way(partial(by_energy, "c4")),
    "canonicalised, d4, by energy": Way(partial(by_energy, "d4")),
    "equiadapt, c4, its network": Way(partial(by_peer, partial(peer.with_own_network, SIDE), True), is_trained=True),
    "equiadapt, c4, optimised": Way(
        partial(by_peer, partial(peer.without_equivariant_network, SIDE), True), is_trained=True
    ),
    "equiadapt, c4, pose of our zoo": Way(partial(by_peer, _of_zoo_in_peer, False)),
    "distilled, c4": Way(partial(of_zoo, ZOO.format(group="c4"), ("canonical", "regular"))),
    "distilled, d4": Way(partial(of_zoo, ZOO.format(group="d4"), ("canonical", "regular"))),
    "distilled, resnet18": Way(partial(of_zoo, "resnet18_w32.distil_lite0", ("regular",))),
    "c4_resnet18_w32 from scratch": Way(partial(scratch, "c4_resnet18_w32"), is_trained=True),
    "c4_resnet18_w32, random weights": Way(partial(untrained, "c4_resnet18_w32")),
}
"""The ways, by their names in the tables."""
