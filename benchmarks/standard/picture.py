"""README's picture: how far each pretrained network falls when the image turns by a quarter."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from benchmarks.standard.figures import Measured, digest, pretrained

__all__ = ["PICTURE", "draw", "drawn_of"]

PICTURE = "turned.png"
COLOURS = {"": "#0072B2", "c4": "#D55E00", "d4": "#009E73"}
"""Of Okabe and Ito's, which people who do not see all colours tell apart: plain, C4, D4."""
TITLES = {"fashion_mnist_mini": "clothes (Fashion-MNIST)", "openclipart_mini": "clip art"}
KEY = "figures"
"""Of the text of the file that says which figures it shows."""


def draw(found: Mapping[str, Measured], file: Path) -> None:
    """Writes the picture of the pretrained networks, which says of which figures it is."""
    from matplotlib.figure import Figure

    own = pretrained(found)
    sets = [data for data in TITLES if any(one.data == data for one in own)]
    heights = [sum(one.data == data for one in own) for data in sets]
    figure = Figure(figsize=(8, 0.34 * sum(heights) + 1.6), layout="constrained")
    panels = figure.subplots(len(sets), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, data in zip(panels, sets, strict=True):
        shown = [one for one in own if one.data == data]
        for place, one in enumerate(shown):
            upright, turned = (100 * one.quality[name].mean for name in ("upright", "turned"))
            group = one.name.split("_")[0]
            colour = COLOURS.get(group, COLOURS[""])
            axes.plot([turned, upright], [place, place], color=colour, linewidth=3, alpha=0.5)
            axes.plot(upright, place, "o", color=colour, markersize=9)
            axes.plot(turned, place, "D", color=colour, markersize=6, markerfacecolor="white")
        axes.set_yticks(range(len(shown)), [one.name.split(".")[0] for one in shown])
        axes.set(ylim=(len(shown) - 0.5, -0.5), xlim=(0, 100))
        axes.set_title(TITLES[data], loc="left", fontsize="medium")
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel(
        "accuracy (%): filled upright, hollow turned by a quarter; in one place where nothing is lost"
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None, KEY: digest()})
    file.write_bytes(buffer.getvalue())


def drawn_of(file: Path) -> str:
    """Of which figures a picture is, see `digest`."""
    with Image.open(file) as picture:
        return str(picture.info[KEY])
