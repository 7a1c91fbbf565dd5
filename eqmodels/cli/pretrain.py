"""``eqmodels pretrain``: pretrains an encoder, with the options of whatever network, objective and data are named."""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from eqmodels.backbones.formats import read_network_config
from eqmodels.cli.flags import add_flag, in_flags
from eqmodels.cli.terminal import FROM_CHECKPOINT, has_watchers, say
from eqmodels.data import READING, SOURCES
from eqmodels.errors import EqmodelsError
from eqmodels.objectives import objective_options
from eqmodels.options import Option, options_of
from eqmodels.registry import without_imports
from eqmodels.remote import locate
from eqmodels.reports import percent
from eqmodels.storage import CONFIG, LARGEST, read_regular
from eqmodels.training import PretrainConfig, Run, pretrain
from eqmodels.training.config import config_options, flat_fields, suggested_optimisation
from eqmodels.training.formats import FORMAT, nested
from eqmodels.training.initial import initial_model

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Pretrains an encoder, by default without labels: images are turned (or flipped, cut into a puzzle, ...), and a "
    "head on the encoder's features predicts what was done. Writes a checkpoint, a log and, at the end, the weights "
    "into a folder. Ctrl-C stops after a checkpoint; the same command goes on from there. Options are those of the "
    "model, the objective, the data and the optimiser that are named: name another one, and --help shows its."
)
EPILOG = """\
examples:
  eqmodels pretrain --model c4_resnet18s_w16 --epochs 5
  eqmodels pretrain --model resnet18s_w16 --head mlp --epochs 5
  eqmodels pretrain --model resnet18s_w16 --head mlp --epochs 5 --class-weight -9
  eqmodels pretrain --model c4_resnet18s_w16 --basis harmonic --backend escnn
  eqmodels pretrain --data image_folder --root my_images --size 64 --folder runs/mine
  eqmodels pretrain --init c4_resnet18_w32.distil_lite0 --data image_folder --root my_images --size 96
  eqmodels pretrain --extend runs/mine --root my_images --epochs 10
  eqmodels pretrain --data image_folder --root my_images --size 64 --cache my_cache --workers 2
  eqmodels pretrain --objective relative --help
  eqmodels pretrain --objective distil --model c4_resnet18_w32 --data array --root my/bank
  torchrun --nproc-per-node 2 -m eqmodels pretrain --model c4_resnet18s_w16 --norm layer
"""

TITLES = {
    "model": "the network",
    "data": "the images",
    "objective": "what it learns",
    "optimisation": "the optimisation",
    "run": "the run",
}
"""What the groups of options are called."""

PREFIX = "reading_"
"""Of parsed values that are no part of the config."""

COLOURED, COLOURLESS = "simclr", "crop_flip"
"""The usual augmentation, which changes colours, and what takes its place for images that have none to change."""

NAMED = ("model", "backend", "data", "objective", "optimiser")
"""What further options depend on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds one option a value of the config, and what is not part of it.

    Args:
        parser: may say in `typed` what was typed; the options are those of the model, objective, data and optimiser
            named there or in the recipe named there.
    """
    typed, of_recipe = _chosen(getattr(parser, "typed", []))
    with _imports_of(typed, recipe=bool(of_recipe)):
        options = in_flags(flat_fields(), lambda: config_options({**of_recipe, **typed}))
    usual = {} if "objective" in of_recipe else suggested_optimisation(typed)
    for part, title in TITLES.items():
        group = parser.add_argument_group(title)
        for name, (owner, _, option) in flat_fields().items():
            if owner == part:
                add_flag(group, name, replace(option, default=usual.get(name, option.default)))
        for name, option in options.get(part, {}).items():
            add_flag(group, name, option)
    how = parser.add_argument_group("how images are read (of image_folder)")
    for name, option in _reading_options().items():
        add_flag(how, name, option, dest=f"{PREFIX}{name}")
    parser.add_argument("--recipe", type=Path, metavar="FILE", help="take values from a recipe (JSON); options win")
    parser.add_argument(
        "--extend",
        metavar="FOLDER",
        help="train the network of a finished run for --epochs more, with its config and heads, in a folder of its own",
    )
    parser.add_argument("--folder", type=Path, help="of the run (default: one for every config, in runs/)")
    parser.add_argument(
        "--root",
        help="the folder that has the data, such as your own images; without it data sets are looked for in the folder "
        "named by the variable EQMODELS_DATA, in torchvision's and in Debian's, and else downloaded",
    )
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0 (default: a GPU if there is one)")
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard files too")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(
        goes_on=FROM_CHECKPOINT, names=(*flat_fields(), *(name for part in options.values() for name in part))
    )


