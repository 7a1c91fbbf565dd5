"""Adapted networks, and modules around encoders, as stock modules: nothing of this package is left in them."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_leaves
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.feature_extraction import create_feature_extractor

from eqmodels import create_model
from eqmodels.backbones import Canonicalised, Symmetrised, as_encoder
from eqmodels.export import export_network, stage_maps, to_plain
from eqmodels.transforms import Preprocessing

pytestmark = pytest.mark.tracing

SIZES = [(12, 12), (12, 15)]
NAME, WIDER = "c4_resnet18s_w4", "c4_resnet18s_w8"


def network(outputs=5):
    return nn.Sequential(nn.Conv2d(3, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())


class Named(nn.Module):
    """Maps by a name, as torchvision's segmentation gives them."""

    def __init__(self):
        super().__init__()
        self.own = network()

    def forward(self, images):
        return {"aux": images, "out": self.own(images)}


class Classifier(nn.Module):
    """Somebody's module around an encoder, and around a network of theirs."""

    def __init__(self):
        super().__init__()
        self.encoder = create_model(NAME, num_classes=0)
        self.theirs, self.head = network(2), nn.Linear(self.encoder.head_hidden_size + 2, 3)

    def forward(self, images):
        return self.head(torch.cat([self.encoder(images), self.theirs(images).mean((2, 3))], 1))


def pose():
    made = create_model(NAME, in_chans=1, num_classes=0, global_pool="canonical")
    made.preprocessing = Preprocessing((0.4,), (0.3,), (14, 14))
    return made


def canonicalised(mode):
    made = Canonicalised("c4", source=network(), by=pose(), mode=mode)
    made.preprocessing = Preprocessing((0.5,) * 3, (0.25,) * 3, (12, 12))
    return made


MODULES = {
    "orbit of maps": lambda: Symmetrised("d4", source=network(), num_classes=2),
    "orbit of vectors": lambda: Symmetrised("c4", source=nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())),
    "orbit of names": lambda: Symmetrised("c4", source=Named(), at_a_time=2),
    "orbit of ours": lambda: Symmetrised("c4", source=create_model("resnet18s_w4", num_classes=3)),
    "upright": lambda: canonicalised("hard"),
    "upright, in frames": lambda: canonicalised("frames"),
    "upright by energy": lambda: Canonicalised("c4", source=network(), by="energy"),
    "wrapped": Classifier,
    "somebody's encoder": lambda: as_encoder(Classifier(), in_chans=3),
    "stages": lambda: stage_maps(create_model(WIDER), ["layer1", "layer3"]),
    "torchvision's stages": lambda: IntermediateLayerGetter(create_model(WIDER), {"layer2": "a", "layer4": "b"}),
}


SELDOM = {"orbit of names", "orbit of ours", "upright, in frames", "torchvision's stages"}
"""What differs little from another."""


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow) if name in SELDOM else name for name in MODULES])
def module(request, randomised, shallow):
    return randomised(MODULES[request.param]()).eval()


def largest_difference(plain, module, size):
    images = torch.rand(2, 3, *size)
    with torch.no_grad():
        pairs = list(zip(tree_leaves(plain(images)), tree_leaves(module(images)), strict=True))
    assert all(expected.any() for _, expected in pairs), "the test sees no signal"
    return max(float((found - expected).abs().max() / expected.abs().max()) for found, expected in pairs)


def test_the_outputs_are_those_of_the_module(module):
    for size in SIZES:
        plain = to_plain(module, size=size, in_chans=3, fold_batch_norm=True)
        assert [name for name, part in plain.named_modules() if "eqmodels" in type(part).__module__] == []
        assert largest_difference(plain, module, size) < 1e-5
    plain = to_plain(module, size="any", in_chans=3, fold_batch_norm=True)
    assert max(largest_difference(plain, module, size) for size in [*SIZES, (17, 10)]) < 1e-5


READ = """
import sys
sys.modules["eqmodels"] = None  # whoever imports it gets an ImportError
import torch
images, expected = torch.load("expected.pt")
for file in sys.argv[1:]:
    made = (
        torch.export.load(file).module() if file.endswith(".pt2")
        else torch.jit.load(file) if file.endswith(".ts")
        else torch.load(file, weights_only=False)
    )
    with torch.no_grad():
        found = made(images)
    assert list(found) == list(expected), found
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5 * float(value.abs().max()))
"""


@pytest.mark.slow  # three exports and a process; of stock modules alone it is asked each time, in test_plain
def test_files_are_read_where_this_package_is_not(tmp_path, randomised, shallow):
    maps = randomised(stage_maps(create_model(WIDER), ["layer1", "layer3"])).eval()
    images = torch.randn(3, 3, 12, 10)
    with torch.no_grad():
        torch.save((images, maps(images)), tmp_path / "expected.pt")
    files = [f"maps{ending}" for ending in (".pt", ".pt2", ".ts")]
    for file in files:
        parity = export_network(maps, tmp_path / file, size=(12, 10))
        assert max(parity.upright, parity.turned) < 1e-5 * parity.scale
        assert parity.metadata == {"size": [12, 10], "group": "c4"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", READ, *files], cwd=tmp_path, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["upright", "orbit of maps", "wrapped", "stages"])
@pytest.mark.parametrize("size", [(12, 10), "any"], ids=str)
def test_onnxruntime_computes_the_same_upright_and_turned(name, size, tmp_path, randomised, shallow):
    """`export_network` compares, and writes nothing that differs."""
    made = randomised(MODULES[name]()).eval()
    parity = export_network(made, tmp_path / "network.onnx", size=size, in_chans=3)
    assert max(parity.upright, parity.turned) < 1e-4 * parity.scale


def test_the_modes_of_its_parts_are_kept(shallow):
    plain = to_plain(canonicalised("hard").train(), size=12)
    assert plain.canonical.network[1].training
    assert not any(part.training for part in plain.canonical.pose.modules()), "a pose that is not trained"
    assert not any(part.training for part in to_plain(canonicalised("soft").eval(), size=12).modules())


def test_a_pickle_keeps_nothing_of_this_package(randomised, shallow):
    content = io.BytesIO()
    torch.save(to_plain(randomised(canonicalised("hard")).eval(), size=12), content)
    assert b"eqmodels" not in content.getvalue()


@pytest.mark.filterwarnings("ignore:NOTE. The nodes obtained by tracing:UserWarning")
def test_what_cannot_become_stock_modules_is_refused(tmp_path, shallow):
    def brightest(images):
        return images.flatten(2).amax(2) if float(images.sum()) > 0 else images.mean((2, 3))

    adapted = Symmetrised("c4", source=brightest).eval()
    with pytest.raises(ValueError, match=r"^format='plain' is for networks that become stock modules; in orbit there"):
        export_network(adapted, tmp_path / "network.pt")
    taken = create_feature_extractor(create_model(NAME).eval(), ["layer2"])
    with pytest.raises(TypeError, match=r"^model must not be taken apart already; got a graph of torch\.fx of a Steer"):
        to_plain(taken, in_chans=3)
    extracted = create_feature_extractor(to_plain(create_model(NAME).eval(), size=12), ["layer2"])
    assert extracted(torch.zeros(1, 3, 12, 12))["layer2"].shape == (1, 8, 6, 6)
    with pytest.raises(ValueError, match=r"^in_chans must be given, as a Classifier does not say"):
        export_network(Classifier(), tmp_path / "network.pt")
    with pytest.raises(ValueError, match=r"^stages must be some of stem, layer1, .*; got \['layer9'\]"):
        stage_maps(create_model(NAME), ["layer9"])
    assert not list(tmp_path.iterdir())
