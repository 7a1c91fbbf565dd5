"""Networks for a page: features, classes and neighbours of a picture as one ONNX file with weights of 16 bits."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float, Int
from eqmodels.backbones import Backbone
from eqmodels.data import Source
from eqmodels.evaluation import LinearProbe, View, fit_linear_probe
from eqmodels.export import to_onnx, to_plain
from eqmodels.neighbours.search import directions
from eqmodels.transforms import Preprocessing

__all__ = ["Twin", "exported_twin", "prepared"]

IN_A_CIRCLE = View(circular=True)
BATCH = 50
TINY = 1e-24
"""Of a squared length, below that of any that can be told from zero."""
STRENGTHS = (1.0, 0.1, 0.01, 1e-3)
"""Of the probe's penalty, to choose from."""


@dataclass(frozen=True)
class Twin:
    """A network as it runs in a page.

    Attributes:
        name: of the zoo.
        content: the ONNX file: ``images`` (B, C, H, W), normalised, upright or turned and seen through a circle, to
            ``features``, ``scores`` of the classes and ``similarities`` to the pictures of the gallery.
        accuracy: of the scores on the gallery, upright.
        turned: the same, turned by 90, 180 and 270 degrees.
    """

    name: str
    content: bytes
    accuracy: float
    turned: float


class _Answers(nn.Module):
    """A network, and what is read off its features."""

    centre: Tensor
    gallery: Tensor

    def __init__(self, network: nn.Module, probe: LinearProbe, features: Float[Tensor, "N F"], channels: int) -> None:
        super().__init__()
        self.network, self.in_chans = network, channels
        # Standardised features have no other use here: their mean and scale become a part of the classifier.
        weight = probe.weight.double() / probe.scale.double()
        self.classifier = nn.Linear(weight.shape[1], len(weight))
        self.classifier.weight.data = weight.float()
        self.classifier.bias.data = (probe.bias.double() - weight @ probe.mean.double()).float()
        centre = features.double().mean(0).float()
        self.register_buffer("centre", centre)
        self.register_buffer("gallery", directions(features, centre))

    def forward(self, images: Float[Tensor, "B C H W"]) -> dict[str, Float[Tensor, "B N"]]:
        """Features, scores of the classes, and cosines with the gallery, seen from its mean as everywhere else."""
        features = self.network(images)
        seen = features - self.centre
        # Not `normalize`, whose graph older exporters do not write.
        length = (seen.square().sum(1, keepdim=True) + TINY).sqrt()
        similarities = (seen / length) @ self.gallery.T
        return {"features": features, "scores": self.classifier(features), "similarities": similarities}


def prepared(source: Source, preprocessing: Preprocessing) -> Float[Tensor, "N C H W"]:
    """Images of a set as a page makes them of files: `transform()`, then seen through the inscribed circle."""
    transform = preprocessing.transform()
    return IN_A_CIRCLE.of(torch.stack([transform(image) for image in source.pixels(slice(0, len(source)))]))


@torch.no_grad()
def exported_twin(name: str, encoder: Backbone, train: Source, gallery: Source) -> Twin:
    """A network with weights of 16 bits, a probe that was trained on it, and a gallery.

    Weights of convolutions are rounded to 16 bits, once, after batch norm was folded into them: as equal weights become
    equal ones, the group is kept exactly. What is computed with them is computed in float32.

    Args:
        name: of the network.
        encoder: that knows its images.
        train: that the probe is trained on, upright.
        gallery: whose pictures are neighbours; the probe's accuracy is measured on them.
    """
    images = encoder.preprocessing
    assert images is not None
    network = to_plain(encoder, size=images.size, fold_batch_norm=True)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.half().float()
    known, asked = (prepared(source, images) for source in (train, gallery))
    probe = fit_linear_probe(_features(network, known), train.labels, strengths=STRENGTHS)
    features = _features(network, asked)
    answers = _Answers(network, probe, features, encoder.in_chans).eval()
    # Of a square image in a circle a quarter turn permutes pixels.
    turned = [
        _share(probe, _features(network, asked.rot90(quarter, (-2, -1))), gallery.labels) for quarter in (1, 2, 3)
    ]
    with tempfile.TemporaryDirectory(prefix="eqmodels-") as folder:
        file = to_onnx(answers, Path(folder) / "network.onnx", size=images.size, in_chans=encoder.in_chans)
        content = _in_16_bits(file.read_bytes())
    return Twin(name, content, _share(probe, features, gallery.labels), sum(turned) / len(turned))


def _features(network: nn.Module, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N F"]:
    return torch.cat([network(part) for part in images.split(BATCH)])


def _share(probe: LinearProbe, features: Float[Tensor, "N F"], labels: Int[Tensor, " N"]) -> float:
    return probe.accuracy(features, labels)


def _in_16_bits(content: bytes) -> bytes:
    """A graph whose filters are stored in 16 bits, which they fit into, and become 32 when it is loaded."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model: Any = onnx.load_from_string(content)
    casts = []
    for weight in model.graph.initializer:
        if len(weight.dims) == 4:
            name, values = weight.name, numpy_helper.to_array(weight)
            weight.CopyFrom(numpy_helper.from_array(values.astype("float16"), f"{name}.half"))
            casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    serialised: bytes = model.SerializeToString()
    return serialised
