"""Writes the section of speed and README's of consumers from committed tables: python -m benchmarks.speed.readme."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from benchmarks._sections import write_section
from benchmarks.speed._harness import RESULTS, Row, rows_of
from benchmarks.speed.train_step import CONTENDERS, FINE_ANGLES
from eqmodels.reports import Table

README = Path(__file__).parents[2] / "README.md"
DOCUMENT = README.parent / "docs" / "results.md"
SECTION, CONSUMERS = "speed", "consumers"
GROUPED = ("c4_resnet18s", "d4_resnet18s")

TWINS, ALONE = "of a ResNet-18", "C4 encoder alone"
"""What a training step is compared with: the same consumer on a ResNet-18 of equal width, or the encoder alone."""

PLUGS = [
    (
        "timm",
        "`import eqmodels.timm`; every architecture, the zoo as tags, its options, its scripts",
        ["timm"],
        [(ALONE, "timm")],
    ),
    (
        "segmentation_models_pytorch",
        "all 12 decoders, at any size that it allows",
        ["segmentation_models_pytorch"],
        [("Unet of segmentation_models_pytorch", "C4"), ("Unet of segmentation_models_pytorch", "D4")],
    ),
    (
        "torchvision",
        "FPN, Faster and Mask R-CNN, RetinaNet, FCOS, DeepLabV3, FCN, `get_model`",
        ["torchvision"],
        [("FPN of torchvision", "C4"), ("FPN of torchvision", "D4")],
    ),
    (
        "transformers",
        "AutoModel, AutoImageProcessor, AutoBackbone, pipelines, Trainer; no remote code",
        ["transformers"],
        [(ALONE, "transformers")],
    ),
    ("lightly", "SimCLR, BYOL, Barlow Twins, VICReg", ["lightly"], [(ALONE, "lightly")]),
    ("lightning", "loops, checkpoints", ["lightning"], [(ALONE, "lightning")]),
    ("accelerate", "DDP, FSDP, checkpoints", ["accelerate"], [(ALONE, "accelerate")]),
    ("peft", "LoRA of rank 8 that keeps the network exact", ["peft"], [(ALONE, "peft, rank 8")]),
    (
        "equiadapt",
        "as its canonicalisation network: a second encoder predicts the pose",
        ["equiadapt"],
        [(ALONE, "equiadapt")],
    ),
    ("escnn", "its networks without it, our modules among its own", ["escnn"], []),
    (
        "ONNX, torch.export, TorchScript, stock modules",
        "encoders, maps of stages, wrapped and adapted networks, U-Nets, in 8 bits too: `eqmodels export --help`; as "
        "fast as a ResNet of equal FLOPs ([measured](docs/results.md))",
        [],
        [],
    ),
]
"""Consumers, what works, recipes, and the rows of the table of consumers that say what each costs."""


def section() -> str:
    """The section's text: builds in seconds and MiB, steps and passes as ratios to the plain network."""
    seconds, memory = rows_of("build_time"), rows_of("build_memory")
    builds = []
    for name in dict.fromkeys(setting for setting, _ in seconds):
        cells = [
            f"{table[name, contender].median:.{digits}f} {unit}" if (name, contender) in table else ""
            for table, digits, unit in ((seconds, 2, "s"), (memory, 0, "MiB"))
            for contender in (name, f"{name} (escnn)")
        ]
        builds.append([f"`{name}`", *cells])
    document = json.loads((RESULTS / "inference.json").read_text())
    return "\n\n".join(
        [
            Table(["building", "time", "escnn", "peak memory", "escnn"], builds).markdown(as_it_is=True),
            *_training(),
            _inference().markdown(as_it_is=True),
            f"Inference: medians of interleaved rounds, and ratios within a round, on {document['machine']}. "
            f"{_of_exported()}",
        ]
    )


def _of_exported() -> str:
    """What is to be concluded of exported networks, in all precisions and memory formats."""
    ratios = {
        batch: [
            row.ratio or 1.0
            for (setting, name), row in rows_of("inference_exported").items()
            if setting.startswith(f"batch {batch},") and name.removesuffix(", exported") in GROUPED
        ]
        for batch in (1, 64)
    }
    said = [f"{min(own):.2f} to {max(own):.2f} at batch {batch}" for batch, own in ratios.items()]
    return (
        f"To conclude: exported, C4 and D4 take {' and '.join(said)} of the time of the plain network, over two "
        "precisions and two memory formats (the goal was 1.02); as they are, filters are expanded in every call, which "
        "one image pays for alone. So export what answers single images."
    )