def _reading_options() -> dict[str, Option]:
    """The options that say how images of folders are read, and not which: no part of a config."""
    options = options_of(SOURCES.find("image_folder"), without=("split", "root"))
    return {name: option for name, option in options.items() if name in READING}


def _imports_of(typed: Mapping[str, Any], *, recipe: bool) -> AbstractContextManager[None]:
    """A context in which, of names beside those of a recipe, only what was typed may cause an import."""
    words = [value for value in typed.values() if isinstance(value, str)]
    return without_imports(*words) if recipe else nullcontext()


def _chosen(typed: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The names that further options depend on: those typed, and those of the recipe, if one is named."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in (*NAMED, "recipe", "extend", "init"):
        first.add_argument(f"--{name}")
    found: dict[str, Any] = {}
    of_recipe: dict[str, Any] = {}
    with suppress(argparse.ArgumentError):  # the parser proper says what is wrong
        values = vars(first.parse_known_args(list(typed))[0])
        recipe, extend, init = (values.pop(name) for name in ("recipe", "extend", "init"))
        found = {name: value for name, value in values.items() if value is not None}
        with suppress(OSError, ValueError, TypeError, AttributeError, EqmodelsError):  # so does `config_of`
            base = _base(recipe and Path(recipe), extend, init if "model" not in found else None)
            parts = {} if base is None else nested(base)
            named = {part: values["name"] for part, values in parts.items() if "name" in values}
            named |= {key: value for values in parts.values() for key, value in values.items() if key in NAMED}
            of_recipe = named | {k: v for k, v in parts.get("model", {}).get("options", {}).items() if k in NAMED}
    return found, of_recipe


def run(arguments: argparse.Namespace) -> int:
    """Trains to the end and says where the weights are.

    Raises:
        ValueError: if a value breaks its rule.
        TrainingError: if the training cannot go on.
    """
    quietly = arguments.quiet or arguments.json
    config = config_of(arguments, (lambda _: None) if quietly else partial(say, file=sys.stderr, flush=True))
    how = {name: getattr(arguments, f"{PREFIX}{name}") for name in _reading_options()}
    folder = arguments.folder or Path("runs") / run_name(config)
    with _imports_of(_given(arguments), recipe=arguments.recipe is not None):
        result: Run = in_flags(
            (*arguments.names, *how),
            lambda: pretrain(
                config,
                folder,
                root=arguments.root,
                reading={name: value for name, value in how.items() if value is not None},
                device=arguments.device,
                tensorboard=arguments.tensorboard,
                quiet=quietly or not has_watchers(),
                report=(lambda _: None) if arguments.quiet else partial(_told, folder),
            ),
        )
    say(json.dumps(summary(result, folder), indent=2) if arguments.json else _sentence(result, folder, arguments))
    return 0


def _told(folder: Path, sentence: str) -> None:
    """Says what becomes of a run, beside its bar."""
    say(f"{folder} {sentence}", file=sys.stderr, flush=True)


def config_of(arguments: argparse.Namespace, report: Callable[[str], object] = lambda _: None) -> PretrainConfig:
    """The config of a command line: the recipe's values, then the options that were given.

    Args:
        arguments: as they were parsed.
        report: called with a sentence if an augmentation is chosen that fits the images, as none was named.

    Raises:
        ValueError: if the recipe cannot be read, or a value breaks its rule.
    """
    given = _given(arguments)
    base = _base(arguments.recipe, arguments.extend, given.get("init") if "model" not in given else None)
    config: PretrainConfig = in_flags(arguments.names, lambda: PretrainConfig.of(base, **given))
    named = "augment" in given or "augment" in nested(base or {"format": FORMAT})["objective"].get("options", {})
    channels = 3 if config.data.to_rgb else config.data.options.get("channels")
    usual = objective_options(config.objective.name).get("augment")
    if named or channels in (None, 1, 3) or usual is None or usual.default != COLOURED:
        return config
    report(f"images of {channels} channels have no colours to change, so --augment {COLOURLESS}, as none is named")
    fitting: PretrainConfig = in_flags(arguments.names, lambda: config.replaced(augment=COLOURLESS))
    return fitting


def _base(recipe: Path | None, extend: str | None, init: str | None) -> Mapping[str, Any] | None:
    """The values that hold where no option is given.

    Args:
        recipe: a file of them.
        extend: the folder of a finished run, whose config and weights they are.
        init: weights to begin with, whose network is pretrained if the recipe does not name another.

    Raises:
        ValueError: if a recipe and a run are named, the recipe cannot be read, or there is no such network.
        StorageError: if a network's files cannot be read, or are of no run.
    """
    if extend is None:
        base = _recipe(recipe) if recipe else None
        parts = nested(base or {"format": FORMAT})
        if init is None or "name" in parts["model"]:
            return base
        return {"format": FORMAT, **parts, "model": {**parts["model"], **initial_model(init)}}
    if recipe is not None or init is not None:
        raise ValueError(
            f"--extend takes config and weights of a run; got --{'recipe' if recipe else 'init'} too. Name the run "
            "with --init to begin with its weights and choose the rest."
        )
    content = read_network_config(locate(extend).folder / CONFIG)
    if "pretraining" not in content:
        raise ValueError(f"--extend needs a finished run; {extend} holds a network alone. Pass --init {extend}.")
    parts = nested(content["pretraining"])
    begun = {"init": extend, "init_sha256": content["sha256"]}
    return {"format": FORMAT, **parts, "model": {**parts["model"], **begun}}


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values of the config that were typed."""
    return {name: value for name in arguments.names if (value := getattr(arguments, name)) is not None}


def _recipe(file: Path) -> Mapping[str, Any]:
    """The content of a recipe, of any format."""
    try:
        values = json.loads(read_regular(file, LARGEST))
    except OSError as error:
        raise ValueError(
            f"--recipe must name a file that can be read; {file} is none ({error.strerror or error}). "
            "Every pretrained network has a recipe.json to start from."
        ) from error
    except ValueError as error:
        raise ValueError(f"--recipe must be a JSON file; {file} is none ({error}). Name a recipe.json.") from error
    if not isinstance(values, dict):
        raise ValueError(
            f"--recipe must hold an object of names and values; {file} holds {str(values)[:80]}. Write, for instance, "
            '{"epochs": 5}.'
        )
    return values


def run_name(config: PretrainConfig) -> str:
    """A name for a run's folder: what is most telling, and a digest of the whole config."""
    digest = hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True).encode()).hexdigest()
    told = config.objective.options
    words = [told[name] for name in ("task", "augment", "head") if isinstance(told.get(name), str)]
    objective = [] if words else [config.objective.name]
    return f"{config.model.name}.{'_'.join([config.data.name, *objective, *words, digest[:8]])}"


