"""Precision and recall of `eqmodels duplicates` on a built set: ``python -m benchmarks.data.duplicates FOLDER ...``.

Of pictures drawn from folders that exist, such as stamps and clip art, copies are made: turned or mirrored, resized,
and compressed anew. Beside them lie near misses: pictures that were cropped, stretched, changed in colour or in one
place.
Every pair of files of one picture is to be found, and no other one. With ``--deep`` the files are of 16 bits and five
channels, as a camera of 12 bits behind filters gives them. The figures go into a JSON file.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageOps, ImageStat
from scipy import ndimage

from eqmodels import load
from eqmodels.data.image_files import image_paths
from eqmodels.evaluation import proportion_interval
from eqmodels.groups import PlanarGroup
from eqmodels.neighbours import Duplicates, find_duplicates
from eqmodels.storage import write_atomically

RESULTS = Path(__file__).parents[1] / "results" / "data" / "duplicates.json"
DEEP_RESULTS = RESULTS.with_name("duplicates_16_bits.json")
D4 = PlanarGroup.parse("d4")
COPIES = 2
"""Of every picture, beside itself."""

LEAST = 40
"""Pixels of the shorter side of pictures, and of their copies."""

NAMES = ("d4_resnet18s_w16.rot_fmnist_simclr", "c4_resnet18s_w16.rot_fmnist_simclr", "resnet18s_w16.rot_fmnist_simclr")


CHANNELS = 5
"""Of deep pictures: red, green and blue, a blurred grey, and its edges."""

LEVELS, NOISE = 4095, 0.01
"""The largest number of a deep picture, in files that could have 65,535, and the deviation of its noise beside that."""

Pixels = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Made:
    """What a file of the set is.

    Attributes:
        family: the number of its picture; near misses have one of their own.
        kind: how it was made.
        element: of D4, that moved it; None for a picture that was not moved.
    """

    family: int
    kind: str
    element: int | None = None


def opened(path: Path) -> Image.Image:
    """A picture upright, in RGB, on white."""
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def moved(picture: Image.Image, element: int) -> Image.Image:
    """A picture moved by an element of D4: mirrored from left to right, then turned anticlockwise."""
    if D4.reflected(element):
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    quarter = int(D4.degrees(element)) // 90
    return picture.transpose(turns[quarter - 1]) if quarter else picture


def copied(picture: Image.Image, element: int, file: Path, draw: random.Random) -> Path:
    """Writes a copy: moved, and then resized, compressed, or both."""
    picture = moved(picture, element)
    least = LEAST / min(picture.size)
    if draw.random() < 0.7:
        scale = max(least, draw.uniform(0.5, 1.5))
        filters = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), draw.choice(filters))
    ending = draw.choice((".png", ".jpg", ".jpg", ".webp"))
    file = file.with_suffix(ending)
    picture.save(file, quality=draw.randint(50, 95))  # which PNG has no use for
    return file


def deepened(picture: Image.Image) -> Pixels:
    """Five channels ``(C, H, W)`` of a picture, in [0, 1]."""
    colours = np.moveaxis(np.asarray(picture, dtype=np.float64) / 255, -1, 0)
    grey = colours.mean(0)
    edges = np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1)) / 6
    return np.concatenate([colours, np.stack([ndimage.gaussian_filter(grey, 2), edges])])


def write_deep(pixels: Pixels, file: Path) -> Path:
    """Writes channels into a file of 16 bits, TIFF or an array of numpy."""
    levels = np.round(pixels.clip(0, 1) * LEVELS).astype(np.uint16)
    if file.suffix == ".npy":
        np.save(file, levels)
    else:
        tifffile.imwrite(file, levels, photometric="minisblack")
    return file


def copied_deep(pixels: Pixels, element: int, file: Path, draw: random.Random) -> Path:
    """Writes a copy of channels: moved, then resized, and taken anew, with other noise."""
    pixels = np.flip(pixels, 2) if D4.reflected(element) else pixels
    pixels = np.rot90(pixels, int(D4.degrees(element)) // 90, (1, 2))
    if draw.random() < 0.7:
        scale = max(LEAST / min(pixels.shape[1:]), draw.uniform(0.5, 1.5))
        size = (round(pixels.shape[2] * scale), round(pixels.shape[1] * scale))
        way = draw.choice((Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS))
        pixels = np.stack([np.asarray(Image.fromarray(one.astype(np.float32)).resize(size, way)) for one in pixels])
    noise = np.random.default_rng(draw.randrange(2**32)).normal(0, NOISE, pixels.shape)
    return write_deep(pixels + noise, file.with_suffix(draw.choice((".tif", ".npy"))))


def near_miss(picture: Image.Image, kind: str, draw: random.Random) -> Image.Image:
    """A picture that is another one, by little."""
    width, height = picture.size
    if kind == "cropped":
        left, top = (round(draw.uniform(0.04, 0.08) * side) for side in picture.size)
        return picture.crop((left, top, width, height))
    if kind == "stretched":
        return picture.resize((round(width * draw.uniform(1.12, 1.3)), height))
    if kind == "brighter":
        return ImageEnhance.Brightness(picture).enhance(draw.choice((0.8, 0.85)))
    if kind == "recoloured":
        red, green, blue = picture.split()
        other = Image.merge("RGB", (blue, red, green))
        # What is nearly grey would be nearly the same.
        contrast = sum(ImageStat.Stat(ImageChops.difference(picture, other)).rms) / 3
        return other if contrast > 25 else ImageOps.invert(picture)
    changed = picture.copy()
    side = round(draw.uniform(0.12, 0.2) * min(width, height))
    left, top = draw.randint(width // 4, 3 * width // 4 - side), draw.randint(height // 4, 3 * height // 4 - side)
    place = (left, top, left + side, top + side)
    colour = picture.crop(place).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(colour, tuple)
    ImageDraw.Draw(changed).rectangle(place, fill=tuple(int(255 - c) if abs(c - 128) > 60 else 0 for c in colour))
    return changed


MISSES = ("cropped", "stretched", "brighter", "recoloured", "patched")


def distinct(paths: list[Path]) -> list[Path]:
    """The first file of each picture: collections hold some twice, pixel by pixel the same."""
    found: dict[tuple[tuple[int, int], bytes], Path] = {}
    for path in paths:
        picture = opened(path)
        found.setdefault((picture.size, hashlib.sha256(picture.tobytes()).digest()), path)
    return list(found.values())


def build(originals: list[Path], folder: Path, seed: int, *, deep: bool = False) -> dict[str, Made]:
    """Writes the set, of 16 bits if it is to be deep; what each file is, by its path."""
    draw, made = random.Random(seed), {}
    for number, original in enumerate(originals):
        picture = opened(original)
        pixels = deepened(picture) if deep else None
        path = folder / f"{number:05d}{'.png' if pixels is None else '.tif'}"
        if pixels is None:
            picture.save(path)
        else:
            write_deep(pixels, path)
        made[str(path)] = Made(number, "original")
        for copy in range(COPIES):
            element = draw.randrange(8)
            file = folder / f"{number:05d}_copy{copy}.png"
            path = copied(picture, element, file, draw) if pixels is None else copied_deep(pixels, element, file, draw)
            made[str(path)] = Made(number, path.suffix[1:], element)
        kind = MISSES[number % len(MISSES)]
        path = folder / f"{number:05d}_{kind}.png"
        if pixels is None:
            near_miss(picture, kind, draw).save(path)
        else:
            path = write_deep(deepened(near_miss(picture, kind, draw)), path.with_suffix(".tif"))
        made[str(path)] = Made(len(originals) + number, kind)
    return made


def looks_alike(picture: Image.Image, element: int, other: int | None) -> bool:
    """Whether two elements move a picture onto the same one: symmetric pictures have no element of their own."""
    assert other is not None
    first, second = (moved(picture, one) for one in (element, other))
    if first.size != second.size:
        return False
    return element == other or max(ImageStat.Stat(ImageChops.difference(first, second)).rms) < 12


def scores(found: Duplicates, made: dict[str, Made], originals: list[Path]) -> dict[str, Any]:
    """What of the set was found, and what else."""
    families: dict[int, list[str]] = {}
    for path, one in made.items():
        families.setdefault(one.family, []).append(path)
    true = {pair for family in families.values() for pair in itertools.combinations(sorted(family), 2)}
    pairs = {tuple(sorted((pair.first, pair.second))): pair for pair in found.pairs}
    right = pairs.keys() & true
    # From the original, whose name is the first, to its copy.
    known = [pair for pair in right if made[pair[0]].kind == "original"]
    exact = sum(
        looks_alike(opened(originals[made[pair[0]].family]), pairs[pair].element, made[pair[1]].element)
        for pair in known
    )
    wrong = Counter[str]()
    between = []
    for first, second in pairs.keys() - true:
        numbers = {made[path].family % len(originals) for path in (first, second)}
        if len(numbers) == 1:
            kinds = {made[first].kind, made[second].kind} & set(MISSES)
            wrong[" and ".join(sorted(kinds))] += 1
        else:
            between.append(sorted("/".join(originals[number].parts[-2:]) for number in numbers))

    def share(part: int, whole: int) -> dict[str, Any]:
        interval = proportion_interval(part, whole)
        return {"share": part / whole, "interval": [interval.low, interval.high], "of": whole}

    return {
        "precision": share(len(right), max(len(pairs), 1)),
        "recall": share(len(right), len(true)),
        "elements": share(exact, max(len(known), 1)),
        "missed": dict(Counter(" - ".join(sorted(made[path].kind for path in pair)) for pair in true - right)),
        "wrong": dict(wrong),
        "between_originals": sorted(map(list, {tuple(pair) for pair in between})),
        "compared": found.compared,
    }


def main() -> None:
    """Builds the set, and writes the figures of every network."""
    parser = argparse.ArgumentParser(description="Measures eqmodels duplicates on a built set.")
    parser.add_argument("folders", nargs="+", type=Path, help="of pictures")
    parser.add_argument("--count", type=int, default=200, help="pictures drawn of each folder (default: 200)")
    parser.add_argument("--without", nargs="*", default=(), help="words in the paths of pictures that are left out")
    parser.add_argument("--names", nargs="*", default=NAMES, help="networks (default: three of the zoo)")
    parser.add_argument("--seed", type=int, default=0, help="of the set (default: 0)")
    parser.add_argument("--deep", action="store_true", help="make files of 16 bits and five channels")
    parser.add_argument(
        "--output", type=Path, help=f"the file of the figures (default: {RESULTS.name}, of --deep {DEEP_RESULTS.name})"
    )
    arguments = parser.parse_args()
    draw, originals = random.Random(arguments.seed), []
    for folder in arguments.folders:
        fit = [path for path in image_paths(folder) if not any(word in str(path) for word in arguments.without)]
        fit = [path for path in fit if min(Image.open(path).size) >= LEAST]
        originals += draw.sample(fit, min(arguments.count, len(fit)))
    originals = distinct(originals)
    results: dict[str, Any] = {
        "pictures": {folder.name: arguments.count for folder in arguments.folders},
        "seed": arguments.seed,
    }
    with tempfile.TemporaryDirectory() as place:
        made = build(originals, Path(place), arguments.seed, deep=arguments.deep)
        results |= {"files": len(made), "networks": {}}
        for name in arguments.names:
            begun = time.monotonic()
            channels = CHANNELS if arguments.deep else 3
            network = load(name, num_classes=0, in_chans=channels, global_pool="invariant")
            found = find_duplicates(network, sorted(made))
            figures = scores(found, made, originals) | {"seconds": round(time.monotonic() - begun, 1)}
            results["networks"][name] = figures
            print(name, json.dumps(figures, indent=2), flush=True)
    output = arguments.output or (DEEP_RESULTS if arguments.deep else RESULTS)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
