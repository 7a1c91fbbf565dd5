"""Structures of 568 molecules of the laboratory and of everyday life, by their families.

Source: Debian's package ``chemical-structures-data`` (2.2), Jerome Pansanel 2006; BSD-3-Clause.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import torch

from eqmodels.arguments import check_arguments
from eqmodels.data.registry import Split, register_source
from eqmodels.data.space.molecules import LabelledMolecules, pictured_molecules
from eqmodels.data.space.series import series_for_testing
from eqmodels.storage import read_regular, reason_of

__all__ = ["ELEMENTS", "PLACE", "TARGETS", "Structure", "read_chemical_structures", "read_cml"]

PLACE = Path("/usr/share/chemical-structures")
"""Where Debian puts the structures, a folder a family."""

ELEMENTS = ("H", "C", "N", "O", "F", "S", "Cl", "Br")

TARGETS = {
    "molecular weight (g/mol)": "Molecular weight",
    "melting point (°C)": "Melting point",
    "boiling point (°C)": "Boiling point",
}
"""By what they are called: the title that a property has in the files."""

LARGEST = 2**22
"""Bytes of a file."""


class Structure(NamedTuple):
    """A molecule of a file.

    Attributes:
        elements: the symbols of its atoms.
        positions: ``(atoms, 3)``, in angstrom.
        properties: numbers by their titles, NaN where one is not known.
    """

    elements: list[str]
    positions: npt.NDArray[np.float64]
    properties: dict[str, float]

    @property
    def formula(self) -> str:
        """How many atoms of which elements, such as ``C2H6O``."""
        return "".join(f"{symbol}{count}" for symbol, count in sorted(Counter(self.elements).items()))


def read_cml(path: str | Path) -> Structure:
    """The molecule in a file of the Chemical Markup Language: its atoms in space, and its properties.

    Args:
        path: of the file.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if it cannot be read, or has no atom with a position in space.
    """
    check_arguments(read_cml, locals())
    try:
        content = read_regular(path, LARGEST)
        if b"<!" in re.sub(rb"<!--.*?-->", b"", content, flags=re.DOTALL):  # entities of a file may be without end
            raise ValueError("it declares a type of document or entities")
        tree = ElementTree.fromstring(content)
        atoms = list(tree.iterfind(".//{*}atomArray/{*}atom"))
        positions = np.array([[float(atom.attrib[axis]) for axis in ("x3", "y3", "z3")] for atom in atoms])
        properties = {
            str(own.get("title")): _number(own.findtext("{*}scalar")) for own in tree.iterfind(".//{*}property")
        }
        if not atoms:
            raise ValueError("it has no atoms")
        return Structure([atom.attrib["elementType"] for atom in atoms], positions, properties)
    except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
        raise ValueError(f"{path} cannot be read ({reason_of(error)}). Leave it out.") from error


def _number(text: str | None) -> float:
    """A property; NaN of one that is no number, as where a file has that it is above 300."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


@register_source("chemical_structures")
def read_chemical_structures(split: Split, *, root: str | Path | None = None) -> LabelledMolecules:
    """Molecules with eight elements in space, of no common pose; classes are their 33 families, such as alcohols.

    450 training and 118 test molecules of 3 to 161 atoms, with the weight and, where they are known, the melting and
    the boiling point as targets. All molecules of one formula are in one split, so that none for testing has an isomer
    or its mirror image among those for training, see `series_for_testing`; small families may have none for testing.

    Args:
        split: ``"train"`` or ``"test"``.
        root: the folder that has alcohols/ethanol.cml, ...; None for where Debian's package
            ``chemical-structures-data`` puts it.

    Raises:
        FileNotFoundError: if the folder has no structures of a split.
        ValueError: if a file cannot be read, or has another element.
    """
    base = PLACE if root is None else Path(root).expanduser()
    paths = sorted(base.glob("*/*.cml"))
    structures = [read_cml(path) for path in paths]
    families = [path.parent.name for path in paths]
    tested = series_for_testing([(own, one.formula) for own, one in zip(families, structures, strict=True)])
    chosen = [number for number, one in enumerate(structures) if (one.formula in tested) == (split == "test")]
    if not chosen:
        raise FileNotFoundError(
            f"chemical_structures reads family/name.cml of several families; {base} has none for {split!r}. Install "
            "Debian's package chemical-structures-data, or name the folder that has alcohols/, ... by root= (--root)."
        )
    classes = tuple(sorted(set(families)))
    used = [structures[number] for number in chosen]
    widest = max(len(one.elements) for one in structures)  # of both splits
    targets = [[one.properties.get(title, math.nan) for title in TARGETS.values()] for one in used]
    return LabelledMolecules(
        "chemical_structures",
        pictured_molecules([one.positions for one in used], [one.elements for one in used], ELEMENTS, atoms=widest),
        torch.tensor([classes.index(families[number]) for number in chosen]),
        classes,
        elements=ELEMENTS,
        targets=torch.tensor(targets, dtype=torch.float64),
        target_names=tuple(TARGETS),
    )
