"""Runs README on what is installed: ``python tools/readme.py CHECKOUT``, in an empty folder.

Its blocks of Python as they are printed, with a Hub on this machine for what is pushed; with ``--commands`` also the
commands of pictures and of the zoo, on a folder of embedded pictures. Options that make trainings short, and fetch no
weights, are added, and said.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SHORT = {
    "pretrain": "--epochs 1 --limit 48 --batch-size 16 --size 32 --model c4_resnet18s_w4",
    "finetune": "--epochs 1 --size 32",
    "adapt": "--weights random",
}
"""What is added to commands that take long, or fetch weights of others."""
PICTURES = 48


def main() -> int:
    """Runs what is asked for; what fails raises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="whose README is run")
    parser.add_argument("--commands", action="store_true", help="also run commands, which need extras")
    arguments = parser.parse_args()
    import eqmodels

    root = arguments.checkout.resolve()
    if root in Path(eqmodels.__file__).resolve().parents:
        raise SystemExit(f"eqmodels is imported from {root}; this is about what is installed. Unset PYTHONPATH.")
    text = (root / "README.md").read_text("utf-8")
    with hub(root):
        blocks(text)
        if arguments.commands:
            commands(text, root)
    return 0


@contextmanager
def hub(root: Path) -> Iterator[None]:
    """A Hub on this machine, as in the tests of README."""
    sys.path.append(str(root))  # behind what is installed
    tests: Any = importlib.import_module("tests.hub_server")
    writer, cache = {"hf_writer": tests.User("organisation", write=True)}, Path("cache").resolve()
    with tests.HubServer(writer) as server, server.client(cache, token="hf_writer"):
        yield


def blocks(text: str) -> None:
    """Every block of Python in turn, of one section in one namespace."""
    for section in text.split("\n## "):
        names: dict[str, object] = {"__name__": "readme"}
        for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
            started = time.perf_counter()
            exec(compile(block, "README.md", "exec"), names)
            print(f"README, {section.partition(chr(10))[0]!r}: {time.perf_counter() - started:.1f} s", flush=True)


def commands(text: str, root: Path) -> None:
    """The commands of pictures and of the zoo."""
    from eqmodels import data
    from eqmodels.cli import main as eqmodels

    Path("zoo").symlink_to(root / "zoo")
    pictures: Any = data.load_data("openclipart_mini", "train")
    chosen = range(0, len(pictures), len(pictures) // PICTURES)  # of all classes, which come one after the other
    for number in chosen:
        name = "things" if 2 * number < len(pictures) else "others"
        for folder in (Path("my_images") / name, Path("more_images") / name):
            folder.mkdir(parents=True, exist_ok=True)
            _written(pictures.images[number], folder / f"{number}.png")
    for section in ("Your own pictures", "Use the zoo"):
        own = text.partition(f"## {section}")[2].partition("\n## ")[0]
        for line in re.findall(r"^eqmodels (.*)$", own, re.MULTILINE):
            typed = [*shlex.split(line), *shlex.split(SHORT.get(line.split()[0], ""))]
            started = time.perf_counter()
            if code := eqmodels(typed):
                raise SystemExit(f"eqmodels {shlex.join(typed)} ended with {code}")
            print(f"eqmodels {shlex.join(typed)}: {time.perf_counter() - started:.1f} s", flush=True)


def _written(image: object, file: Path) -> None:
    from torchvision.transforms.functional import to_pil_image

    to_pil_image(image).save(file)


if __name__ == "__main__":
    raise SystemExit(main())
