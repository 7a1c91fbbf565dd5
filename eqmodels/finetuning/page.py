"""What a fine-tuning came to, as one page with its pictures inside."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as v2

from eqmodels._shapes import Float
from eqmodels.data import Source
from eqmodels.data.showing import planes_as_seen
from eqmodels.finetuning.result import Finetuned
from eqmodels.reports import OKABE_ITO, percent
from eqmodels.reports.figures import as_address, as_png, new_figure
from eqmodels.reports.pages import rendered

__all__ = ["page"]

MOST_CLASSES = 40
"""Of which the page shows the whole confusion matrix; of more, the pairs that are confused most."""

PAIRS = 30
"""Of classes that are confused, at most."""


def page(result: Finetuned, test: Source) -> str:
    """The text of a page in HTML, which needs no other file.

    Args:
        result: of the fine-tuning.
        test: the images that its mistakes are of.
    """
    classes, scores = result.classes, result.test
    return rendered(
        "page.html.j2",
        "eqmodels.finetuning",
        result=result,
        classes=classes,
        test=scores,
        marks=result.marks,
        percent=partial(percent, missing=""),
        accuracies={
            "upright": scores.upright,
            "turned by 90, 180 and 270 degrees": scores.turned,
            "mirrored, and turned so": scores.mirrored,
        },
        matrix=_matrix(result) if len(classes) <= MOST_CLASSES else None,
        pairs=_pairs(result),
        curve=_curve(result),
        mistakes=[(_picture(test.pixels(slice(one.image, one.image + 1))[0]), one) for one in scores.mistakes],
    )


def _matrix(result: Finetuned) -> list[list[tuple[int, float]]]:
    """Every count, and which part of its row it is."""
    return [[(count, count / max(sum(row), 1)) for count in row] for row in result.test.confusion]


def _pairs(result: Finetuned) -> list[tuple[str, str, int]]:
    """Classes that are confused most: the true one, what it is taken for, and how often."""
    counts = torch.tensor(result.test.confusion).fill_diagonal_(0)
    largest = counts.flatten().topk(min(PAIRS, counts.numel()))
    found = zip(largest.values.tolist(), largest.indices.tolist(), strict=True)
    return [(*(result.classes[n] for n in divmod(place, len(counts))), count) for count, place in found if count]


def _curve(result: Finetuned) -> str:
    """A picture of the accuracy after every epoch, with a mark at the one that was kept; empty without matplotlib."""
    try:
        figure: Any = new_figure(8.0, 3.0)
    except ModuleNotFoundError:
        return ""
    axes = figure.subplots()
    epochs, accuracies = ([row[name] for row in result.log] for name in ("epoch", "accuracy"))
    axes.plot(epochs, [100 * value for value in accuracies], "o-", color=OKABE_ITO[0], markersize=4)
    axes.plot(epochs[result.best], 100 * accuracies[result.best], "o", color=OKABE_ITO[1], markersize=9)
    axes.set(xlabel="epoch; 0 is the linear probe", ylabel="accuracy on validation images, %")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    return as_address(as_png(figure))


def _picture(pixels: Float[Tensor, "C H W"]) -> str:
    """Pixels in [0, 1] as PNG for a page, in their own range if they are of neither one channel nor three."""
    levels = (pixels * 255).round().to(torch.uint8)
    picture = v2.to_pil_image(levels) if len(pixels) in (1, 3) else planes_as_seen(pixels)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return as_address(buffer.getvalue())
