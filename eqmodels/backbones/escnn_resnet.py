"""The steerable ResNets built of escnn's own layers, behind the interface of every other backbone."""

from __future__ import annotations

from torch import nn

from eqmodels.backbones.backbone import Backbone
from eqmodels.backbones.escnn_modules import (
    EscnnBasicBlock,
    EscnnBottleneck,
    EscnnConv2d,
    EscnnStage,
    OnTensor,
    field_norm,
    import_escnn,
)
from eqmodels.backbones.registry import register_backbone
from eqmodels.backbones.resnet import RESNETS, resnet_plan
from eqmodels.backbones.stages import NormName, check_kernel_size, default_kernel_size, field_count
from eqmodels.checks import check_count
from eqmodels.groups import PlanarGroup
from eqmodels.layers import AnyPoolMode, BasisName, ExactDownsample2d, GroupPoolMode, OddSize2d

__all__ = ["EscnnResNet"]


@register_backbone(*RESNETS, backend="escnn")
class EscnnResNet(Backbone):
    """`SteerableResNet` with the harmonic basis, built of escnn's `R2Conv`, `InnerBatchNorm` and `ReLU`.

    Each child takes and returns plain group-major tensors, so that features mean the same as in the native network (see
    `to_escnn` and `from_escnn` for its weights). Poolings are this package's, exact at every size, applied to escnn's
    tensors. The state dict holds parameters and running statistics only, in train and in eval mode; escnn's modules can
    be deep-copied but not pickled.

    Args:
        architecture: ``"resnet18"``, ``"resnet34"``, ``"resnet50"`` or ``"resnet101"`` with the ImageNet stem, for
            images of 96 pixels and more; the same with an ``s`` at its end with the small one, for 28 .. 64 pixels.
        group: a `PlanarGroup` or its name.
        width: dense channels ``|G| * fields`` of the first stage.
        in_chans: channels of the images.
        num_classes: outputs of `fc`; 0 for features.
        global_pool: ``"invariant"``, ``"regular"``, ``"invariant+regular"``, ``"canonical"`` or
            ``"canonical-soft"``, see `GlobalPool`; of a canonical one the pose is untrained.
        group_pool: ``"max"``, ``"mean"`` or ``"norm"``, see `GroupPool`.
        kernel_size: of the spatial convolutions, odd; None for 3 (quarter turns and flips) or 5 (other groups).
        basis: ``"harmonic"``, the only one that escnn has; None means the same.
        norm: ``"batch"``, the only one that is built.
        pose_hidden: of a canonical pooling, dense channels of the hidden layer of what predicts the pose.
        initialize: whether escnn draws the weights of the convolutions, which takes it most of the time; else they are
            zero, to be loaded.

    Attributes:
        structure: the arguments that fix the layers, from `architecture` to `norm`.

    Raises:
        ModuleNotFoundError: if escnn is not installed.
        TypeError: if a count is not an integer.
        ValueError: if an argument breaks its rule; the sentence names it.

    Source: Cesa, Lang and Weiler, ICLR 2022; the kernels: Weiler and Cesa 2019, arXiv 1911.08251.
    """

    def __init__(
        self,
        architecture: str = "resnet18s",
        group: PlanarGroup | str = "c4",
        *,
        width: int = 64,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: AnyPoolMode = "invariant",
        group_pool: GroupPoolMode = "max",
        kernel_size: int | None = None,
        basis: BasisName | None = None,
        norm: NormName = "batch",
        pose_hidden: int = 2048,
        initialize: bool = True,
    ) -> None:
        super().__init__(group, in_chans, num_classes)
        fields = field_count(self.group, width)
        k = check_kernel_size(kernel_size, self.group)
        native_block, depths, stem = resnet_plan(architecture)
        _check_options(k, basis, norm)
        escnn = import_escnn()
        self.usual = {"kernel_size": default_kernel_size(self.group), "basis": "harmonic"}
        self.structure |= {"kernel_size": k, "basis": "harmonic"}
        del self.structure["initialize"]  # of weights that are drawn, not of layers
        block = EscnnBottleneck if native_block.expansion > 1 else EscnnBasicBlock
        small = stem == "small"
        images, regular = escnn.images(self.group, in_chans), escnn.regular(self.group, fields)
        layers: dict[str, nn.Module] = {} if small else {"odd": OnTensor(OddSize2d())}
        layers["conv"] = EscnnConv2d(
            images, regular, k if small else 7, stride=1 if small else 2, initialize=initialize
        )
        layers |= {"bn": field_norm(regular), "relu": escnn.nn.ReLU(regular, inplace=True)}
        self.add_stage("stem", EscnnStage(layers, images, self.group, fields, lifting=True), width, 1 if small else 2)
        current = fields
        for index, depth in enumerate(depths):
            layers = {} if small or index > 0 else {"pool": OnTensor(ExactDownsample2d("max"))}
            in_type = escnn.regular(self.group, current)
            for number in range(depth):
                halve = index > 0 and number == 0
                stage_fields = fields * 2**index
                layers[str(number)] = block(
                    self.group, current, stage_fields, halve=halve, kernel_size=k, initialize=initialize
                )
                current = stage_fields * native_block.expansion
            stage = EscnnStage(layers, in_type, self.group, current)
            reduction = 2**index * (1 if small else 4)
            self.add_stage(f"layer{index + 1}", stage, current * self.group.order, reduction)
        self.finish(global_pool, group_pool, pose_hidden)


def _check_options(kernel_size: int, basis: str | None, norm: str) -> None:
    """Raises a `ValueError` for what this backend does not build."""
    if check_count("kernel_size", kernel_size) % 2 == 0:
        raise ValueError(f"kernel_size must be odd for backend='escnn'; got {kernel_size}. Use 3 or 5.")
    if basis not in (None, "harmonic"):
        raise ValueError(
            f"backend='escnn' has the basis 'harmonic' only; got {basis!r}. Use basis='harmonic', or backend='native'."
        )
    if norm != "batch":
        raise ValueError(
            f"backend='escnn' has the norm 'batch' only; got {norm!r}. Use norm='batch', or backend='native'."
        )
