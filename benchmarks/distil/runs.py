"""Distils what is not done: ``python -m benchmarks.distil.runs BANK``, where BANK is the folder of `bank`.

The runs of the zoo with a teacher's knowledge of photographs, in the order in which they are trained, each resumable.
They lie in ``runs/distil``; ``--names`` asks for others. With ``--zoo`` it trains nothing, and copies what is trained,
and measured by ``eqmodels evaluate``, into the zoo.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.essl.zoo import put
from eqmodels.remote.locating import FOLDERS
from eqmodels.training import PretrainConfig, pretrain

FOLDER = Path("runs") / "distil"
"""Where runs are kept, one folder each; what is measured of them is kept with the results."""


def distil_config(model: str, epochs: int, precision: str = "bfloat16", **changes: object) -> PretrainConfig:
    """A run over the bank, by default in bfloat16: 1.7 times as fast as float32 where the processor multiplies it."""
    base = PretrainConfig.of(
        model=model,
        data="array",
        objective="distil",
        teacher_width=1280,
        epochs=epochs,
        precision=precision,
    )
    return base.replaced(**changes)


CLOTHES = "c4_resnet18_w32.distil_lite0_clothes"
"""Goes on with the bank of clothes: is every angle right of what it has learned at all angles?

What is stored of it and of its ``_circle`` went on from the network of crops alone, which the zoo had then; its
``_longer`` from the network that saw whole pictures through a circle.
"""

CONTINUED: dict[str, Any] = {"angle_weight": 0.1, "learning_rate": 1e-3, "init": "c4_resnet18_w32.distil_lite0"}

PHOTOGRAPHS = "086eab6efa5c258cffb9bec454ab51ddcf92af882df528e7dc9ae8a388886cb2"
"""The sha256 of the weights that they begin with."""

STANDARD = "ddb1e8ded20ccf04bbabc1e685dd04f01310f1dea047abb16c32cd4f1fb05ee6"
"""The sha256 of the weights of the standard twin."""

WIDE = "7f518e1f6d294ca1a78568d8e3b30ce0bcb6e0d8106949b607a733b27ad3523a"
"""The sha256 of the weights of C4 twice as wide."""

RUNS = {
    "c4_resnet18_w32.distil_lite0": distil_config("c4_resnet18_w32", 24, angle_weight=0.1, circle=0.5),
    "resnet18_w32.distil_lite0": distil_config("resnet18_w32", 24, angle_weight=0.1, circle=0.5),
    "d4_resnet18_w32.distil_lite0": distil_config("d4_resnet18_w32", 24, angle_weight=0.1, circle=0.5),
    "c4_resnet18_w64.distil_lite0": distil_config(
        "c4_resnet18_w64",
        12,
        circle=0.5,
        **CONTINUED,
        init_sha256=PHOTOGRAPHS,
    ),
    "c1_resnet18_w32.distil_lite0": distil_config("c1_resnet18_w32", 24, angle_weight=0.1, circle=0.5),
    **{
        f"{model}.distil_lite0_longer": distil_config(
            model,
            55,
            circle=0.5,
            **CONTINUED | {"init": f"{model}.distil_lite0"},
            init_sha256=begun,
            kept_passes=6,
        )
        for model, begun in (("c4_resnet18_w32", PHOTOGRAPHS), ("resnet18_w32", STANDARD))
    },
    "c4_resnet18_w64.distil_lite0_longer": distil_config(
        "c4_resnet18_w64",
        12,
        circle=0.5,
        **CONTINUED | {"init": "c4_resnet18_w64.distil_lite0"},
        init_sha256=WIDE,
    ),
    CLOTHES: distil_config("c4_resnet18_w32", 6, **CONTINUED),
    f"{CLOTHES}_circle": distil_config("c4_resnet18_w32", 6, circle=0.5, **CONTINUED),
    f"{CLOTHES}_longer": distil_config("c4_resnet18_w32", 24, circle=0.5, **CONTINUED),
}
"""The runs, by their names in the zoo, where those of clothes and those that nobody has trained yet are not."""


def main() -> None:
    """Trains, or copies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", nargs="?", type=Path, help="the folder of train.npy")
    parser.add_argument(
        "--names",
        nargs="+",
        default=[name for name in RUNS if (FOLDERS[0] / name).is_dir()],
        choices=list(RUNS),
        help="default: those of the zoo",
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the folders of runs are (default: %(default)s)")
    parser.add_argument("--zoo", action="store_true", help="copy what is trained and measured into the zoo")
    arguments = parser.parse_args()
    if not arguments.zoo and arguments.bank is None:
        parser.error("the folder of the bank is needed; python -m benchmarks.distil.bank FOLDER makes it")
    for name in arguments.names:
        if arguments.zoo:
            put(name, arguments.out / name, RUNS[name])
        else:
            pretrain(RUNS[name], arguments.out / name, root=arguments.bank)


if __name__ == "__main__":
    main()