def _training() -> Iterator[str]:
    """A step of training beside torchvision's network, and of filters of 5 x 5 pixels beside a plain one of such."""
    document = json.loads((RESULTS / "train_step.json").read_text())
    table = rows_of("train_step")
    yield (
        "A step of training, width 64, 32 x 32, beside torchvision's strided `resnet18` with the stem of small images: "
        "the median over rounds of the quotient within a round, of processor time."
    )
    yield _ratios(table, CONTENDERS).markdown(as_it_is=True)
    found = {place: row.ratio or 1.0 for place, row in table.items() if place[1] in GROUPED}
    above = [f"`{name}` {ratio:.2f} at {setting}" for (setting, name), ratio in found.items() if ratio >= 1.005]
    yield (
        f"To conclude: C4 and D4 train in {min(found.values()):.2f} to {max(found.values()):.2f} of its time; at most "
        f"1.00 was the goal, and {len(above)} of {len(found)} are above it"
        + (f": {'; '.join(above)}." if above else ".")
        + f" On {document['machine']}."
    )
    yield "The same with filters of 5 x 5 pixels, which 45 degrees need, beside a plain network of such filters:"
    yield _ratios(rows_of("train_step_5x5"), FINE_ANGLES).markdown(as_it_is=True)


def _ratios(table: Mapping[tuple[str, str], Row], contenders: Iterable[str]) -> Table:
    """The time of the first contender, in milliseconds, and the ratios of the others that were measured to it."""
    settings = list(dict.fromkeys(setting for setting, _ in table))
    names = [name for name in contenders if (settings[0], name) in table]
    cells = [
        [setting, f"{table[setting, names[0]].median * 1e3:.0f} ms"]
        + [f"{table[setting, name].ratio:.2f}" for name in names[1:]]
        for setting in settings
    ]
    return Table(["batch, precision, memory", *(f"`{name}`" if "'" not in name else name for name in names)], cells)


def _inference() -> Table:
    """A forward pass, as it is and exported, beside our code without a group."""
    ratios = [
        ("inference, batch 64, float32", "inference", "batch 64, float32, channels-last", ""),
        ("the same, exported", "inference_exported", "batch 64, float32, channels-last", ", exported"),
        ("inference, one image, float32", "inference", "batch 1, float32, channels-last", ""),
        ("the same, exported", "inference_exported", "batch 1, float32, channels-last", ", exported"),
    ]
    contenders = ["c1_resnet18s", "resnet18s", "c4_resnet18s", "d4_resnet18s"]
    passes = []
    for label, table_name, setting, suffix in ratios:
        table = rows_of(table_name)
        found = [table[setting, contender + suffix] for contender in contenders]
        cells = [f"{row.ratio:.2f}" for row in found[1:]]
        passes.append([label, f"{found[0].median * 1e3:.0f} ms", *cells])
    return Table(["width 64, 32 x 32, channels-last", *(f"`{name}`" for name in contenders)], passes)


def plugs() -> str:
    """The table of consumers: a training step of each, as a ratio to what it is compared with."""
    table = rows_of("consumers")
    lines = []
    for consumer, works, recipes, asked in PLUGS:
        found = [(setting, contender, table[setting, contender].ratio) for setting, contender in asked]
        costs = [f"{'' if setting == ALONE else contender + ' '}{ratio:.2f}" for setting, contender, ratio in found]
        cost = ", ".join(costs) + ("" if not found or found[0][0] == ALONE else f" {TWINS}")
        lines.append([consumer, works, ", ".join(f"[{name}](docs/recipes/{name}.md)" for name in recipes), cost])
    return Table(["consumer", "what works", "recipe", "a training step"], lines, left=4).markdown(as_it_is=True)


def main() -> None:
    """Replaces both sections in place, that of speed in docs/results.md."""
    write_section(DOCUMENT, SECTION, section())
    write_section(README, CONSUMERS, plugs())


if __name__ == "__main__":
    main()
