"""``eqmodels import``: a checkpoint that others trained, as a folder like every other."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from eqmodels.backbones import Backbone, ConversionReport, from_equivision, from_redet, from_torchvision
from eqmodels.backbones.convert.files import read_state
from eqmodels.backbones.convert.images import imagenet_classes, imagenet_preprocessing
from eqmodels.cli.flags import in_flags
from eqmodels.cli.terminal import say
from eqmodels.hub.card import NOTES
from eqmodels.remote import ElsewhereEntry, read_elsewhere
from eqmodels.reports import percent
from eqmodels.storage import prepare_folder, printable, sha256_of, write_together

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Reads a checkpoint that others trained, strictly: every tensor is used or named. It writes a folder that every "
    "other command takes (evaluate, embed, finetune, predict, export), in plain PyTorch. equivision: escnn ResNets "
    "trained on ImageNet, C8 and D8 also as C4 and D4. torchvision: its ResNets. redet: ReDet's ReResNets. The file "
    "is read without running any code in it. Nothing is fetched: eqmodels download equivision/NAME says where they are."
)
EPILOG = """\
examples:
  eqmodels import equivision c4resnet18.pt --out c4resnet18
  eqmodels import equivision/c8resnet18 c8resnet18.pt --group c4 --out c8resnet18_as_c4
  eqmodels import torchvision resnet18-f37072fd.pth --out resnet18 --license bsd-3-clause
  eqmodels import redet re_resnet50_c8_batch256.pth --out redet

equivision and ReDet stride. Here a stride runs where it keeps quarter turns exactly: at sides of 1 mod 32, such as 225
and 1025, where the outputs are those of the checkpoint. 224 and 1024 are refused.

