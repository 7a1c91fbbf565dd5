"""From a folder of the zoo to a repository of the Hugging Face Hub, in one commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from eqmodels.hub.card import model_card, twin_of
from eqmodels.hub.download import check_repository, check_token
from eqmodels.hub.index import RESULTS, ZooEntry, entry_of, read_results
from eqmodels.hub.picture import PICTURE, turns_picture
from eqmodels.hub.verify import verify
from eqmodels.storage import CONFIG, WEIGHTS, StorageError, read_config, reason_of

__all__ = ["Publication", "publication_files", "publish"]

CARD, RECIPE = "README.md", "recipe.json"

UNHARMED = "A commit is whole or is not there, so what was published before is as it was; the same command goes on."


@dataclass(frozen=True)
class Publication:
    """What was published, or would be.

    Attributes:
        entry: the line for the index, with the commit; its commit is None after a dry run.
        tag: that names the commit.
        files: size in bytes and sha256 of every file, by its name.
        changed: whether there is a new commit.
    """

    entry: ZooEntry
    tag: str
    files: dict[str, tuple[int, str]]
    changed: bool


def publication_files(folder: Path, repository: str) -> dict[str, bytes]:
    """The content of every file of a repository, by its name: the folder's; and recipe, card and picture made of them.

    Raises:
        StorageError: if a file is missing, damaged, or its results belong to other weights.
    """
    contents = {CARD: model_card(folder, repository).encode()}
    evaluation, twin = read_results(folder), twin_of(folder)
    evaluations = {folder.name: evaluation} | ({} if twin is None else {twin.name: read_results(twin)})
    contents[PICTURE] = turns_picture(evaluations)
    recipe = read_config(folder / CONFIG)["pretraining"]
    contents[RECIPE] = (json.dumps(recipe, indent=2) + "\n").encode()
    try:
        return contents | {name: (folder / name).read_bytes() for name in (WEIGHTS, CONFIG, RESULTS)}
    except OSError as error:
        raise StorageError(
            f"{error.filename} cannot be read ({error.strerror}), and is to be published too. Copy it there."
        ) from error


def publish(
    folder: str | Path,
    repository: str,
    *,
    private: bool = False,
    dry_run: bool = False,
    token: str | None = None,
) -> Publication:
    """Publishes a folder of the zoo: one commit, and a tag on it. Without a change, no new commit.

    Everything is checked and made before the Hub is asked anything. A failure leaves the repository's last commit as it
    was.

    Args:
        folder: with config, weights and results, see `read_results`.
        repository: ``organisation/name``; made if there is none.
        private: whether a new repository is private; one that is public already is then left as it is.
        dry_run: whether to stop before the Hub is asked anything.
        token: None for the one that the Hub's client knows.

    Raises:
        StorageError: if the folder is not fit to be published, or the Hub refuses.
        ValueError: if the repository's name breaks the Hub's rules, the token cannot be one, or nothing was measured
            over the angles.
    """
    check_repository(repository)
    check_token(token)
    folder = Path(folder).resolve()
    report = verify(folder)
    if not report.passed:
        raise StorageError(f"{folder} is not fit to be published: {report.first_failure}")
    contents = publication_files(folder, repository)
    files = {name: (len(content), sha256(content).hexdigest()) for name, content in contents.items()}
    tag = f"weights-{files[WEIGHTS][1][:12]}"
    if dry_run:
        return Publication(entry_of(folder, repository, None), tag, files, changed=True)
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
    except StorageError:
        raise
    # Transport libraries have errors of their own, which differ between versions of the client.
    except Exception as error:
        raise StorageError(_sentence(error, repository)) from error
    return Publication(entry_of(folder, repository, commit), tag, files, changed=commit != before)


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


def _sentence(error: Exception, repository: str) -> str:
    """What went wrong, and a way out."""
    # The client wraps what went wrong while a large file was sent.
    inner = error if isinstance(error, HfHubHTTPError) else error.__cause__ or error
    reason = reason_of(inner)
    if not isinstance(inner, HfHubHTTPError):
        return f"{repository} could not be written ({type(inner).__name__}: {reason}). {UNHARMED}"
    status = getattr(inner.response, "status_code", None)
    if status in (401, 403):
        return (
            f"the Hub refuses to write {repository} ({status}: {reason}). Log in with a token that may write there: hf "
            "auth login, or the variable HF_TOKEN."
        )
    return f"the Hub answered {status} while {repository} was being written ({reason}). {UNHARMED}"
