"""Wrong values for an argument: of every kind that people pass by mistake, made from the right one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["wrong_values"]

OF_ANY: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a list": lambda: [1, "a"],
    "an empty list": list,
    "a dictionary": dict,
    "an array": lambda: np.ones((2, 3)),
    "a tensor": lambda: torch.ones(2),
    "a word": lambda: "wrong",
    "an empty word": str,
    "two lines": lambda: "wrong\nword",
    "bytes": lambda: b"wrong",
    "True": lambda: True,
    "-1": lambda: -1,
    "0": lambda: 0,
    "2**40": lambda: 2**40,
    "5,000 digits": lambda: 10**5000,
    "a fraction": lambda: 2.5,
    "NaN": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "an object": object,
}

OF_TENSORS: dict[str, Callable[[Tensor], Any]] = {
    "None": lambda right: None,
    "a list": lambda right: right.tolist(),
    "tensors in a list": list,
    "an array": lambda right: right.numpy(),
    "a word": lambda right: "wrong",
    "a number": lambda right: 3,
    "8-bit": lambda right: right.to(torch.uint8),
    "int64": lambda right: right.long(),
    "float64": lambda right: right.double(),
    "float16": lambda right: right.half(),
    "complex": lambda right: right.to(torch.complex64),
    "bool": lambda right: right.bool(),
    "meta": lambda right: right.to("meta"),
    "sparse": lambda right: right.to_sparse(),
    "empty": lambda right: right[:0],
    "0-sized at the end": lambda right: right[..., :0],
    "one axis more": lambda right: right[None],
    "one axis less": lambda right: right[0],
    "twice as many": lambda right: torch.cat([right, right]),
    "NaN": lambda right: torch.full_like(right, torch.nan) if right.is_floating_point() else right.long() - 100,
    "huge": lambda right: torch.full_like(right, 1e38) if right.is_floating_point() else right + 2**40,
    "negative": lambda right: -right - 1 if right.is_floating_point() else -right.long() - 1,
}


def wrong_values(right: object, name: str, count: int) -> Iterator[tuple[str, Any]]:
    """Some wrong values in the place of a right one, each with its kind; the same ones for the same name.

    Args:
        right: the right value.
        name: of the argument and its callable: the seed.
        count: how many kinds, at most; None and a word, which are passed most often, are always among them.
    """
    makers = (
        {kind: lambda make=make: make(right) for kind, make in OF_TENSORS.items()}
        if isinstance(right, Tensor)
        else OF_ANY
    )
    drawn = random.Random(name).sample(sorted(makers), len(makers))
    for kind in sorted(drawn, key=lambda kind: kind not in ("None", "a word"))[:count]:
        yield kind, makers[kind]()
