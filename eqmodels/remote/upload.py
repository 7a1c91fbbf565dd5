"""A folder sent to a repository of the Hugging Face Hub, in one commit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from eqmodels.arguments import check_arguments
from eqmodels.remote.errors import check_repository, check_token, upload_sentence
from eqmodels.storage import StorageError

__all__ = ["send_folder"]


def send_folder(
    write: Callable[[Path], None],
    finish: Callable[[Path, str], None],
    folder: Path,
    repo_id: str,
    *,
    commit_message: str,
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    **patterns: Any,  # noqa: ANN401 (of `upload_folder`)
) -> str:
    """Writes a folder, makes a repository if there is none, sends the folder to it, and returns the commit's address.

    The folder is written before the Hub is asked anything, so that what cannot be saved leaves no empty repository.

    Args:
        write: writes the files into the folder.
        finish: adds what depends on the repository's full name, which is known once it is there: the card.
        folder: to be sent; nobody else writes into it meanwhile.
        repo_id: ``organisation/name``. Without an organisation it is the token's user's.
        commit_message: its title.
        private: whether a new repository is private; None for what is usual in the organisation.
        token: None for the one that the Hub's client knows.
        branch: to commit to; None for the main branch.
        **patterns: `allow_patterns`, `ignore_patterns`, `delete_patterns` and `create_pr` of
            `huggingface_hub.HfApi.upload_folder`.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the name breaks the Hub's rules, or the token cannot be one.
        StorageError: if the Hub refuses, or what `write` and `finish` raise.
    """
    check_repository(repo_id, with_owner=False)
    check_arguments(send_folder, {"folder": folder, "commit_message": commit_message, "private": private})
    check_token(token)
    api = HfApi(token=token, library_name="eqmodels")
    write(folder)
    try:
        name = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        finish(folder, name)
        address: str = api.upload_folder(
            repo_id=name, folder_path=folder, commit_message=commit_message, revision=branch, **patterns
        )
    # Transport libraries have errors of their own, which differ between versions of the client.
    except Exception as error:
        raise StorageError(upload_sentence(error, repo_id)) from error
    return address
