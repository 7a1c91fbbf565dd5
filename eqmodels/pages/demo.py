"""The live demo: two networks that run in the page, on a picture that its visitor drops and turns."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from eqmodels.arguments import check_arguments
from eqmodels.data import load_data
from eqmodels.hub.loading import load_for_images
from eqmodels.pages import libraries
from eqmodels.pages.charts import CONFIG
from eqmodels.pages.runtime import NAME, VERSION, find_runtime
from eqmodels.pages.twins import Twin, exported_twin
from eqmodels.reports import percent
from eqmodels.reports.figures import as_address
from eqmodels.reports.pages import rendered
from eqmodels.storage import StorageError, prepare_folder, write_atomically

__all__ = ["DEMO", "write_demo"]

DEMO = "demo.html"
NETWORKS = ("c4_resnet18_w32.distil_lite0", "resnet18_w32.distil_lite0")
DATA = "openclipart_mini"
SAMPLES = (3, 46, 111, 10, 415, 440)
"""Test images that a visitor without a picture can take: an owl, a building, food, a beetle, a tool, an anchor."""
TILE, COLUMNS = 64, 40
"""Pixels of a picture in the sheet of the gallery, and pictures in a row of it."""
STEP = 5
"""Degrees of a step of the slider; it divides a quarter."""
LARGEST = 25_000_000
"""Bytes of the page."""
SCRIPTS = ("vega", "vega-lite", "vega-embed")


def write_demo(
    folder: str | Path, runtime: str | Path | None = None, *, report: Callable[[str], None] = lambda _: None
) -> Path:
    """Writes ``demo.html``: one file that needs no other and no network, and works from the disk.

    In it run a C4 network and its ResNet twin, both distilled from the same teacher, by onnxruntime-web in one thread.
    The visitor drops a picture and turns it, and sees features, the class that a linear probe says, and the nearest of
    500 pictures stay with the one and change with the other.

    Args:
        folder: that gets the file.
        runtime: the folder of onnxruntime-web as npm unpacks it; None for ``node_modules/onnxruntime-web``.
        report: called with a word on what is being done.

    Returns:
        The path of the page.

    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if onnxruntime-web is not there; says how to get it.
        ModuleNotFoundError: if the packages of the extra ``peers`` are missing.
        StorageError: if a file is not the one that it should be, or cannot be read or written.
    """
    check_arguments(write_demo, locals())
    script, program = find_runtime(runtime)
    train, test = load_data(DATA, "train"), load_data(DATA, "test")
    twins, images = [], None
    for name in NETWORKS:
        report(name)
        encoder = load_for_images(name)
        images = encoder.preprocessing
        twins.append(exported_twin(name, encoder, train, test))
    assert images is not None
    report("page")
    settings = {
        "size": list(images.size),
        "mean": list(images.mean),
        "deviation": list(images.deviation),
        "classes": list(test.classes),
        "labels": test.labels.tolist(),
        "tile": TILE,
        "columns": COLUMNS,
        "samples": [number for number in SAMPLES if number < len(test)],
        "names": [twin.name for twin in twins],
        "config": CONFIG,
    }
    text = _page(settings, twins, script, program)
    if (size := len(text.encode())) > LARGEST:
        raise StorageError(f"the demo would have {size / 1e6:.1f} MB, more than 25. Install the package again.")
    place = Path(folder)
    prepare_folder(place)
    write_atomically(place / DEMO, text)
    return place / DEMO


def _page(settings: dict[str, Any], twins: list[Twin], script: str, program: bytes) -> str:
    sheet = (resources.files("eqmodels.data") / DATA / "test.webp").read_bytes()
    return rendered(
        "demo.html.j2",
        "eqmodels.pages",
        settings=settings,
        twins=twins,
        step=STEP,
        percent=percent,
        images=len(settings["labels"]),
        sheet=as_address(sheet, "image/webp"),
        blobs={
            "runtime": _packed(script.encode()),
            "program": _packed(program),
            **{f"network-{number}": _packed(twin.content) for number, twin in enumerate(twins)},
        },
        scripts=[libraries.script(name) for name in SCRIPTS],
        libraries=[*libraries.versions(), {"package": NAME, "version": VERSION, "license": "MIT", "sha256": ""}],
        licenses=f"{libraries.licenses()}\n== {NAME} {VERSION} ==\n\n{libraries.license_of_runtime()}",
    )


def _packed(content: bytes) -> str:
    """Content as text, compressed as browsers can undo it; the same content gives the same text."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
