"""torchvision's detectors and segmenters on our encoders, by its own code, and our names in its registry."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.models import _utils, detection, segmentation
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead

import eqmodels
from eqmodels import PlanarGroup
from eqmodels.fields import Regular
from eqmodels.hub import register_torchvision

NAME, ZOO = "c4_resnet18_w4", "c4_resnet18s_w16.rot_fmnist_simclr"
STAGES = ("layer1", "layer2", "layer3", "layer4")
SMALL = {"num_classes": 3, "min_size": 64, "max_size": 96}
ANCHORS = AnchorGenerator(tuple((size,) for size in (8, 16, 32, 48, 64)), ((1.0,),) * 5)


@pytest.fixture(autouse=True)
def _narrow_boxes(monkeypatch):
    """Two-stage detectors have 1024 hidden channels for each box, which cost most of the time."""
    for module in (detection.faster_rcnn, detection.mask_rcnn):
        wide = module.TwoMLPHead if hasattr(module, "TwoMLPHead") else detection.faster_rcnn.TwoMLPHead
        monkeypatch.setattr(module, "TwoMLPHead", lambda channels, _, wide=wide: wide(channels, 16), raising=False)
    predictor = detection.faster_rcnn.FastRCNNPredictor
    monkeypatch.setattr(detection.faster_rcnn, "FastRCNNPredictor", lambda _, classes: predictor(16, classes))


def with_pyramid(channels=16):
    encoder = eqmodels.create_model(NAME, num_classes=0)
    widths = [info["num_chs"] for info in encoder.feature_info if info["module"] in STAGES]
    return BackboneWithFPN(encoder, {name: str(i) for i, name in enumerate(STAGES)}, widths, channels)


def few(count=16):
    names = ("pre_nms_top_n_train", "pre_nms_top_n_test", "post_nms_top_n_train", "post_nms_top_n_test")
    return {f"rpn_{name}": count for name in names} | {"box_batch_size_per_image": count}


def faster_rcnn():
    return detection.FasterRCNN(with_pyramid(), rpn_anchor_generator=ANCHORS, **few(), **SMALL)


def mask_rcnn():
    return detection.MaskRCNN(with_pyramid(), rpn_anchor_generator=ANCHORS, **few(), **SMALL)


def retina_net():
    return detection.RetinaNet(with_pyramid(32), anchor_generator=ANCHORS, **SMALL)


def fcos():
    return detection.FCOS(with_pyramid(32), anchor_generator=ANCHORS, **SMALL)


@pytest.mark.parametrize("build", [faster_rcnn, mask_rcnn, retina_net, fcos], ids=lambda build: build.__name__)
def test_a_detector_trains_and_finds(build):
    detector = build()
    images = [torch.rand(3, 64, 80), torch.rand(3, 70, 64)]
    box, mask = torch.tensor([[4.0, 6.0, 40.0, 50.0]]), torch.zeros(1, 64, 80, dtype=torch.uint8)
    mask[:, 6:50, 4:40] = 1
    targets = [
        {"boxes": box, "labels": torch.tensor([1]), "masks": mask},
        {"boxes": box + 2, "labels": torch.tensor([2]), "masks": F.pad(mask, (2, -18, 2, 4))},
    ]
    losses = detector(images, targets)
    sum(losses.values()).backward()
    gradient = detector.backbone.body.stem.conv.weight.grad
    assert gradient.isfinite().all()
    assert gradient.any()
    with torch.no_grad():
        found = detector.eval()(images)
    assert [set(one) >= {"boxes", "labels", "scores"} for one in found] == [True, True]


def test_what_the_pyramid_gets_turns_with_the_image():
    body = with_pyramid().body.double().eval()
    group, images = PlanarGroup.parse("c4"), torch.rand(1, 3, 45, 32, dtype=torch.float64)
    with torch.no_grad():
        before = body(images)
        for g in group.elements:
            for name, maps in body(group.act(g, images)).items():
                expected = Regular(group, maps.shape[1] // 4).act(group, g, before[name])
                torch.testing.assert_close(maps, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "head"),
    [(segmentation.DeepLabV3, lambda: DeepLabHead(32, 3, (2, 4))), (segmentation.FCN, lambda: FCNHead(32, 3))],
    ids=["DeepLabV3", "FCN"],
)
def test_a_segmenter_trains(kind, head):
    getter = _utils.IntermediateLayerGetter(
        eqmodels.create_model(NAME, num_classes=0), {"layer4": "out", "layer3": "aux"}
    )
    network = kind(getter, head(), FCNHead(16, 3))
    output = network(torch.rand(2, 3, 45, 64))
    assert output["out"].shape == output["aux"].shape == (2, 3, 45, 64)
    (output["out"].sum() + output["aux"].sum()).backward()
    assert getter.stem.conv.weight.grad.any()


def test_its_registry_builds_by_name():
    names = register_torchvision([NAME])
    assert {NAME, ZOO, "d4_resnet50s", "c8_resnet18_w16"} <= set(names) <= set(torchvision.models.list_models())
    assert not {"resnet18", "resnet34", "resnet50", "resnet101"} & set(names), "torchvision has its own"
    assert type(torchvision.models.get_model("resnet18")) is torchvision.models.ResNet
    model = torchvision.models.get_model(NAME, num_classes=5)
    assert (type(model), model.num_classes) == (eqmodels.backbones.SteerableResNet, 5)
    pretrained = torchvision.models.get_model(ZOO, weights="DEFAULT")
    random, images = torchvision.models.get_model(ZOO, num_classes=0, in_chans=1), torch.rand(1, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(pretrained(images), eqmodels.load(ZOO)(images))
    assert isinstance(random, nn.Module)
    assert not torch.equal(random.stem.conv.weight, pretrained.stem.conv.weight)


@pytest.mark.parametrize(
    ("names", "error", "sentence"),
    [
        ("c4_resnet18s_w28", TypeError, "^names must be several names; got 'c4_resnet18s_w28'. Pass "),
        (["bo_gus"], ValueError, "^no model is named 'bo_gus'; the nearest names are"),
        (["c4_resnet18s_w28", "resnet101"], ValueError, "got 'resnet101', which is one of its own.*'resnet101_w64'"),
    ],
    ids=repr,
)
def test_what_is_no_name_of_a_network_is_not_registered(names, error, sentence):
    before = set(torchvision.models.list_models())
    with pytest.raises(error, match=sentence):
        register_torchvision(names)
    assert set(torchvision.models.list_models()) == before


@pytest.mark.parametrize(
    ("name", "weights", "sentence"),
    [
        (ZOO, "IMAGENET1K_V1", f"^weights of '{ZOO}' must be 'DEFAULT' or None; got 'IMAGENET1K_V1'. See"),
        (
            NAME,
            "DEFAULT",
            f"^weights of '{NAME}' must be None, as nothing is pretrained under this name; got 'DEFAULT'",
        ),
    ],
)
def test_weights_that_are_not_there_are_refused(name, weights, sentence):
    register_torchvision([NAME])
    with pytest.raises(ValueError, match=sentence):
        torchvision.models.get_model(name, weights=weights)
