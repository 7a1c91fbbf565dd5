"""Writes the index of the zoo from its folders: ``python -m benchmarks.essl.index``.

Commits that are pinned stay, unless weights or config have changed. Review the difference before you commit it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from eqmodels.hub import ZooEntry, entry_of, read_index

ZOO = Path(__file__).parents[2] / "zoo"
INDEX = Path(__file__).parents[2] / "eqmodels" / "remote" / "zoo.json"
ORGANISATION = "eqmodels"
"""On the Hub, of networks that are not published yet."""


def entry(folder: Path) -> ZooEntry:
    """The entry of a folder, pinned as before if its weights and its config are those of before."""
    old = read_index().get(folder.name)
    fresh = entry_of(folder, old.repository if old else f"{ORGANISATION}/{folder.name}", None)
    unchanged = old and (old.sha256, old.config_sha256) == (fresh.sha256, fresh.config_sha256)
    return entry_of(folder, old.repository, old.commit) if old and unchanged else fresh


def main() -> None:
    """Writes all entries, one a line."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    lines = ",\n".join(entry(folder).line() for folder in sorted(ZOO.iterdir()) if folder.is_dir())
    INDEX.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
