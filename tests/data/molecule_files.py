"""Small files of molecules, in the formats that are read."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from eqmodels.data.space.qm9 import PROPERTIES

Atoms = list[tuple[str, np.ndarray]]


def molecule(seed: int, *symbols: str) -> Atoms:
    """Atoms of such elements, anywhere."""
    positions = np.random.default_rng(seed).normal(5, 1, (len(symbols), 3)).round(6)
    return list(zip(symbols, positions, strict=True))


def cml(atoms: Atoms, **properties: str) -> str:
    """A molecule in the Chemical Markup Language, as chemical-structures has them."""
    lines = [
        f'<atom id="a{n}" elementType="{symbol}" x3="{x}" y3="{y}" z3="{z}"/>'
        for n, (symbol, (x, y, z)) in enumerate(atoms)
    ]
    lines += ["</atomArray>", "<propertyList>"]
    lines += [
        f'<property title="{title.replace("_", " ")}"><scalar units="units:celsius">{value}</scalar></property>'
        for title, value in properties.items()
    ]
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!-- one <! of them -->\n'
    return (
        f'{head}<molecule xmlns="http://www.xml-cml.org/schema"><atomArray>{"".join(lines)}</propertyList></molecule>'
    )


def write_structures(folder: Path) -> None:
    """Two families of twelve molecules, each formula twice, and one of one."""
    for family, symbol in (("alcohols", "O"), ("amines", "N")):
        for number in range(12):
            atoms = molecule(number, symbol, *["C"] * (1 + number // 2), *["H"] * 3)
            file = folder / family / f"{number}.cml"
            file.parent.mkdir(parents=True, exist_ok=True)
            boiling = "&gt; 300" if number % 3 else "78"
            file.write_text(cml(atoms, Molecular_weight=f"{number + 0.5}", Boiling_point=boiling))
    (folder / "water").mkdir()
    (folder / "water" / "water.cml").write_text(cml(molecule(99, "H", "H", "O"), Melting_point="0"))
    (folder / "styles").mkdir()
    (folder / "styles" / "style.css").write_text("nothing")


def write_qm9(folder: Path) -> None:
    """Two tables of fifty molecules each, with columns that are not read."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in (1, 2):
        with (folder / f"qm9_part{part}.csv").open("w", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["Index", "SMILES", "Elements", "XYZ_Ang", *(column for column, _ in PROPERTIES.values())])
            for row in range(50):
                number = 50 * part + row
                atoms = molecule(number, *"CNOFH"[: 1 + number % 5])
                places = ",".join(f"[{','.join(map(str, position))}]" for _, position in atoms)
                symbols = ",".join(f"'{symbol}'" for symbol, _ in atoms)
                values = [number + other / 16 for other in range(len(PROPERTIES))]
                table.writerow([number, "C", f"[{symbols}]", f"[{places}]", *values])
