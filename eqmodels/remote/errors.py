"""What the Hub's client cannot do, in one sentence each; and what it is not asked, since it would print it."""

from __future__ import annotations

import errno
import re

from huggingface_hub import get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.storage import printable, reason_of

__all__ = ["cause_of", "check_repository", "check_token", "download_sentence", "upload_sentence"]

EXPLANATIONS: tuple[tuple[type[Exception], str], ...] = (
    (
        LocalEntryNotFoundError,
        "{file} of {place} is not in the cache, and the Hub cannot be reached (no network, offline mode or "
        "local_files_only; {reason}). Fill the cache where there is a network: eqmodels download hub:{place}",
    ),
    (GatedRepoError, "{place} has terms that you must accept first. Open its page on the Hub, and log in."),
    (
        RepositoryNotFoundError,
        "there is no repository {repository} on the Hub, or it is private and your token may not read it. Check the "
        "name, or log in: hf auth login, or the variable HF_TOKEN.",
    ),
    (RevisionNotFoundError, "{repository} has no revision {revision!r}. Name a commit, a tag or a branch that it has."),
    (HfHubHTTPError, "the Hub answered {status} to the request for {file} of {place} ({reason}). Try later."),
)
"""What to say of the client's errors: the first that fits."""

DISK: tuple[tuple[tuple[int, ...], str], ...] = (
    (
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        "no space is left for {file} of {place} ({reason}). Free some, or set HF_HOME to a folder on another disk.",
    ),
    (
        (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST),
        "the cache of the Hub's files cannot be written ({reason}). Set HF_HOME or cache_dir to a folder that can.",
    ),
)
"""What to say of the system's errors, by their number."""

REFUSED = (
    "the Hub refuses {file} of {place} ({status}: {reason}). Check your token: hf auth login, or the variable HF_TOKEN."
)
OTHERWISE = "{file} of {place} could not be fetched ({kind}: {reason}). Try again."
UNHARMED = "A commit is whole or is not there, so what was published before is as it was; the same again goes on."

_TOKEN = re.compile("[!-~]+")


def check_token(token: str | bool | None) -> None:
    """Refuses what is no token, before a library quotes it in an error: a token is never printed.

    Args:
        token: as the Hub's client takes it; None and True for the one that it knows, False for none.

    Raises:
        TypeError: if it is of another type.
        ValueError: if it has spaces, line breaks or other letters that no token has, or the client's cannot be read.
    """
    given = isinstance(token, str)
    if token is not None and not isinstance(token, str | bool):
        raise TypeError(
            f"token must be a string, True, False or None; got one of the type {type(token).__name__} (it is not shown "
            "here). Leave it out and log in: hf auth login."
        )
    if token is None or token is True:
        try:
            token = get_token()
        except (OSError, ValueError) as error:
            raise ValueError(
                f"the token that the Hub's client keeps cannot be read ({type(error).__name__}). Log in anew, hf auth "
                "login, or set the variable HF_TOKEN."
            ) from None
    if isinstance(token, str) and not _TOKEN.fullmatch(token):
        which = "the one given" if given else "the one of HF_TOKEN or hf auth login"
        raise ValueError(
            f"a token has letters, digits and signs only; {which} is empty or has spaces, line breaks or others "
            "(it is not shown here). Copy it again, or leave it out and log in: hf auth login."
        )


def check_repository(name: str, *, with_owner: bool = True) -> None:
    """Refuses a name that the Hub would refuse, without asking it.

    Args:
        name: ``organisation/name``.
        with_owner: whether it must have an organisation; the Hub takes that of the token for it otherwise.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: says why.
    """
    check_arguments(check_repository, {"with_owner": with_owner})
    if not isinstance(name, str):
        raise TypeError(f"repository must be a name, organisation/name; got {shown(name)}. Pass one.")
    try:
        validate_repo_id(name)
        if with_owner and "/" not in name:
            raise HFValidationError("the organisation or user is missing")
    except HFValidationError as error:
        raise ValueError(
            f"a repository of the Hub is named organisation/name; got {printable(repr(name))} ({reason_of(error)}). "
            "Pass one."
        ) from error


def cause_of(error: Exception) -> Exception:
    """What the Hub answered, if the client hides it behind an error of its own; else the error itself."""
    cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError | ValueError) else None
    return cause if isinstance(cause, HfHubHTTPError) else error


def download_sentence(error: Exception, file: str, repository: str, revision: str | None) -> str:
    """Why a file could not be fetched, and a way out.

    Args:
        error: of the client, of its transport library, or of the system.
        file: its name.
        repository: that has it.
        revision: as it was asked for; None for the main branch.
    """
    reason = reason_of(error.__cause__ or error if isinstance(error, LocalEntryNotFoundError | ValueError) else error)
    error = cause_of(error)
    number = error.errno if isinstance(error, OSError) else None
    kind = next((words for numbers, words in DISK if number in numbers), None)
    words = kind or next((words for class_, words in EXPLANATIONS if isinstance(error, class_)), OTHERWISE)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403) and not isinstance(error, RepositoryNotFoundError):
        words = REFUSED
    return words.format(
        file=file,
        repository=repository,
        revision=revision,
        place=f"{repository}@{revision or 'main'}",
        status=status,
        kind=type(error).__name__,
        reason=reason,
    )


def upload_sentence(error: Exception, repository: str) -> str:
    """Why a repository could not be written, and a way out.

    Args:
        error: of the client, of its transport library, or of the system.
        repository: its name.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(upload_sentence, locals())
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
