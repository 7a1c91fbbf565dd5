"""``eqmodels adapt``: a pretrained network of others, made equivariant, in a folder like every other."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast, get_args

from eqmodels.adapt import (
    Original,
    canonicalise,
    completed,
    fit_pose,
    is_model,
    original,
    posing,
    save_apart,
    symmetrise,
    turn_upright,
)
from eqmodels.adapt.by_pose import POSES
from eqmodels.adapt.weights import PRETRAINED, RANDOM
from eqmodels.backbones import Backbone, Canonicalised
from eqmodels.backbones.adapted import ENERGY, CanonicalMode
from eqmodels.backbones.formats import command_to_complete
from eqmodels.cli.chosen_data import loaded
from eqmodels.cli.flags import in_flags, pixels
from eqmodels.cli.terminal import say
from eqmodels.cli.with_network import progress
from eqmodels.groups import PlanarGroup
from eqmodels.hub.card import NOTES
from eqmodels.layers.pool import GlobalPoolMode
from eqmodels.reports import percent
from eqmodels.storage import CONFIG, for_markdown, prepare_folder, write_atomically
from eqmodels.training import usable_device

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Makes a network of timm or torchvision exactly equivariant, as it is, and writes it into a folder that every "
    "other command takes: embed, evaluate, report, finetune, predict, export. By symmetrise it is asked about all "
    "turned and mirrored copies of a picture: exact, without any training, for as many passes as there are copies. By "
    "canonicalise it is asked once, about the picture as a small equivariant network turns it upright. By upright a "
    "network of ours with a head of the angle sees pictures twice, the second time turned upright by any angle. "
    "Complete puts the weights of others into a folder that was written --without-weights."
)
EPILOG = """\
examples:
  eqmodels adapt timm:resnet18 --group d4 --out adapted
  eqmodels adapt timm:resnet18 --weights resnet18.safetensors --group c4 --output regular --out adapted
  eqmodels adapt timm:resnet18 --group d4 --method canonicalise --out adapted
  eqmodels adapt lite0 --method canonicalise --by d4_resnet18s_w16 --images my_images --out adapted
  eqmodels adapt c4_resnet18_w32.distil_lite0 --method upright --out upright
  eqmodels adapt timm:resnet18 --without-weights --out small
  eqmodels adapt small --method complete --out whole
  eqmodels evaluate adapted --data openclipart_mini

In Python: eqmodels.adapt.symmetrise("timm:resnet18", "d4"), canonicalise, fit_pose, turn_upright, save_apart
and completed beside it
"""

METHODS = ("symmetrise", "canonicalise", "upright", "complete")
GROUPS = {"symmetrise": "d4", "canonicalise": "c4"}
"""Of which group the result is, if nothing says it."""

OF_LEARNING = ("epochs", "seed", "device")
"""Options that say how a pose is learned from images."""

OF_METHOD = {
    "symmetrise": ("output", "drawn"),
    "canonicalise": ("by", "mode", "images", *OF_LEARNING),
    "upright": ("features",),
}
"""Options that only one method has."""

OF_OTHERS = ("weights", "size", "in_chans", "at_a_time", "group", "without_weights")
"""Options that say how networks of others are built, and mean nothing of a network of ours."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network, the way and the folder."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="timm:NAME, torchvision:NAME, lite0, or a name that --import FILE registers; for upright a pretrained "
        "network of the zoo or of a folder with a head of the angle; for complete a folder that lacks weights",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where to")
    parser.add_argument("--method", choices=METHODS, default="symmetrise", help="how (default: symmetrise)")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="a safetensors file with the network's own names; or pretrained, as timm fetches them; or random "
        "(default: pretrained, of complete what the folder names)",
    )
    parser.add_argument(
        "--without-weights",
        action="store_true",
        default=None,
        help="leave the weights of SOURCE out of the folder, which names them by their sha256: for those that you may "
        "not pass on",
    )
    parser.add_argument("--size", type=pixels, help="of what the network sees, 64 or 48x64 (default: as in training)")
    parser.add_argument("--in-chans", type=int, metavar="N", help="channels of the pictures (default: 3)")
    parser.add_argument(
        "--at-a-time", type=int, metavar="N", help="copies of a picture in one batch (default: what is fastest)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--group",
        help="c1, c2, c4, d1, d2 or d4; canonicalise knows the pose of c4 and d4, or takes the group of --by (default: "
        "d4, of canonicalise c4)",
    )
    _add_ways(parser)


