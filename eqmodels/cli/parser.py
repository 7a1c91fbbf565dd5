"""What the command line understands: one table of commands, each of which is imported when it is chosen."""

from __future__ import annotations

import argparse
import difflib
import importlib
import keyword
from collections.abc import Sequence
from typing import Any, NoReturn

from eqmodels import __version__
from eqmodels.cli.user_code import import_user_code

__all__ = ["COMMANDS", "UsageError", "build_parser"]

COMMANDS = {
    "demo": "see what equivariance buys: a pretrained equivariant encoder beside its ResNet twin",
    "data": "look at a folder of images: classes, sizes, and files that cannot be read",
    "pretrain": "pretrain an encoder by predicting what was done to the image",
    "import": "read a checkpoint of equivision, torchvision or ReDet into a folder like every other",
    "adapt": "make a pretrained network of timm or torchvision exactly equivariant",
    "finetune": "make a classifier of your own images out of a pretrained encoder",
    "predict": "name the classes of pictures with a fine-tuned network",
    "embed": "write the features of your own pictures into a file",
    "neighbours": "find the pictures that are most like others, however they lie",
    "duplicates": "find pictures that are there several times, turned, mirrored or resized",
    "evaluate": "measure a pretrained encoder: probes of its features on upright and on turned images",
    "bench": "measure quality, symmetry and cost of networks side by side",
    "page": "write what a benchmark measured as a page to look at",
    "export": "write a network into a file for other programs: ONNX, torch.export, TorchScript",
    "models": "list the registered models",
    "report": "measure how exactly a model turns its features with the image",
    "synergy": "measure how the class and the transformation help each other, or rank transformations for your images",
    "verify": "check the files and the equivariance of a pretrained network",
    "download": "fetch pretrained networks into the cache, for machines without network",
    "publish": "publish a measured network to the Hugging Face Hub",
}
"""What every command is for. Each is the module of its name beside this file, of a word of Python's with ``_`` behind
it, with ``DESCRIPTION``, ``EPILOG``, ``add_arguments(parser)`` and ``run(arguments) -> status``."""


class UsageError(Exception):
    """A command line that cannot be understood."""


class _HelpFormatter(argparse.HelpFormatter):
    """Wraps the description and keeps the lines of the epilog."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, without the usage in front of it."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


class _CommandParser(_Parser):
    """The parser of one command: its module is imported, and asked for its arguments, when a command line chose it.

    What `--import` names is imported before that, as it may register what the arguments choose from.
    """

    def __init__(self, *, command: str, **options: Any) -> None:  # noqa: ANN401 (those of argparse)
        super().__init__(formatter_class=_HelpFormatter, **options)
        self.command = command
        # What arguments there are may depend on what was typed: those of the network that is named, for instance.
        self.typed: list[str] = []

    def parse_known_args(  # type: ignore[override]  # argparse overloads it
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Asks the command for its arguments, and parses them; refuses what it does not know."""
        first = _Parser(prog=self.prog, add_help=False, allow_abbrev=False)
        _add_import(first)
        imports = first.parse_known_args(args)[0].imports
        for place in imports or ():
            import_user_code(place)
        name = f"{self.command}_" if keyword.iskeyword(self.command) else self.command
        module = importlib.import_module(f"eqmodels.cli.{name}")
        self.typed = list(args or ())
        self.description, self.epilog = module.DESCRIPTION, module.EPILOG
        module.add_arguments(self)
        _add_import(self)
        self.set_defaults(run=module.run, command=self.command)
        parsed, rest = super().parse_known_args(args, namespace)
        if parsed.imports != imports:
            self.error("--import must be written in full")
        if rest:
            odd = next((word for word in rest if word.startswith("-")), "").partition("=")[0]
            nearest = difflib.get_close_matches(
                odd, [name for name in self._option_string_actions if name != odd], 1, 0.75
            )
            hint = f" (did you mean {nearest[0]}?)" if nearest else ""
            self.error(f"unrecognized arguments: {' '.join(rest)}{hint}")
        return parsed, rest


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        metavar="FILE|MODULE",
        help="Python code of yours that registers networks, data, tasks, ...; may be given several times",
    )


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line, which has imported no command yet."""
    parser = _Parser(
        prog="eqmodels",
        description="Exactly group-equivariant image encoders: pretrain them, measure them, use them.",
        epilog="Start with: eqmodels demo",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_CommandParser)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, command=name)
    return parser
