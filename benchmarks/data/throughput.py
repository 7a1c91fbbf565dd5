"""Images a second of every stage of a training, and how much of its time a step waits for its images.

python -m benchmarks.data.throughput [--rounds 7] [--images 512] [--workers 1 2] [--root FOLDER]

The images are JPEG files of a folder, decoded to squares of 64 pixels; smooth random ones that the script writes, or
those of --root. Every round runs every stage once, so that a drift of the machine hits all alike.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch.nn.functional import interpolate
from torchvision.transforms.functional import to_pil_image
from tqdm import tqdm

from benchmarks.speed._harness import Row, Timings, summarise
from eqmodels.data import Source, load_data
from eqmodels.objectives import Purpose, generator_for
from eqmodels.training import PretrainConfig, Pretraining
from eqmodels.transforms import create_augmentation

__all__ = ["DATA_RESULTS", "STEP"]

DATA_RESULTS = Path(__file__).parents[1] / "results" / "data"
SIDE, FILE_SIDE, BATCH = 64, 256, 64
MODEL = "c4_resnet18s_w16"
STEP = f"the training step of {MODEL} alone"
KEPT, CACHED = "in memory", "from the cache"


def write_photographs(root: Path, count: int) -> None:
    """Smooth random pictures as JPEG files of 256 pixels, of two classes."""
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        coarse = torch.rand(1, 3, 16, 16, generator=generator)
        file = root / "train" / f"class{number % 2}" / f"{number:06}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        to_pil_image(interpolate(coarse, size=FILE_SIDE, mode="bicubic")[0].clamp(0, 1)).save(file, quality=90)


def sources(root: Path, cache: Path, workers: list[int]) -> dict[str, Source]:
    """The same images, read in every way; all files are decoded once for each."""

    def opened(**options: object) -> Source:
        return load_data("image_folder", "train", root=root, size=SIDE, **options)

    found = {KEPT: opened(), CACHED: opened(cache=cache), "decoded by threads": opened(stream=True)}
    for count in workers:
        name = f"decoded by {count} process{'es' * (count > 1)}"
        found[name] = opened(stream=True, workers=count)
    return found


def endless(source: Source) -> Iterator[torch.Tensor]:
    """The numbers of batch after batch, in an order drawn for each epoch."""
    epoch = 0
    while True:
        order = torch.randperm(len(source), generator=generator_for(0, Purpose.ORDER, epoch))
        yield from order[: len(order) // BATCH * BATCH].split(BATCH)
        epoch += 1


def stages(found: dict[str, Source], seconds: float) -> dict[str, Callable[[], float]]:
    """Every stage as a function that runs it for some seconds and gives images a second."""
    augment = create_augmentation("simclr")
    numbers = {name: endless(source) for name, source in found.items()}

    def reading(name: str, *, augmented: bool) -> int:
        images = found[name].pixels(next(numbers[name]))
        if augmented:
            augment(images, generator=torch.Generator().manual_seed(0))
        return len(images)

    run = Pretraining(config(), found[KEPT])
    run.network.train()

    def step() -> int:
        if run.progress.step == run.steps_per_epoch:
            run.progress.step = 0
        run.step()
        return BATCH

    def timed(work: Callable[[], int]) -> Callable[[], float]:
        def rate() -> float:
            started, images = time.perf_counter(), 0
            while (spent := time.perf_counter() - started) < seconds:
                images += work()
            return images / spent

        return rate

    made: dict[str, Callable[[], float]] = {}
    for augmented, words in ((False, "reading"), (True, "reading and augmentation")):
        for name in found:
            made[f"{words}, {name}"] = timed(partial(reading, name, augmented=augmented))
    return {**made, STEP: timed(step)}


def config(**values: object) -> PretrainConfig:
    """What is trained."""
    return PretrainConfig.of(model=MODEL, batch_size=BATCH, augment="simclr", precision="float32", **values)


def waiting(source: Source, epochs: int) -> list[float]:
    """Per cent of the time that the steps of each epoch wait for their images."""
    run = Pretraining(config(epochs=epochs), source)
    shares = []
    for _ in range(epochs):
        started, before = time.perf_counter(), run.batches.waited
        run.epoch()
        shares.append(100 * (run.batches.waited - before) / (time.perf_counter() - started))
    run.close()
    return shares


@contextmanager
def folders(root: Path | None, count: int) -> Iterator[tuple[Path, Path]]:
    """The folder of images and that of the cache."""
    with tempfile.TemporaryDirectory() as place:
        if root is None:
            write_photographs(Path(place) / "photographs", count)
        yield root or Path(place) / "photographs", Path(place) / "cache"


def main() -> None:
    """Measures, and writes two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=512, help="that are written, without --root")
    parser.add_argument("--seconds", type=float, default=2.0, help="that each stage is run for in a round")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="processes that decode")
    parser.add_argument("--root", type=Path, help="a folder of images, instead")
    arguments = parser.parse_args()
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with folders(arguments.root, arguments.images) as (root, cache):
        found = sources(root, cache, arguments.workers)
        rates: dict[str, list[float]] = {}
        measured = stages(found, arguments.seconds)
        for number in tqdm(range(-1, arguments.rounds), desc="stages", leave=False):
            for name, rate in measured.items():
                value = rate()
                if number >= 0:
                    rates.setdefault(name, []).append(value)
        shares: dict[str, list[list[float]]] = {}
        for _ in tqdm(range(max(1, arguments.rounds // 3)), desc="waiting", leave=False):
            for name, source in found.items():
                shares.setdefault(name, []).append(waiting(source, 2))
    about = f"JPEG files to {SIDE} x {SIDE} pixels, batches of {BATCH}, {processors} processor(s)"
    options = {"module": "benchmarks.data.throughput", "rounds": arguments.rounds}
    Timings.of(
        f"Images a second of every stage of a training: {about}",
        unit="images/s",
        reference=STEP,
        rows=summarise("images", rates, reference=STEP),
        **options,
    ).save("throughput", DATA_RESULTS)
    rows: list[Row] = []
    for epoch in (0, 1):
        values = {name: [one[epoch] for one in series] for name, series in shares.items()}
        rows += [
            Row(f"epoch {epoch + 1}", name, sorted(series)[len(series) // 2], min(series), max(series), None)
            for name, series in values.items()
        ]
    Timings.of(
        f"How much of its time a training of {MODEL} waits for its images: {about}",
        unit="%",
        reference="none",
        rows=rows,
        **options | {"rounds": max(1, arguments.rounds // 3)},
    ).save("waiting", DATA_RESULTS)


if __name__ == "__main__":
    main()
