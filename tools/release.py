"""Checks what would be released: ``python -m tools.release``, or ``make release-check``.

Builds the wheel and the source archive into ``dist``; asks twine about both; judges contents, sizes, licences and the
version (`tools.archives`). Then it installs the wheel in empty environments, of the newest releases that pip finds and
of the oldest that are declared (``.ci/oldest.txt``), says how long that takes and how large it is, and runs README
there (`tools.readme`): its Python with the wheel alone, its commands with the extras that these need.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tools.archives import archive_faults, files_of, licence_faults, version_faults

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
OLDEST = ROOT / ".ci" / "oldest.txt"
EXTRAS = "peers,report"
"""That README's commands need."""
HUB = ("pytest>=8.2", "pyyaml")
"""What the Hub of the tests needs, with which README is run; no part of the package."""
ENVIRONMENTS = {"newest": (), "oldest": ("--constraint", str(OLDEST))}


def main() -> int:
    """Every check; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--environments", nargs="*", default=list(ENVIRONMENTS), choices=list(ENVIRONMENTS), help="default: both"
    )
    parser.add_argument("--python", default=sys.executable, help="that makes the environments")
    arguments = parser.parse_args()
    shutil.rmtree(DIST, ignore_errors=True)
    run([sys.executable, "-m", "build", "--outdir", str(DIST)], ROOT)
    archives = sorted(DIST.iterdir())
    run([sys.executable, "-m", "twine", "check", "--strict", *map(str, archives)], ROOT)
    faults = list(judged(archives))
    print("\n".join(faults) or "contents, sizes, licences, extras and version: as they should be", flush=True)
    (wheel,) = DIST.glob("*.whl")
    for name in arguments.environments:
        installed(wheel, name, arguments.python)
    return 1 if faults else 0


def judged(archives: list[Path]) -> Iterator[str]:
    """What is wrong with what was built, a sentence each; says how large it is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    yield from version_faults(ROOT, project["version"])
    if len(extras := project["optional-dependencies"]) > 6:
        yield f"pyproject.toml has {len(extras)} extras ({', '.join(extras)}); at most 6 are meant"
    for archive in archives:
        files, size = files_of(archive), archive.stat().st_size
        print(
            f"{archive.name}: {size / 1e6:.1f} MB, {len(files)} files of {sum(files.values()) / 1e6:.1f} MB", flush=True
        )
        yield from archive_faults(archive.name, size, files)
        if archive.suffix == ".whl":
            yield from licence_faults(archive)


def installed(wheel: Path, name: str, python: str) -> None:
    """Installs the wheel in an empty environment, and runs README in an empty folder."""
    with tempfile.TemporaryDirectory(prefix="eqmodels-release-") as place:
        environment, folder = Path(place) / "environment", Path(place) / "empty"
        folder.mkdir()
        run([python, "-m", "venv", str(environment)], folder)
        own = str(environment / ("Scripts" if os.name == "nt" else "bin") / "python")
        constraint = ENVIRONMENTS[name]
        for what, wanted in (("the wheel", str(wheel)), (f"with {EXTRAS}", f"{wheel}[{EXTRAS}]")):
            started = time.monotonic()
            # Of the second round, what tests need to play the Hub comes along, and is not counted.
            run([own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *constraint, wanted], folder)
            seconds, size = time.monotonic() - started, disk_bytes(environment)
            print(f"{name}, {what}: installed in {seconds:.0f} s, {size / 1e9:.2f} GB in all", flush=True)
            run([own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *constraint, *HUB], folder)
            more = () if wanted == str(wheel) else ("--commands",)
            started = time.monotonic()
            run([own, "-W", "ignore", str(ROOT / "tools" / "readme.py"), str(ROOT), *more], folder)
            print(f"{name}, {what}: README ran in {time.monotonic() - started:.0f} s", flush=True)


def run(command: list[str], folder: Path) -> None:
    """A command that must succeed, in a folder, with no package of the checkout to be seen."""
    hidden = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(command, cwd=folder, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")


def disk_bytes(folder: Path) -> int:
    """The bytes of all files of a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


if __name__ == "__main__":
    raise SystemExit(main())
