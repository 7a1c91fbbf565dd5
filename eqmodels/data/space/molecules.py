"""Molecules as a source: clouds of atoms of several sizes, each atom with its element, and numbers to predict.

As a cloud is (`eqmodels.data.space.clouds`), a molecule is a picture of N x 1, with as many places as the largest has
atoms. The first three channels are coordinates: unlike those of things, lengths mean something here, so that all
molecules are shown to one scale, 1 for 64 angstrom, with the middle of their box in the middle of the unit cube. A
channel of each element follows, 1 where the atom is of it; a place that is of no element is empty, and lies in the
middle. So whatever chooses, turns or stores the images of a source does so with molecules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eqmodels._shapes import Bool, Float
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count, check_tensor
from eqmodels.data.memory import LabelledImages
from eqmodels.errors import shown

__all__ = ["EDGE", "LabelledMolecules", "molecules_of", "pictured_molecules"]

EDGE = 64.0
"""Angstrom of an edge of the unit cube. Coordinates in [0, 1] are kept to 4e-6 angstrom."""


@dataclass(frozen=True)
class LabelledMolecules(LabelledImages):
    """Molecules in memory, with the classes that people gave them, if any, and what was measured of them.

    Args:
        name: what the data set is called.
        images: ``(N, 3 + elements, atoms, 1)``, float32 in [0, 1], as `pictured_molecules` gives them.
        labels: ``(N,)``, the class of each molecule, int64; all -1 where nobody labelled them.
        classes: the name of each class; empty where nobody labelled them.
        elements: the symbols of the elements, in the order of the channels behind the coordinates.
        targets: ``(N, K)``, float64, numbers to predict; NaN where one is not known; None if there are none.
        target_names: what each number is, with its unit.

    Raises:
        TypeError: as `LabelledImages`; or if the targets are not float64.
        ValueError: as `LabelledImages`; or if the shape is that of no molecules, or the targets are not as many.
    """

    elements: tuple[str, ...] = ()
    targets: Float[Tensor, "N K"] | None = None
    target_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_arguments(LabelledMolecules, vars(self))
        channels, floats = 3 + len(self.elements), self.images.is_floating_point()
        if not self.elements or self.images.shape[1] != channels or self.images.shape[3] != 1 or not floats:
            raise ValueError(
                f"molecules of {self.name} must be float32 (N, 3 + elements, atoms, 1), with {len(self.elements)} "
                f"elements; got {self.images.dtype} {tuple(self.images.shape)}. Make them with pictured_molecules."
            )
        if self.targets is not None and self.targets.dtype != torch.float64:
            raise TypeError(f"targets of {self.name} must be float64; got {self.targets.dtype}. Use .double().")
        found = (len(self), 0) if self.targets is None else tuple(self.targets.shape)
        if found != (len(self), len(self.target_names)):
            raise ValueError(
                f"targets of {self.name} must be {(len(self), len(self.target_names))}, one number a molecule and "
                f"name; got {found}. Pass NaN for what is not known."
            )

    @property
    def takes(self) -> str:
        """What an encoder of these must take: ``"points"``."""
        return "points"

    def atoms(self, indices: Tensor | slice = slice(None)) -> tuple[Float[Tensor, "B N C"], Bool[Tensor, "B N"]]:
        """The molecules of such numbers, or of a slice, as `molecules_of` gives them; all if nothing is said."""
        return molecules_of(self.pixels(indices))

    def _of(self, numbers: Tensor) -> dict[str, Any]:
        measured = {} if self.targets is None else {"targets": self.targets[numbers]}
        return super()._of(numbers) | measured


def molecules_of(pixels: Float[Tensor, "B C N 1"]) -> tuple[Float[Tensor, "B N C"], Bool[Tensor, "B N"]]:
    """The molecules that a source gives as pictures, as encoders of points take them.

    Args:
        pixels: coordinates and elements along the channels.

    Returns:
        Of each atom its position in angstrom, and 1 for its element; and which atoms are there.

    Raises:
        TypeError: if it is no dense floating point tensor.
        ValueError: if the last axis has another length than 1, or there is no channel of an element.
    """
    check_arguments(molecules_of, {"pixels": pixels})
    if check_tensor("pixels", pixels).dim() != 4 or pixels.shape[3] != 1 or pixels.shape[1] < 4:
        raise ValueError(
            f"molecules must come as pictures (batch, 3 + elements, atoms, 1); got {tuple(pixels.shape)}. Use a source "
            "of molecules, such as qm9; clouds without elements go through clouds_of."
        )
    if not pixels.is_floating_point():
        raise TypeError(f"pixels must be floating point; got {pixels.dtype}. Convert them with .float().")
    places = pixels[..., 0].transpose(1, 2)
    elements = places[..., 3:]
    return torch.cat([(places[..., :3] - 0.5) * EDGE, elements], 2), (elements != 0).any(2)


def pictured_molecules(
    positions: Sequence[npt.ArrayLike],
    elements: Sequence[Sequence[str]],
    known: Sequence[str],
    *,
    atoms: int | None = None,
) -> Float[Tensor, "N C A 1"]:
    """Molecules as a source gives them, each about the middle of its box.

    Args:
        positions: of each molecule ``(atoms, 3)``, in angstrom.
        elements: of each molecule the symbols of its atoms.
        known: the symbols that have a channel, in their order.
        atoms: places of a molecule; None for as many as the largest has.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is no molecule, or one has no atom, an element without a channel, another number of
            positions, a position that is not finite, more atoms than places, or is larger than the cube.
    """
    check_arguments(pictured_molecules, {"known": known, "atoms": atoms})
    if not isinstance(positions, list | tuple) or not isinstance(elements, list | tuple):
        raise TypeError(
            f"positions and elements must be lists, of an array and of symbols a molecule; got {shown(positions)} and "
            f"{shown(elements)}. Pass, say, [[[0.0, 0.0, 0.0]]] and [['H']]."
        )
    places = check_count("atoms", max(map(len, elements), default=1) or 1 if atoms is None else atoms)
    if not len(positions) or len(positions) != len(elements):
        raise ValueError(
            f"molecules need positions and elements of each; got {len(positions)} and {len(elements)}. Pass "
            "one or more."
        )
    for number, (own, symbols) in enumerate(zip(positions, elements, strict=True)):
        if not 0 < len(symbols) <= places or np.shape(own) != (len(symbols), 3) or not np.isfinite(own).all():
            raise ValueError(
                f"molecule {number} must have a finite position (x, y, z) of each of its 1 .. {places} atoms; got "
                f"{np.shape(own)} for {len(symbols)} elements. Leave it out."
            )
    channels = {symbol: number for number, symbol in enumerate(known)}
    if strange := sorted({symbol for own in elements for symbol in own} - channels.keys()):
        raise ValueError(f"elements must be of {', '.join(known)}; got {shown(strange[0])}. Name it too.")
    counts = np.array([len(own) for own in elements])
    firsts = np.cumsum(counts) - counts
    everything = np.concatenate(positions).astype(np.float64)
    middles = (np.minimum.reduceat(everything, firsts) + np.maximum.reduceat(everything, firsts)) / 2
    molecules = np.repeat(np.arange(len(counts)), counts)
    centred = everything - middles[molecules]
    if np.linalg.norm(centred, axis=1).max() > EDGE / 2:
        largest = int(molecules[np.linalg.norm(centred, axis=1).argmax()])
        raise ValueError(f"molecules must lie in a ball of {EDGE:g} angstrom; number {largest} does not. Leave it out.")
    images = torch.full((len(counts), 3 + len(known), places, 1), 0.5)
    images[:, 3:] = 0
    numbers = torch.from_numpy(molecules)
    place = torch.from_numpy(np.arange(len(everything)) - firsts[molecules])
    images[numbers, :3, place, 0] = torch.from_numpy(centred / EDGE + 0.5).float()
    images[numbers, torch.tensor([3 + channels[symbol] for own in elements for symbol in own]), place, 0] = 1
    return images