def _add_ways(parser: argparse.ArgumentParser) -> None:
    """Adds what only one method has."""
    copies = parser.add_argument_group("symmetrise")
    copies.add_argument(
        "--output",
        choices=("mean", "max", "weighted", "regular"),
        help="over the copies: mean, max and weighted, the mean with weights that finetune learns, are invariant, "
        "regular is all of it (default: mean)",
    )
    copies.add_argument(
        "--drawn", type=int, metavar="N", help="copies, drawn anew each time, that finetune asks about (default: all)"
    )
    pose = parser.add_argument_group("canonicalise")
    pose.add_argument(
        "--by",
        metavar="NAME",
        help="what predicts the pose: a pretrained network of the zoo, of a folder or of the Hub; a model that is to "
        f"learn it from --images; or {ENERGY}, the pose in which the features of SOURCE itself, which is built without "
        f"a classifier, are largest (default: {POSES['c4']}, for --group d4 {POSES['d4']})",
    )
    pose.add_argument(
        "--mode",
        metavar="MODE",
        choices=get_args(CanonicalMode),
        help=f"one of {', '.join(get_args(CanonicalMode))} (default: hard)",
    )
    pose.add_argument("--images", type=Path, metavar="FOLDER", help="of upright pictures, from which --by learns")
    pose.add_argument("--epochs", type=int, metavar="N", help="passes over --images (default: 10)")
    pose.add_argument("--seed", type=int, metavar="N", help="of the pose's weights and of the order (default: 0)")
    pose.add_argument("--device", help="where the pose is learned, such as cuda:0 (default: a GPU if there is one)")
    upright = parser.add_argument_group("upright")
    upright.add_argument(
        "--features",
        choices=get_args(GlobalPoolMode),
        metavar="KIND",
        help="of the upright picture: canonical, invariant, regular or another pooling (default: canonical)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the folder; 0.

    Raises:
        ValueError: if there is no such network, an option breaks its rule, or is another method's.
        StorageError: if weights cannot be had or are not the network's, or the folder cannot be written.
        ModuleNotFoundError: if the package that has the network is not installed.
    """
    for method, options in OF_METHOD.items():
        given = [name for name in options if getattr(arguments, name) is not None]
        if given and method != arguments.method:
            raise ValueError(f"--{given[0]} is for --method {method}; got --method {arguments.method}. Leave it out.")
    if (arguments.without_weights or arguments.method == "complete") and (arguments.out / CONFIG).exists():
        raise ValueError(f"--out must hold no network, whose card would be of other files; got {arguments.out}.")
    make = {"upright": _upright, "complete": _complete}.get(arguments.method, _of_others)
    encoder, facts = make(arguments)
    prepare_folder(arguments.out, option="--out")
    if arguments.without_weights:
        save_apart(encoder, arguments.out)
    else:
        encoder.save_pretrained(arguments.out)
    write_atomically(arguments.out / NOTES, _notes(facts))
    facts = {
        "folder": str(arguments.out),
        "group": encoder.group.name,
        "method": arguments.method,
        "features": encoder.head_hidden_size,
        "field": str(encoder.out_field),
        **facts,
    }
    if arguments.json:
        say(json.dumps(facts, indent=2))
        return 0
    size = "any size" if encoder.preprocessing is None else "x".join(map(str, encoder.preprocessing.size)) + " pixels"
    copies = f"asked about {encoder.group.order} copies of a picture of {size}"
    how = f"which sees a picture of {size} turned upright by {facts['by']}" if "by" in facts else copies
    say(
        f"{arguments.out}: {facts['source']} (weights: {facts['weights']}), {how}, {encoder.head_hidden_size} features "
        f"({encoder.out_field})"
    )
    if "upright" in facts:
        say(f"held-out pictures that are seen as upright: {percent(facts['upright'])}%")
    say(f"licence of the weights: {facts['license'] or 'not known'}")
    noted = facts["original"]
    following = f"eqmodels embed {arguments.out} IMAGES --out FILE"
    say(f"Next: {command_to_complete(noted, arguments.out, 'FOLDER') if arguments.without_weights else following}")
    return 0


def _notes(facts: Mapping[str, Any]) -> str:
    """What the card says of the weights."""
    pose = f" Pictures are turned upright by {facts['by']}." if "by" in facts else ""
    return f"Made of {facts['source']}, whose weights are {for_markdown(facts['weights'])}.{pose}\n"


def _upright(arguments: argparse.Namespace) -> tuple[Backbone, dict[str, Any]]:
    """A network of ours that turns pictures upright by its own head, and what there is to tell.

    Raises:
        ValueError: if there is no such network, it has no such head or pooling, or an option is for networks of others.
    """
    _refuse(arguments, OF_OTHERS, "is for networks of others; --method upright takes a network of ours as it is")
    kind: Any = arguments.features or "canonical"
    encoder = in_flags(("features",), lambda: turn_upright(arguments.source, kind))
    return encoder, _of_record(encoder) | {"by": "the angle that its own head tells"}


def _of_record(encoder: Backbone) -> dict[str, Any]:
    """What there is to tell of an encoder that knows what it was made of."""
    record = encoder.structure["original"]
    file = f", sha256 {record['file_sha256']}" if "file_sha256" in record else ""
    return {
        "source": record["source"],
        "weights": f"{record['weights']}{file}",
        "original": dict(record),
        "license": encoder.license,
    }


def _refuse(arguments: argparse.Namespace, names: Iterable[str], why: str) -> None:
    """Refuses options that mean nothing here.

    Raises:
        ValueError: if one is given.
    """
    for name in names:
        if getattr(arguments, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} {why}. Leave it out.")


def _complete(arguments: argparse.Namespace) -> tuple[Backbone, dict[str, Any]]:
    """The network of a folder that lacks the weights of others, with these, and what there is to tell.

    Raises:
        ValueError: if the folder lacks none, or an option says how networks are built.
    """
    others = [name for name in OF_OTHERS if name != "weights"]
    _refuse(arguments, others, "is for a network that is adapted; --method complete takes the folder as it is")
    encoder = in_flags(("weights",), lambda: completed(arguments.source, arguments.weights))
    pose = {}
    if isinstance(encoder, Canonicalised):
        pose = {"by": encoder.structure["by"], "mode": encoder.canonical.mode}
    return encoder, _of_record(encoder) | pose


def _of_others(arguments: argparse.Namespace) -> tuple[Backbone, dict[str, Any]]:
    """A network of others, symmetrised or canonicalised, and what there is to tell."""
    names = ("weights", "group", "output", "size", "in_chans", "at_a_time", "drawn", "mode", "by", "epochs", "seed")
    arguments.weights = arguments.weights or PRETRAINED
    if arguments.without_weights and arguments.weights == RANDOM:
        raise ValueError("--without-weights is for weights that others have too; got --weights random. Leave it out.")
    arguments.in_chans = 3 if arguments.in_chans is None else arguments.in_chans
    known = in_flags(names, lambda: original(arguments.source, arguments.weights, in_chans=arguments.in_chans))
    make = _by_orbit if arguments.method == "symmetrise" else _by_pose
    encoder, told = in_flags(names, lambda: make(arguments, known))
    return encoder, {
        "source": known.source,
        "weights": known.weights,
        "original": dict(known.record),
        "license": known.license,
        **told,
    }


def _common(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in ("size", "in_chans", "at_a_time")}


def _by_orbit(arguments: argparse.Namespace, known: Original) -> tuple[Backbone, dict[str, Any]]:
    """The network asked about all copies, and nothing more to tell."""
    own = _common(arguments) | {"group": arguments.group or GROUPS["symmetrise"], "drawn": arguments.drawn}
    encoder: Any = symmetrise(known, output=arguments.output or "mean", **own)
    return encoder, {}


def _by_pose(arguments: argparse.Namespace, known: Original) -> tuple[Backbone, dict[str, Any]]:
    """The network that sees pictures upright, and by what; a pose that is to be learned is learned first.

    Raises:
        ValueError: if there is nothing to learn from, or nothing to learn, or no pose of the group is known.
    """
    name = arguments.by or _known_pose(arguments.group or GROUPS["canonicalise"])
    if arguments.images is None:
        _refuse(arguments, OF_LEARNING, "is for a model that learns the pose from --images")
    told = {"by": name, "mode": arguments.mode or "hard"}
    own = _common(arguments) | {"mode": told["mode"], "group": arguments.group}
    if name == ENERGY:
        if arguments.images is not None:
            raise ValueError(f"--images are for a model that is to learn the pose; {ENERGY} has nothing to learn.")
        own["group"] = arguments.group or GROUPS["canonicalise"]
        return cast("Backbone", canonicalise(known, ENERGY, **own)), told
    if is_model(name) != (arguments.images is not None):
        lacks = f"{name} has random weights: name upright pictures by --images FOLDER, or a pretrained network"
        raise ValueError(
            f"--images are for a model that is to learn the pose; {lacks if is_model(name) else name + ' knows it'}."
        )
    pose = posing(name, **({"in_chans": arguments.in_chans} if is_model(name) else {}))
    if arguments.group is not None and PlanarGroup.parse(arguments.group) != pose.group:
        raise ValueError(
            f"--by must be a network of --group {arguments.group}; got {name}, of {pose.group}. Leave one of them out."
        )
    if arguments.images is not None:
        told |= _learned(arguments, pose)
    return cast("Backbone", canonicalise(known, pose, **own)), told


def _known_pose(group: str) -> str:
    """The network of the zoo that knows how photographs lie.

    Raises:
        ValueError: if there is no such group, or no such network of it.
    """
    name = PlanarGroup.parse(group).name
    if name not in POSES:
        raise ValueError(
            f"--group {group} has no network in the zoo that knows how photographs lie; {' and '.join(POSES)} have. "
            f"Choose one of these, or a network of {name} by --by: a model that learns it from --images, or {ENERGY}."
        )
    return POSES[name]


def _learned(arguments: argparse.Namespace, pose: Backbone) -> dict[str, Any]:
    """Teaches the pose, and what came of it."""
    options = {"channels": pose.in_chans, "size": min(arguments.size or (64, 64))}
    train, test = (loaded("image_folder", part, options, root=str(arguments.images)) for part in ("train", "test"))
    epochs, device = arguments.epochs or 10, usable_device(arguments.device)
    with progress(arguments, epochs * len(train)) as advance:
        found = fit_pose(pose.to(device), train, test, epochs=epochs, seed=arguments.seed or 0, progress=advance)
    pose.to("cpu")
    return {"loss": found.losses[-1], "upright": found.upright, "images": len(train)}
