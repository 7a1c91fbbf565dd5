"""equiadapt's canonicalisation (Mondal et al. 2023, arXiv 2310.01647) in front of the same network, by its own code.

Its networks and their numbers are those of its example of image classification (arnab39/equiadapt, configs of 2024),
but for escnn's network, in whose place its ``custom`` one stands, which needs no escnn. They learn from its prior
alone, as the network behind them is frozen; of the optimised one the contrast of its example counts too.
"""

from __future__ import annotations

import torch
from equiadapt.images import (
    ConvNetwork,
    CustomEquivariantNetwork,
    GroupEquivariantImageCanonicalization,
    OptimizedGroupEquivariantImageCanonicalization,
)
from omegaconf import DictConfig
from torch import Tensor, nn

from eqmodels import load
from eqmodels.backbones import as_equiadapt
from eqmodels.data import LabelledImages
from eqmodels.transforms import Preprocessing

__all__ = ["fitted", "poses_of", "with_own_network", "with_pose_of", "without_equivariant_network"]

EPOCHS, BATCH, RATE = 20, 64, 1e-3
CROP = 0.8125
"""Of the side of an image; the example's 0.8 of 96 pixels would be half a pixel off the centre, and break exactness."""
PRIOR, CONTRAST = 100, 1e-4
"""The weights of the losses in its example."""


def with_own_network(side: int) -> nn.Module:
    """By its small equivariant network, which sees 32 pixels of the middle."""
    network = CustomEquivariantNetwork((3, 32, 32), 32, 5, "rotation", 4, 3, device="cpu")  # type: ignore[arg-type]
    # Version 0.1.2 asks its networks for these two, and this one does not have them.
    vars(network).update(group_type="rotation", num_rotations=4)
    options = DictConfig({"input_crop_ratio": CROP, "resize_shape": (32, 32), "beta": 1.0})
    return GroupEquivariantImageCanonicalization(network, options, (3, side, side))


def without_equivariant_network(side: int) -> nn.Module:
    """By an ordinary network that is asked about all four turned copies, "optimised" canonicalisation."""
    network = ConvNetwork((3, 64, 64), 16, 7, 3, 128)
    options = {"input_crop_ratio": CROP, "resize_shape": 64, "beta": 1.0, "group_type": "rotation", "num_rotations": 4}
    options |= {"artifact_err_wt": 0, "learn_ref_vec": False}
    return OptimizedGroupEquivariantImageCanonicalization(network, DictConfig(options), (3, side, side))


def with_pose_of(name: str, images: Preprocessing, side: int) -> nn.Module:
    """By an encoder of the zoo, so that nothing differs from ours but what turns the images."""
    options = DictConfig({"input_crop_ratio": 1.0, "resize_shape": (side, side), "beta": 1.0})
    return GroupEquivariantImageCanonicalization(_Pose(name, images), options, (3, side, side)).eval()


class _Pose(nn.Module):
    """The pose by an encoder of the zoo, of images that were normalised for another network."""

    def __init__(self, name: str, images: Preprocessing) -> None:
        super().__init__()
        encoder = load(name)
        self.network = as_equiadapt(encoder)
        self.group_type, self.num_rotations = self.network.group_type, self.network.num_rotations
        self.mean, self.deviation = (torch.tensor(one)[:, None, None] for one in (images.mean, images.deviation))
        self.own = encoder.preprocessing

    def forward(self, images: Tensor) -> Tensor:
        """One logit an element."""
        assert self.own is not None
        logits: Tensor = self.network(self.own.normalise(images * self.deviation + self.mean))
        return logits


def poses_of(canonicaliser: nn.Module, images: Tensor) -> Tensor:
    """``(B,)``: by how many quarters it takes each normalised image to be turned."""
    activations: Tensor = canonicaliser.get_group_activations(images)  # type: ignore[operator]
    return activations.argmax(1)


def fitted(canonicaliser: nn.Module, images: LabelledImages, known: Preprocessing, seed: int) -> nn.Module:
    """The canonicaliser after some passes over pictures as they are, which its prior calls upright; in eval mode.

    Args:
        canonicaliser: of equiadapt.
        images: the training pictures.
        known: how the network behind it takes them.
        seed: of the order.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW([one for one in canonicaliser.parameters() if one.requires_grad], lr=RATE)
    canonicaliser.train()
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images), generator=generator).tensor_split(max(len(images) // BATCH, 1)):
            canonicaliser(known.normalise(images.pixels(chosen)))
            loss = canonicaliser.get_prior_regularization_loss()  # type: ignore[operator]
            if isinstance(canonicaliser, OptimizedGroupEquivariantImageCanonicalization):
                loss = loss + CONTRAST / PRIOR * canonicaliser.get_optimization_specific_loss()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return canonicaliser.eval()
