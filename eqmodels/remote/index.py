"""The index of the zoo: one reviewed file that says what each pretrained network is and where it lies."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files

__all__ = ["ZooEntry", "read_index"]


@dataclass(frozen=True)
class ZooEntry:
    """One pretrained network.

    Attributes:
        name: ``<architecture>.<task>_<data>``.
        repository: on the Hugging Face Hub, ``organisation/name``.
        commit: of the repository, 40 hexadecimal digits; None if it is not published yet.
        file: of the weights.
        size: of the file, in bytes.
        sha256: of the file.
        config_sha256: of ``config.json`` beside it, which says what the weights mean.
        license: of the weights, an SPDX identifier in lower case.
        task: that it was pretrained by.
        data: that it was pretrained on: the name of the set, or what its owner calls images of their own.
        group: under which its features are equivariant; ``"c1"`` for none.
        metrics: accuracies of linear probes from 0 to 1, by what was measured.
        data_license: of the training images, an SPDX expression; None if nothing is known of it.
        measured: of what the metrics are, in words: the data, how many trained the probes and tested them, and the size
            of the network's images. Metrics of two networks can be compared where it is the same. None of entries that
            were written before it was noted.
    """

    name: str
    repository: str
    commit: str | None
    file: str
    size: int
    sha256: str
    config_sha256: str
    license: str
    task: str
    data: str
    group: str
    metrics: dict[str, float]
    data_license: str | None = None
    measured: str | None = None

    def line(self) -> str:
        """The entry as a line of the index."""
        return json.dumps(asdict(self))


@cache
def read_index() -> dict[str, ZooEntry]:
    """All entries by name."""
    content = json.loads((files("eqmodels.remote") / "zoo.json").read_text("utf-8"))
    return {entry["name"]: ZooEntry(**entry) for entry in content}
