"""Nearest neighbours among feature vectors, by faiss."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eqmodels._shapes import Float, Int

__all__ = ["CosineSearch", "directions"]


def directions(features: Float[Tensor, "N F"], centre: Float[Tensor, " F"]) -> Float[Tensor, "N F"]:
    """Where features lie, seen from a centre: vectors of length 1, whose inner product is a cosine; 0 at the centre."""
    moved = features.double() - centre.double()
    of_length_1: Tensor = moved / moved.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return of_length_1.float()


class CosineSearch:
    """An exact search for the vectors of the largest inner product.

    Args:
        vectors: to be found, of length 1.

    Raises:
        ModuleNotFoundError: if faiss is not installed.
    """

    def __init__(self, vectors: Float[Tensor, "N F"]) -> None:
        self.index = _faiss().IndexFlatIP(vectors.shape[1])
        self.index.add(vectors.numpy())

    def nearest(self, queries: Float[Tensor, "Q F"], count: int) -> tuple[Float[Tensor, "Q K"], Int[Tensor, "Q K"]]:
        """Cosines and numbers of the nearest vectors of each query, the nearest first; at most as many as there are."""
        found: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]] = self.index.search(
            queries.contiguous().numpy(), min(count, self.index.ntotal)
        )
        return torch.from_numpy(found[0]), torch.from_numpy(found[1])


def _faiss() -> Any:  # noqa: ANN401 (a module)
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "neighbours are found by faiss, which is not installed; run: pip install faiss-cpu", name="faiss"
        ) from error
    return faiss
