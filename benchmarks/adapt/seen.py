"""What the base network says of pictures in every view, asked once: orbits at any angle are put together from it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eqmodels.data import LabelledImages
from eqmodels.evaluation import encode
from eqmodels.evaluation.orbits import QUARTERS, Motion, View
from eqmodels.groups import PlanarGroup
from eqmodels.objectives import create_teacher

__all__ = ["ANGLES", "IN_A_CIRCLE", "MIRRORED", "TURNED", "TURNS", "Seen", "seen_by"]

TURNS = PlanarGroup(16, True)
"""Of all motions that are measured: turns by 22.5 degrees, mirrored or not."""
TURNED = QUARTERS[1:]
MIRRORED = View(Motion(reflected=True))
ANGLES = tuple(View(Motion(Fraction(number, 16)), circular=True) for number in range(16))
IN_A_CIRCLE = ANGLES[0]
BATCH = 32

Answer = tuple[Tensor, Tensor]
"""Features and scores."""


def seen_by(view: View, group: PlanarGroup, h: int) -> View:
    """The view of ``h^-1 x``, where x is seen in the view that is given.

    Quarter turns and flips of a picture that was turned by an angle are the picture at other angles, to the bit, since
    they permute its pixels.
    """
    back, first = TURNS.embed(group, group.inverse(h)), TURNS.embed(*view.motion.element)
    return View(Motion.of(TURNS, TURNS.compose(back, first)), view.circular)


class Seen:
    """Pictures, and the base network's answers about them: features, and its negative energy.

    The energy is minus the logarithm of the sum of the exponentials of its scores for ImageNet's classes.

    Args:
        data: the pictures.
        folder: where answers are kept, a file a view.
        network: from pixels in [0, 1] to features and scores; None for EfficientNet-Lite0.
    """

    def __init__(self, data: LabelledImages, folder: Path, network: Callable[[Tensor], Answer] | None = None) -> None:
        self.data, self.folder, self.network = data, folder, network
        self._known: dict[View, Tensor] = {}

    def features(self, view: View) -> Tensor:
        """``(N, F)``, of all pictures."""
        return self._answers(view)[:, :-1]

    def orbit(self, view: View, group: PlanarGroup) -> Tensor:
        """``(N, |G|, F)``: what `Orbit` puts out, one row an element."""
        return torch.stack([self.features(seen_by(view, group, h)) for h in group.elements], 1)

    def energies(self, view: View, group: PlanarGroup) -> Tensor:
        """``(N, |G|)``: the logits of the pose that the network itself chooses, see `Canonical`."""
        return torch.stack([self._answers(seen_by(view, group, h))[:, -1] for h in group.elements], 1)

    def _answers(self, view: View) -> Tensor:
        if view not in self._known:
            file = self.folder / f"{self.data.name}, {view}.npy"
            if not file.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                np.save(file, self._asked(view).numpy())
            self._known[view] = torch.from_numpy(np.load(file))
        return self._known[view]

    def _asked(self, view: View) -> Tensor:
        network = self.network or create_teacher("lite0")

        def answers(images: Tensor) -> Tensor:
            with torch.no_grad():
                features, logits = network(images.contiguous(memory_format=torch.channels_last))
            return torch.cat([features, logits.logsumexp(1, keepdim=True)], 1)

        return encode(answers, self.data.pixels, len(self.data), view=view, batch_size=BATCH)
