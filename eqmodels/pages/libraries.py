"""Other people's code that pages are made of: what lies in the package, and is put into a page as it is."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import resources

from markupsafe import Markup

from eqmodels.storage import StorageError

__all__ = ["license_of_runtime", "licenses", "script", "style", "versions"]

FOLDER = "eqmodels.pages"
PLACE = "vendored"
_MAP = re.compile(r"\n?(//# sourceMappingURL=\S+|/\*# sourceMappingURL=[^*]*\*/)\s*$")
"""A last line that points to a file which the page does not have."""


def versions() -> list[dict[str, str]]:
    """Package, version, licence, path in the package of npm, and sha256 of every file."""
    found: list[dict[str, str]] = json.loads(_content("versions.json"))
    return found


def licenses() -> str:
    """The licences of all of them, and their authors."""
    return _content("LICENSES.txt").decode("utf-8")


def license_of_runtime() -> str:
    """The licence of onnxruntime-web, which is fetched where a demo is made, and whose package has no text of it."""
    return _content("onnxruntime-web.LICENSE.txt").decode("utf-8")


def script(package: str) -> Markup:
    """The script of a package, for a ``<script>``.

    Raises:
        StorageError: if the file is not the one that was vendored.
    """
    return Markup(_checked(package, ".js").replace("</script", "<\\/script"))


def style(package: str) -> Markup:
    """The style sheet of a package, for a ``<style>``.

    Raises:
        StorageError: if the file is not the one that was vendored.
    """
    return Markup(_checked(package, ".css"))


def _checked(package: str, ending: str) -> str:
    entry = next(one for one in versions() if one["package"] == package and one["path"].endswith(ending))
    name = entry["path"].rpartition("/")[2]
    content = _content(name)
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise StorageError(
            f"{name} of {package} {entry['version']} in eqmodels/pages/{PLACE} is not the file of its sha256. Install "
            "the package again."
        )
    return _MAP.sub("", content.decode("utf-8"))


def _content(name: str) -> bytes:
    return (resources.files(FOLDER) / PLACE / name).read_bytes()
