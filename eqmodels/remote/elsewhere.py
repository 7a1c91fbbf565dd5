"""Networks that others publish and that nobody may pass on from here: where their files are, and what to do with them.

A line of this index says what a publisher says of a network: nothing of it was measured here, and nothing is fetched.
The user fetches the file and runs `eqmodels import`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from eqmodels.reports import percent

__all__ = ["ElsewhereEntry", "read_elsewhere"]


@dataclass(frozen=True)
class ElsewhereEntry:
    """One network of others.

    Attributes:
        name: ``<project>/<network>``, by which the command line knows it.
        page: where its publisher tells of it.
        file: the address of its file.
        license: of the weights, an SPDX identifier in lower case, as the publisher states it for the repository.
        data: that it was trained on.
        data_license: of the data, an SPDX identifier; ``LicenseRef-...`` for terms of its own.
        group: under which its features are equivariant.
        architecture: as `list_models` has it.
        claimed: accuracies from 0 to 1 on the validation images of the data, by the publisher.
        status: who has to fetch the file.
    """

    name: str
    page: str
    file: str
    license: str
    data: str
    data_license: str
    group: str
    architecture: str
    claimed: dict[str, float]
    status: str = "to be fetched by the user"

    def way(self) -> str:
        """In one sentence: where the file is, and what to run."""
        project, _, network = self.name.partition("/")
        return (
            f"{self.name} is {self.status}: download the file from {self.file} (weights {self.license}, trained on "
            f"{self.data}, {self.data_license}, claimed top-1 {percent(self.claimed['top-1'])}%), and run: eqmodels "
            f"import {self.name} {network}.pt --out {project}_{network}"
        )


@cache
def read_elsewhere() -> dict[str, ElsewhereEntry]:
    """All entries by name."""
    content = json.loads((files("eqmodels.remote") / "elsewhere.json").read_text("utf-8"))
    return {entry["name"]: ElsewhereEntry(**entry) for entry in content}
