"""From a folder of the zoo to a repository of the Hugging Face Hub, in one commit."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import RevisionNotFoundError

from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.hub.card import NOTES, beside, model_card, twin_of
from eqmodels.hub.entries import RESULTS, entry_of, published_config, read_results
from eqmodels.hub.loading import check_files
from eqmodels.hub.picture import PICTURE, picture_of
from eqmodels.hub.preview import preview_page
from eqmodels.hub.verification import verify
from eqmodels.remote import ZooEntry, check_repository, check_token, upload_sentence
from eqmodels.remote.locating import FOLDERS
from eqmodels.storage import CONFIG, WEIGHTS, NetworkFolder, StorageError, write_atomically

__all__ = ["Publication", "publication_files", "publish"]

CARD, RECIPE = "README.md", "recipe.json"

_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")

COPIED = (WEIGHTS, CONFIG, RESULTS)
"""The files of a folder that are published, and that the others are made of."""


@dataclass(frozen=True)
class Publication:
    """What was published, or would be.

    Attributes:
        entry: the line for the index, with the commit; its commit is None after a dry run.
        tag: made of the sha256 of the weights.
        tagged: the commit that the tag names, which brought these weights: an earlier one than that of the entry if
            something else changed since. None after a dry run.
        files: size in bytes and sha256 of every file, by its name.
        changed: whether there is a new commit.
    """

    entry: ZooEntry
    tag: str
    tagged: str | None
    files: dict[str, tuple[int, str]]
    changed: bool


def publication_files(folder: Path | NetworkFolder, repository: str) -> dict[str, bytes]:
    """The content of every file of a repository, by its name: the folder's, and what is made of them.

    That is the card and the picture, and the recipe of a run.

    Args:
        folder: with config, weights and results, in which nobody writes meanwhile.
        repository: on the Hub, as the card names it.

    Raises:
        StorageError: if a file is missing, damaged, or its results belong to other weights.
        ValueError: if nothing was measured over the angles.
        ModuleNotFoundError: if matplotlib, which draws the picture, is not installed.
    """
    held = NetworkFolder.of(folder)
    config = published_config(held)  # before measurements are asked for, which would not help what is none
    contents = {CARD: model_card(held, repository).encode()}
    evaluation, twin = read_results(held), twin_of(held)
    evaluations = {held.name: evaluation} | ({} if twin is None else {twin.name: read_results(twin)})
    contents[PICTURE] = picture_of(evaluations)
    if "pretraining" in config:
        recipe = held.config()["pretraining"]
        contents[RECIPE] = (json.dumps(recipe, indent=2) + "\n").encode()
    try:
        return contents | {name: held.content(name) for name in COPIED}
    except OSError as error:
        raise _unreadable(error) from error


def publish(
    folder: str | Path,
    repository: str,
    *,
    private: bool = False,
    dry_run: bool = False,
    token: str | None = None,
    license_name: str | None = None,
    preview: str | Path | None = None,
) -> Publication:
    """Publishes a folder of the zoo: one commit, and a tag on it. Without a change, no new commit.

    Everything is checked and made before the Hub is asked anything, of files that are read once, so that what is sent
    is what was checked. A failure leaves the repository's last commit as it was.

    Args:
        folder: with config, weights and results, see `read_results`; and ``NOTES.md``, if there is more to say in the
            card.
        repository: ``organisation/name``; made if there is none.
        private: whether a new repository is private; one that is public already is then left as it is.
        dry_run: whether to stop before the Hub is asked anything.
        token: None for the one that the Hub's client knows.
        license_name: of the weights, an SPDX identifier such as ``"cc-by-4.0"``; None for the one in the config.
        preview: a file to be written before anything is sent: a page that shows card and picture as they will be.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if the folder is not fit to be published, or the Hub refuses.
        ValueError: if there is no such folder, the repository's name breaks the Hub's rules, the token cannot be one,
            the licence is no SPDX identifier, or nothing was measured over the angles.
        ModuleNotFoundError: if matplotlib, which draws the picture, is not installed, or Markdown for a preview.
    """
    check_arguments(publish, {"folder": folder, "private": private, "dry_run": dry_run, "preview": preview})
    check_arguments(publish, {"license_name": license_name})
    if license_name is not None and not _SPDX.fullmatch(license_name):
        raise ValueError(
            f"license_name must be an SPDX identifier; got {shown(license_name)}. Pass, say, 'mit' or 'cc-by-4.0'."
        )
    check_repository(repository)
    if not dry_run:
        check_token(token)
    held = _taken(Path(folder))
    if license_name is not None:
        _license(held, license_name.lower())
    report = verify(held)
    if not report.passed:
        raise StorageError(f"{held} is not fit to be published: {report.first_failure}")
    contents, entry = publication_files(held, repository), entry_of(held, repository, None)
    if preview is not None:
        write_atomically(Path(preview), preview_page(contents[CARD].decode(), contents))
    known = {name: held.sha256(name) for name in COPIED}
    files = {name: (len(content), known.get(name) or sha256(content).hexdigest()) for name, content in contents.items()}
    tag = f"weights-{files[WEIGHTS][1][:12]}"
    if dry_run:
        return Publication(entry, tag, None, files, changed=True)
    api = HfApi(token=token, library_name="eqmodels")
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        before, is_private = _head(api, repository)
        if private and not is_private:
            raise StorageError(
                f"{repository} is there already, and public. Nothing was sent; make it private on the Hub, or leave "
                "out private."
            )
        commit = _commit(api, repository, contents, before)
        # A tag never moves: if the card alone changed, it stays with the commit that brought the weights.
        api.create_tag(repository, tag=tag, revision=commit, exist_ok=True)
        tagged = next(found.target_commit for found in api.list_repo_refs(repository).tags if found.name == tag)
    except StorageError:
        raise
    # Transport libraries have errors of their own, which differ between versions of the client.
    except Exception as error:
        raise StorageError(upload_sentence(error, repository)) from error
    return Publication(replace(entry, commit=commit), tag, tagged, files, changed=commit != before)


def _license(folder: NetworkFolder, name: str) -> None:
    """Puts the weights of a folder under a licence, in what is published of it."""
    config = copy.deepcopy(folder.config())
    config["pretrained_cfg"]["license"] = name
    folder.put(CONFIG, (json.dumps(config, indent=2) + "\n").encode())


def _taken(folder: Path) -> NetworkFolder:
    """A folder, and its twin beside it, with all files in memory: whoever writes into them later changes nothing.

    Raises:
        ValueError: if there is no such folder.
        StorageError: if a file cannot be read, or the weights are not those of the config beside them: a sparse file is
            as large as it likes, and is not read.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        known = (str(zoo / folder.name) for zoo in FOLDERS if (zoo / folder.name / CONFIG).is_file())
        near = next(known, "that of a run, such as runs/my_run")
        raise ValueError(f"what is published is the path of a folder, and {str(folder)!r} is none. Pass {near}.")
    held = NetworkFolder(folder)
    twin = beside(held)
    try:
        for original in (held, *([twin] if twin else [])):
            _check_size(original)
            for name in (*COPIED, NOTES):
                if original.has(name):
                    original.content(name)
    except OSError as error:
        raise _unreadable(error) from error
    return held


def _check_size(folder: NetworkFolder) -> None:
    """Refuses weights that are not those of the config beside them, before they are read.

    Raises:
        StorageError: if the header of the weights is not that of the network.
    """
    if folder.has(CONFIG) and folder.has(WEIGHTS):
        try:
            check_files(folder)
        except StorageError as error:
            raise StorageError(f"{folder} is not fit to be published: {error}") from error


def _unreadable(error: OSError) -> StorageError:
    return StorageError(
        f"{error.filename} cannot be read ({error.strerror}), and is to be published too. Copy it there."
    )


def _head(api: HfApi, repository: str) -> tuple[str | None, bool]:
    """The last commit of the main branch, None of an empty repository; and whether it is private."""
    try:
        info = api.model_info(repository)
    except RevisionNotFoundError:  # just made, then
        return None, True
    return info.sha, bool(info.private)


def _commit(api: HfApi, repository: str, contents: Mapping[str, bytes], parent: str | None) -> str:
    """Commits the files; returns the commit, which is the old one if nothing changed."""
    operations = [CommitOperationAdd(name, content) for name, content in contents.items()]
    info = api.create_commit(
        repository, operations, commit_message="Weights, results and card by eqmodels", parent_commit=parent
    )
    return info.oid
