"""ONNX Runtime as an engine: images a second at 32 x 32, beside PyTorch, of networks of equal FLOPs.

A network as it is, exported to stock layers, as an ONNX file, and as one whose convolutions are of 8 bits; each beside
the ResNet of the same form, and beside the ResNet in stock layers. One thread, and its processor time, which other
programs on the machine change little. The section of docs/results.md is written anew.

python -m benchmarks.speed.engines [--rounds 9] [--batches 1 64] [--width 64]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn

from benchmarks._sections import write_section
from benchmarks.speed._harness import RESULTS, Row, Timings, rows_of, summarise, timed
from eqmodels import Backbone, create_model
from eqmodels.export import export_int8, to_onnx, to_plain
from eqmodels.reports import Table

RESNET = "resnet18s"
NAMES = [RESNET, "c4_resnet18s", "d4_resnet18s"]
WIDTH = 64
ENGINES = ["as it is", "stock layers", "ONNX Runtime", "ONNX Runtime, 8 bits"]
REFERENCE = f"{RESNET}, {ENGINES[1]}"
SIZE = 32
CALIBRATING = 32
"""Images that ranges are taken from, and a file of 8 bits is measured on; time depends on their number alone."""

DOCUMENT, SECTION = Path(__file__).parents[2] / "docs" / "results.md", "engines"
TABLE = "engines"


def by_pytorch(network: nn.Module, images: Tensor) -> Callable[[], object]:
    """One forward pass without gradients."""

    def run() -> None:
        with torch.inference_mode():
            network(images)

    return run


def by_onnxruntime(file: Path, images: Tensor) -> Callable[[], object]:
    """One run of a file on the processor."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    given = {"images": images.numpy()}
    return lambda: session.run(["output"], given)


def engines(network: Backbone, folder: Path) -> dict[str, Callable[[Tensor], Callable[[], object]]]:
    """From images to a pass over them, for every engine."""
    whole, small = folder / "whole.onnx", folder / "small.onnx"
    images = torch.randn(CALIBRATING, network.in_chans, SIZE, SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch says of its own export
        to_onnx(network, whole, size=SIZE)
        export_int8(network, small, images, kind="static")
    plain = to_plain(network, size=SIZE, fold_batch_norm=True)
    made: list[Callable[[Tensor], Callable[[], object]]] = [
        lambda images: by_pytorch(network, images),
        lambda images: by_pytorch(plain, images),
        lambda images: by_onnxruntime(whole, images),
        lambda images: by_onnxruntime(small, images),
    ]
    return dict(zip(ENGINES, made, strict=True))


def measure(rounds: int, batches: list[int], width: int) -> list[Row]:
    """All networks in all engines, interleaved: beside the ResNet in stock layers, and in the same engine."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        passes = {}
        for name in NAMES:
            place = Path(folder) / name
            place.mkdir()
            passes[name] = engines(create_model(name, width=width, num_classes=10).eval(), place)
        for batch in batches:
            images = torch.randn(batch, 3, SIZE, SIZE)
            contenders = {
                f"{name}, {engine}": start(images) for name in NAMES for engine, start in passes[name].items()
            }
            seconds = timed(f"batch {batch}", contenders, rounds=rounds, warmup=2, clock=time.process_time)
            rows += summarise(f"batch {batch}", seconds, reference=REFERENCE)
            for engine in ENGINES:
                same = {label: series for label, series in seconds.items() if label.endswith(f", {engine}")}
                rows += summarise(f"batch {batch}, {engine}", same, reference=f"{RESNET}, {engine}")
    return rows


def section() -> str:
    """The text of the docs' section, of the committed table."""
    rows = rows_of(TABLE)
    batches = [int(setting.removeprefix("batch ")) for setting, _ in rows if setting.count(" ") == 1]
    lines = []
    for batch in dict.fromkeys(batches):
        for engine in ENGINES:
            cells = []
            for name in NAMES:
                label = f"{name}, {engine}"
                whole, same = rows[f"batch {batch}", label], rows[f"batch {batch}, {engine}", label]
                speed = f"{batch / whole.median:.0f}"
                cells.append(speed if name == RESNET else f"{speed}; {same.ratio_in_words()}")
            cells.append(rows[f"batch {batch}", f"{RESNET}, {engine}"].ratio_in_words())
            lines.append([f"{batch}, {engine}", *cells])
    head = ["batch, engine", *(f"`{name}`" for name in NAMES), f"`{RESNET}` beside stock layers"]
    title, _, conditions = (RESULTS / f"{TABLE}.md").read_text().splitlines()[:3]
    table = Table(head, lines).markdown(as_it_is=True)
    return f"{title.removeprefix('# ')}.\n\n{table}\n\n{conditions.partition('; median')[0]}."


def main() -> None:
    """Runs the comparison and writes its table, and the section of the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--width", type=int, default=WIDTH)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    table = Timings.of(
        f"ResNet-18s of width {arguments.width}, {SIZE} x {SIZE}, in PyTorch and in ONNX Runtime "
        f"{onnxruntime.__version__}",
        unit="s of processor time",
        reference=f"{REFERENCE} (below: the ResNet in the same engine)",
        module="benchmarks.speed.engines",
        rounds=arguments.rounds,
        rows=measure(arguments.rounds, arguments.batches, arguments.width),
    )
    table.save(TABLE)
    write_section(DOCUMENT, SECTION, section())


if __name__ == "__main__":
    main()
