"""An encoder of one's own to a repository of the Hugging Face Hub: what `Encoder.push_to_hub` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import HfApi

from eqmodels.backbones import Encoder
from eqmodels.hub.errors import check_repository, check_token, upload_sentence
from eqmodels.storage import StorageError

__all__ = ["push_encoder"]

CARD = "README.md"


def push_encoder(
    encoder: Encoder,
    repo_id: str,
    *,
    commit_message: str = "Encoder by eqmodels",
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    model_card_kwargs: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    **patterns: Any,  # noqa: ANN401 (of `upload_folder`)
) -> str:
    """Writes an encoder into a repository, in one commit, and returns its address.

    The arguments are those of `huggingface_hub.ModelHubMixin.push_to_hub`. The encoder is written into a folder before
    the Hub is asked anything, so that one that cannot be saved leaves no empty repository.

    Args:
        encoder: to be published.
        repo_id: ``organisation/name``; made if there is none. Without an organisation it is the token's user's.
        commit_message: its title.
        private: whether a new repository is private; None for what is usual in the organisation.
        token: None for the one that the Hub's client knows.
        branch: to commit to; None for the main branch.
        model_card_kwargs: of the encoder's `generate_model_card`.
        config: as `save_pretrained` takes it; the encoder has one of its own.
        **patterns: `allow_patterns`, `ignore_patterns`, `delete_patterns` and `create_pr`.

    Raises:
        ValueError: if the name breaks the Hub's rules, the token cannot be one, or the encoder cannot be saved.
        StorageError: if it cannot be saved, or the Hub refuses.
    """
    check_repository(repo_id, with_owner=False)
    check_token(token)
    api = HfApi(token=token, library_name="eqmodels")
    with TemporaryDirectory(prefix="eqmodels-") as place:
        folder = Path(place) / "encoder"
        encoder.save_pretrained(folder, config=config)  # type: ignore[arg-type]
        try:
            name = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            encoder.generate_model_card(**{"repo_id": name, **(model_card_kwargs or {})}).save(folder / CARD)
            address: str = api.upload_folder(
                repo_id=name, folder_path=folder, commit_message=commit_message, revision=branch, **patterns
            )
        # Transport libraries have errors of their own, which differ between versions of the client.
        except Exception as error:
            raise StorageError(upload_sentence(error, repo_id)) from error
    return address
