"""``eqmodels publish``: from a folder of the zoo to the Hugging Face Hub."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import webbrowser
from dataclasses import asdict
from pathlib import Path

from eqmodels.cli.parser import UsageError
from eqmodels.cli.terminal import say
from eqmodels.hub import publish
from eqmodels.reports import Table
from eqmodels.storage import StorageError

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Checks a folder with weights, config, results and recipe, generates its card and picture, and publishes all of it "
    "in one commit with a tag. Without a change there is no new commit. The token is the Hub client's: hf auth login, "
    "or the variable HF_TOKEN."
)
EPILOG = "example: eqmodels publish zoo/c4_resnet18s_w16.rot_fmnist_simclr --repo organisation/name --dry-run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the folder, the repository and the options."""
    parser.add_argument("folder", metavar="FOLDER", help="of the network, such as runs/my_run")
    parser.add_argument("--repo", required=True, metavar="ORGANISATION/NAME", help="where to; made if there is none")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--dry-run", action="store_true", help="check and show everything, and ask the Hub nothing")
    parser.add_argument(
        "--open", action="store_true", help="with --dry-run, show card and picture as they will be, in the browser"
    )
    parser.add_argument(
        "--licence", metavar="SPDX", help="of the weights, such as cc-by-4.0 (default: the one in the config)"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the files, the commit and the line for the index.

    Raises:
        UsageError: if there is nothing to open.
        StorageError: if the folder is not fit to be published, or the Hub refuses.
        ValueError: if there is no such folder, the repository's name breaks the Hub's rules, or nothing was measured
            over the angles.
        ModuleNotFoundError: if matplotlib, which draws the picture, is not installed, or Markdown, by which the card
            is shown.
    """
    if arguments.open and not arguments.dry_run:
        raise UsageError("--open shows what would be published, before it is. Add --dry-run.")
    # Kept, as the browser reads it later.
    page = Path(tempfile.mkdtemp(prefix="eqmodels-")) / "card.html" if arguments.open else None
    options = {"private": arguments.private, "dry_run": arguments.dry_run, "license_name": arguments.licence}
    try:
        result = publish(arguments.folder, arguments.repo, preview=page, **options)
    except (ValueError, StorageError) as error:
        raise type(error)(str(error).replace("license_name", "--licence")) from error
    if page is not None:
        say(f"the card, as it will be: {page}", file=sys.stderr)
        webbrowser.open(page.as_uri())
    if arguments.json:
        say(json.dumps(asdict(result), indent=2))
        return 0
    say(f"licence of the weights: {result.entry.license}\n")
    rows = [[name, f"{size:,}", sha] for name, (size, sha) in result.files.items()]
    say(Table(["file", "bytes", "sha256"], rows).text())
    if arguments.dry_run:
        say(f"\ndry run, nothing was sent: {arguments.repo} would get these files in one commit, tag {result.tag}")
    elif result.changed and result.tagged == result.entry.commit:
        say(f"\npublished {arguments.repo} at {result.entry.commit}, tag {result.tag}")
    elif result.changed:
        say(f"\npublished {arguments.repo} at {result.entry.commit}; {result.tag} names {result.tagged}, as before")
    else:
        say(f"\nnothing changed: {arguments.repo} stays at {result.entry.commit}")
    say(f"\nthe line for eqmodels/remote/zoo.json:\n{result.entry.line()}")
    return 0
