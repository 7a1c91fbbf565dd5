"""A backbone of one's own: after this file is imported, ``c4_two_stage_w16`` is a name like every other.

``eqmodels pretrain --import examples/own_backbone.py --model c4_two_stage_w16`` trains it, and
``eqmodels.create_model``, ``save_pretrained``, ``load``, ``verify`` and ``export`` know it.
"""

from torch import nn

from eqmodels import PlanarGroup
from eqmodels.backbones import Backbone, register_backbone
from eqmodels.layers import ExactDownsample2d, FieldBatchNorm2d, SteerableConv2d


def conv(group: PlanarGroup, in_fields: int, fields: int, lifting: bool = False) -> nn.Sequential:
    """A steerable convolution, a norm and a ReLU."""
    layer = SteerableConv2d(group, in_fields, fields, 3, bias=False, lifting=lifting)
    return nn.Sequential(layer, FieldBatchNorm2d(group, fields), nn.ReLU(inplace=True))


@register_backbone("two_stage")
class TwoStage(Backbone):
    """Two stages, of the full and of half the size of the image.

    Args:
        group: a group of the plane, or its name.
        width: dense channels of the first stage.
        in_chans: channels of the images.
        num_classes: outputs of the classifier; 0 for features.
    """

    def __init__(
        self, group: PlanarGroup | str = "c4", *, width: int = 16, in_chans: int = 3, num_classes: int = 1000
    ) -> None:
        super().__init__(group, in_chans, num_classes)
        fields = width // self.group.order
        self.add_stage("stem", conv(self.group, in_chans, fields, lifting=True), width, 1)
        halved = nn.Sequential(ExactDownsample2d(), conv(self.group, fields, 2 * fields))
        self.add_stage("layer1", halved, 2 * width, 2)
        self.finish()