In Python: eqmodels.backbones.from_equivision, from_torchvision and from_redet, of a state dict.
"""

KINDS = ("equivision", "torchvision", "redet")

REPORT = "import.json"
"""The name of the file in the folder that says what became of every layer; null where every tensor was copied."""

EXACT_SIDE, SIDE = 225, 224
"""Pixels of ImageNet's images for strided networks of a group, and for torchvision's."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the kind, the file and the folder."""
    parser.add_argument(
        "kind",
        metavar="KIND",
        help=f"{', '.join(KINDS)}, or a published network, such as equivision/c4resnet18, whose licence and claims go "
        "with it",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="of torch.save, or of safetensors")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where to")
    parser.add_argument(
        "--group", metavar="NAME", help="of equivision: a subgroup to read it as, such as c4 of c8 (default: its own)"
    )
    parser.add_argument(
        "--of",
        metavar="NAME",
        help="of equivision: its own group, where the file does not say it (default: what it says)",
    )
    parser.add_argument(
        "--license", metavar="SPDX", help="of the weights (default: that of the published network, else not known)"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON, layer by layer")


def run(arguments: argparse.Namespace) -> int:
    """Writes the folder and prints what became of the layers; 0.

    Raises:
        ValueError: if the kind is unknown, an option is another kind's, or the file is of no such network.
        StorageError: if the file cannot be read or the folder not be written.
    """
    entry = read_elsewhere().get(arguments.kind)
    kind = arguments.kind.partition("/")[0]
    if kind not in KINDS or ("/" in arguments.kind and entry is None):
        raise ValueError(
            f"KIND must be one of {', '.join(KINDS)}, or a published network, {', '.join(read_elsewhere())}; got "
            f"{printable(arguments.kind)!r}."
        )
    given = next((name for name in ("group", "of") if getattr(arguments, name) is not None), None)
    if kind != "equivision" and given:
        raise ValueError(f"--{given} is for equivision; got {kind}. Leave it out.")
    prepare_folder(arguments.out, option="--out")
    sha256 = sha256_of(arguments.file)
    state = read_state(arguments.file)
    model, report = in_flags(("group", "of"), lambda: _converted(kind, state, arguments, entry))
    _check_entry(model, report, entry)
    model.license = arguments.license.lower() if arguments.license else None if entry is None else entry.license
    notes = _notes(kind, arguments.file.name, sha256, entry, report)
    content = None if report is None else asdict(report)
    card = model.eval().generate_model_card()
    card.data.datasets = None if entry is None else [entry.data]
    card.text += f"\n## Where it is from\n\n{notes}"
    write_together(
        {
            arguments.out / "README.md": str(card),
            arguments.out / NOTES: notes,
            arguments.out / REPORT: json.dumps(content, indent=2) + "\n",
        }
    )
    model.save_pretrained(arguments.out)
    facts = _facts(model, arguments, sha256, entry)
    if arguments.json:
        say(json.dumps({**facts, "report": content}, indent=2))
        return 0
    say(f"{arguments.out}: {facts['model']}, {facts['group']}, pictures of {facts['size']} pixels, {facts['puts_out']}")
    say(f"every tensor of {arguments.file.name} was used, bit for bit" if report is None else report.text())
    say(f"layer by layer: {arguments.out / REPORT}")
    say(f"licence of the weights: {model.license or 'not known; say it by --license'}")
    say(f"Next: eqmodels embed {arguments.out} IMAGES --out FILE")
    return 0


def _converted(
    kind: str, state: dict[str, Tensor], arguments: argparse.Namespace, entry: ElsewhereEntry | None
) -> tuple[Backbone, ConversionReport | None]:
    """The network, with the preprocessing of ImageNet, and what became of its layers."""
    if kind == "equivision":
        own = arguments.of or (entry.group if entry else None)
        return from_equivision(state, group=arguments.group, of=own)
    if kind == "redet":
        network, report = from_redet(state, downsampling="stride")
        network.preprocessing = imagenet_preprocessing(network.in_chans, EXACT_SIDE)
        network.classes = imagenet_classes(network.num_classes)
        return network, report
    standard = from_torchvision(state)
    standard.preprocessing = imagenet_preprocessing(standard.in_chans, SIDE)
    standard.classes = imagenet_classes(standard.num_classes)
    return standard, None


def _check_entry(model: Backbone, report: ConversionReport | None, entry: ElsewhereEntry | None) -> None:
    """Refuses a file that is of another network than the published one whose licence it would get.

    Raises:
        ValueError: if depth or group differ.
    """
    if entry is None or report is None:
        return
    found = str(model.structure["architecture"])
    wanted = entry.architecture.split("_")[1]
    if found != wanted or not report.source.endswith(f" of {entry.group.upper()}"):
        raise ValueError(
            f"the file must be that of {entry.name}, a {wanted} of {entry.group.upper()}; got {found} from "
            f"{report.source}. Name the right one, or equivision alone."
        )


def _notes(kind: str, name: str, sha256: str, entry: ElsewhereEntry | None, report: ConversionReport | None) -> str:
    """What the card says of where the weights are from."""
    lines = [f"Imported from `{name}` (sha256 `{sha256}`), a checkpoint of {kind}."]
    if entry is not None:
        claimed = ", ".join(f"{what} {percent(value)}%" for what, value in entry.claimed.items())
        lines.append(
            f"Published by {entry.page} under `{entry.license}`; trained on `{entry.data}` "
            f"(`{entry.data_license}`). Claimed by its publisher, not measured here: {claimed}."
        )
    lines += [] if report is None else [f"{note[0].upper()}{note[1:]}." for note in report.notes]
    return "\n\n".join(lines) + "\n"


def _facts(model: Backbone, arguments: argparse.Namespace, sha256: str, entry: ElsewhereEntry | None) -> dict[str, Any]:
    assert model.preprocessing is not None
    count = model.num_classes or model.head_hidden_size
    return {
        "folder": str(arguments.out),
        "source": arguments.kind,
        "sha256": sha256,
        "model": json.loads((arguments.out / "config.json").read_text("utf-8"))["architecture"],
        "group": model.group.name,
        "size": "x".join(map(str, model.preprocessing.size)),
        "puts_out": f"{count:,} {'classes' if model.num_classes else 'features'}",
        "license": model.license,
        "data": None if entry is None else entry.data,
        "data_license": None if entry is None else entry.data_license,
        "claimed": None if entry is None else entry.claimed,
    }
