"""Writes the section of speed and README's of consumers from committed tables: python -m benchmarks.speed.readme."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks._sections import write_section
from benchmarks.speed._harness import RESULTS, rows_of
from eqmodels.reports import Table

README = Path(__file__).parents[2] / "README.md"
DOCUMENT = README.parent / "docs" / "results.md"
SECTION, CONSUMERS = "speed", "consumers"

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
    ratios = [
        ("training step, batch 64, float32", "train_step", "batch 64, float32, channels-last", ""),
        ("training step, batch 64, bf16", "train_step", "batch 64, bf16, channels-last", ""),
        ("training step, batch 256, float32", "train_step", "batch 256, float32, channels-last", ""),
        ("training step, batch 256, bf16", "train_step", "batch 256, bf16, channels-last", ""),
        ("inference, batch 64, float32", "inference", "batch 64, float32, channels-last", ""),
        ("the same, exported", "inference_exported", "batch 64, float32, channels-last", ", exported"),
        ("inference, one image, float32", "inference", "batch 1, float32, channels-last", ""),
        ("the same, exported", "inference_exported", "batch 1, float32, channels-last", ", exported"),
    ]
    contenders = ["c1_resnet18s", "resnet18s", "c4_resnet18s", "d4_resnet18s", "c4_resnet18s (escnn)"]
    passes = []
    for label, table_name, setting, suffix in ratios:
        table = rows_of(table_name)
        found = [table.get((setting, contender + suffix)) for contender in contenders]
        cells = ["" if row is None or row.ratio is None else f"{row.ratio:.2f}" for row in found]
        reference = table[setting, contenders[0] + suffix]
        cells[0] = f"{reference.median * 1e3:.0f} ms"
        passes.append([label, *cells])
    document = json.loads((RESULTS / "train_step.json").read_text())
    return "\n\n".join(
        [
            Table(["building", "time", "escnn", "peak memory", "escnn"], builds).markdown(as_it_is=True),
            Table(["width 64, 32 x 32, channels-last", *(f"`{name}`" for name in contenders)], passes).markdown(
                as_it_is=True
            ),
            f"Medians of interleaved rounds, and ratios within a round, on {document['machine']}.",
        ]
    )


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