def summary(result: Run, folder: Path) -> dict[str, Any]:
    """What a run came to, ready for JSON."""
    return {
        "folder": str(folder),
        "sha256": result.sha256,
        "config": result.config.to_dict(),
        "last_epoch": result.log[-1],
        "provenance": result.provenance,
    }


def _sentence(result: Run, folder: Path, arguments: argparse.Namespace) -> str:
    last = result.log[-1]
    told = [f"loss {last['loss']:.3f}"] + [
        f"{name.removeprefix('accuracy_')} {percent(value)}%"
        for name, value in last.items()
        if name.startswith("accuracy_")
    ]
    epochs = "1 epoch" if last["epoch"] == 1 else f"{last['epoch']:.0f} epochs"
    imports = [word for place in arguments.imports or () for word in ("--import", place)]
    cache = getattr(arguments, f"{PREFIX}cache")
    named = {"--root": arguments.root, "--cache": cache}
    places = [word for flag, place in named.items() if place for word in (flag, place)]
    command = ["eqmodels", "evaluate", *imports, str(folder), *map(str, places)]
    is_labelled = bool(result.provenance["data"]["classes"])
    if result.config.data.name == "image_folder" and not is_labelled:  # of which no probe can be trained
        command = ["eqmodels", "embed", *imports, str(folder), str(arguments.root), "--out", "features.npz"]
    return (
        f"{result.name}: {', '.join(told)} on the augmented training images after "
        f"{epochs} ({result.provenance['seconds']:.0f} s).\nWeights: {folder}\n"
        f"Next: {shlex.join(command)}"
    )
