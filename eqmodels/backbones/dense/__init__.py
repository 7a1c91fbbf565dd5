"""Dense networks: an encoder's stages, a decoder, and an output for every pixel that turns with the image."""

from eqmodels.backbones.dense.dense_network import DenseNetwork
from eqmodels.backbones.dense.fpn import FPN
from eqmodels.backbones.dense.unet import UNet

__all__ = ["FPN", "DenseNetwork", "UNet"]
