"""What users of the Hugging Face Hub know of a network: `from_pretrained`, `save_pretrained`, `push_to_hub`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from huggingface_hub import ModelCard, PyTorchModelHubMixin

from eqmodels.backbones.card import encoder_card
from eqmodels.backbones.intermediate import IntermediateNetwork
from eqmodels.backbones.loading import load_as
from eqmodels.backbones.named import NamedNetwork
from eqmodels.backbones.saving import save_network
from eqmodels.layers import GlobalPoolMode
from eqmodels.remote import HUB, send_folder

__all__ = ["HubMethods", "HubNetwork"]

CARD = "README.md"

Self = TypeVar("Self", bound="HubMethods")


class HubMethods(NamedNetwork, PyTorchModelHubMixin, library_name="eqmodels", tags=["equivariant"]):
    """A network with a name and the methods of `huggingface_hub.PyTorchModelHubMixin`, each strict and checked."""

    @classmethod
    def from_pretrained(  # type: ignore[override]  # with the options of a network instead of any
        cls: type[Self],
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        num_classes: int | None = None,
        in_chans: int | None = None,
        global_pool: GlobalPoolMode | None = None,
    ) -> Self:
        """A pretrained encoder: of the zoo, from a folder or from the Hugging Face Hub, strictly loaded and checked.

        A name of the zoo is the zoo's, what is a folder here is that folder, and the rest a repository: the Hub's
        mixin names folders and repositories alike.

        Args:
            pretrained_model_name_or_path: a name of the zoo, a folder, or a repository ``organisation/name``.
            force_download: whether to fetch files of the Hub that the cache has.
            token: of the Hub; None or True for the one that the Hub's client knows, False for none.
            cache_dir: where files of the Hub are kept; None for its standard cache.
            local_files_only: whether to ask the Hub nothing.
            revision: of a repository of the Hub: a commit, tag or branch; None for the main branch.
            num_classes: outputs of a fresh classifier; 0 for features; None for what was saved.
            in_chans: channels of the images, if they are not those of the training.
            global_pool: how features are pooled, see `GlobalPool`; None for what was saved.

        Raises:
            TypeError: if the encoder is of another class.
            ValueError: if an argument breaks its rule.
            StorageError: if there are no such files, or they are not what they should be.
        """
        source = pretrained_model_name_or_path
        known = not isinstance(source, str) or "/" not in source or source.startswith(HUB) or os.path.isdir(source)
        return load_as(
            cls,
            source if known else f"{HUB}{source}",
            force_download=force_download,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            revision=revision,
            num_classes=num_classes,
            in_chans=in_chans,
            global_pool=global_pool,
        )

    def save_pretrained(  # type: ignore[override]  # without what the network says of itself
        self,
        save_directory: str | Path,
        *,
        config: None = None,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        model_card_kwargs: None = None,
        **push_to_hub_kwargs: Any,  # noqa: ANN401
    ) -> str | None:
        """Writes weights (in float32), config and, if there is none, a card into a folder, which `eqmodels.load` reads.

        Everything is checked before anything is written, and files that are there are replaced by whole ones: unlike
        the Hub's mixin, which deletes the config first, a failure leaves the folder as it was.

        Args:
            save_directory: the folder; is made if need be.
            config: None: the config follows from the network.
            repo_id: where to push, ``organisation/name``; None for the name of the folder, in the token's account.
            push_to_hub: whether to push to the Hub afterwards.
            model_card_kwargs: None: the card follows from the network.
            **push_to_hub_kwargs: of `push_to_hub`.

        Returns:
            The address of the commit on the Hub, if it was pushed.

        Raises:
            TypeError: if an option is given that would change nothing.
            ValueError: if the encoder is not as `create_model` builds it.
            StorageError: if a weight is no finite number, or a file cannot be written.
        """
        given = {"config": config, "model_card_kwargs": model_card_kwargs} | ({} if push_to_hub else push_to_hub_kwargs)
        if ignored := [name for name, value in given.items() if value is not None]:
            raise TypeError(
                f"config and card follow from the network, and other options are for push_to_hub=True; got "
                f"{ignored[0]!r}, which would change nothing. Drop it."
            )
        folder = Path(save_directory)
        card = {} if os.path.exists(folder / CARD) else {CARD: str(self.generate_model_card())}
        save_network(self, folder, card)
        if not push_to_hub:
            return None
        return self.push_to_hub(repo_id or folder.name, **push_to_hub_kwargs)

    def push_to_hub(  # type: ignore[override]  # without a config of its own
        self,
        repo_id: str,
        *,
        commit_message: str = "Encoder by eqmodels",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        model_card_kwargs: Mapping[str, Any] | None = None,
        config: None = None,
        **patterns: Any,  # noqa: ANN401 (of `upload_folder`)
    ) -> str:
        """Writes the encoder into a repository of the Hugging Face Hub, in one commit, and returns its address.

        Args:
            repo_id: ``organisation/name``; made if there is none. Without an organisation it is the token's user's.
            commit_message: its title.
            private: whether a new repository is private; None for what is usual in the organisation.
            token: None for the one that the Hub's client knows.
            branch: to commit to; None for the main branch.
            model_card_kwargs: of `generate_model_card`.
            config: None: the config follows from the network.
            **patterns: `allow_patterns`, `ignore_patterns`, `delete_patterns` and `create_pr`.

        Raises:
            TypeError: if a config is given.
            ValueError: if an argument breaks its rule, or the encoder is not as `create_model` builds it.
            StorageError: if the encoder cannot be saved, or the Hub refuses.
        """

        def write(folder: Path) -> None:
            self.save_pretrained(folder, config=config)

        def finish(folder: Path, name: str) -> None:
            self.generate_model_card(**{"repo_id": name, **(model_card_kwargs or {})}).save(folder / CARD)

        with TemporaryDirectory(prefix="eqmodels-") as place:
            return send_folder(
                write,
                finish,
                Path(place) / "encoder",
                repo_id,
                commit_message=commit_message,
                private=private,
                token=token,
                branch=branch,
                **patterns,
            )

    def generate_model_card(self, *_: Any, repo_id: str | None = None, **__: Any) -> ModelCard:  # noqa: ANN401
        """A card that says what the encoder is, for `save_pretrained` and `push_to_hub`.

        Args:
            repo_id: the repository that the card's code loads; None for the folder that the card lies in.
        """
        return encoder_card(self, repo_id)


class HubNetwork(IntermediateNetwork, HubMethods):
    """A network of stages with the methods of the Hub."""
