"""Writes README's speed section from the committed tables: python -m benchmarks.speed.readme."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks._sections import write_section
from benchmarks.speed._harness import RESULTS, rows_of
from eqmodels.studies import markdown_table

README = Path(__file__).parents[2] / "README.md"
SECTION = "speed"


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
            markdown_table(["building", "time", "escnn", "peak memory", "escnn"], builds),
            markdown_table(["width 64, 32 x 32, channels-last", *(f"`{name}`" for name in contenders)], passes),
            f"Medians of interleaved rounds, and ratios within a round, on {document['machine']}.",
        ]
    )


def main() -> None:
    """Replaces the section in place."""
    write_section(README, SECTION, section())


if __name__ == "__main__":
    main()
