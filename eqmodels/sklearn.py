"""Features of a pretrained network as a step of scikit-learn: in a pipeline, under a grid search."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from eqmodels.backbones import Backbone
from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.evaluation.embedding import input_of, outputs_of
from eqmodels.evaluation.reading import opened_for
from eqmodels.hub.loading import load_for_images as load
from eqmodels.layers import GlobalPoolMode
from eqmodels.processes import usable_device
from eqmodels.storage import pack_weights

__all__ = ["EquivariantFeatures"]


class _Features:
    """Features of a pretrained network for scikit-learn: pictures in, a table of numbers out.

    Nothing is learnt: `fit` loads the network, and `transform` gives the features that it pools. An estimator is copied
    and pickled by the network's name, without its weights; these are loaded again when they are needed, and must then
    be those of `fit`.

    Pictures are given as an array ``(N, H, W)`` or ``(N, H, W, C)`` of uint8 or of floats in [0, 1], or as a list of
    paths, of pictures of PIL, or of arrays of one picture each, of whatever sizes.

    Args:
        name: of the network: of the zoo, a folder, or ``"hub:organisation/name[@revision]"``. That of photographs where
            nothing is said, which takes grey pictures as well.
        features: how they are pooled, such as ``"invariant"`` or ``"regular"``, see `GlobalPool`; None for what was
            saved (the zoo: canonical features where a head predicts the pose).
        size: height and width of what the network sees, or the side of a square; None for the size of its training
            images.
        in_chans: channels of the pictures, if they are not those of the training.
        grey: whether a network of one channel is given pictures that have colours without these.
        batch_size: pictures at a time.
        device: where to compute; None for a GPU if there is one.

    Attributes:
        n_features_out_: length of a feature vector.
        field_: what becomes of the features when a picture is turned, such as ``"32 x regular(c4)"``.
        sha256_: of the weights, by which a fitted estimator knows its network again.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> from eqmodels.data import load_data
        >>> from eqmodels.sklearn import EquivariantFeatures
        >>> few = load_data("fashion_mnist_mini", "train").images[:60, 0].numpy()
        >>> EquivariantFeatures("c4_resnet18s_w16.rot_fmnist_simclr").fit_transform(few).shape
        (60, 128)
        >>> steps = make_pipeline(EquivariantFeatures("c4_resnet18s_w16.rot_fmnist_simclr"), LogisticRegression())
    """

    n_features_out_: int
    field_: str
    sha256_: str

    def __init__(
        self,
        name: str = "c4_resnet18_w32.distil_lite0",
        *,
        features: GlobalPoolMode | None = None,
        size: int | tuple[int, int] | None = None,
        in_chans: int | None = None,
        grey: bool = False,
        batch_size: int = 64,
        device: str | None = None,
    ) -> None:
        # As they are: scikit-learn copies an estimator by its arguments, and these are checked when it is fitted.
        self.name = name
        self.features = features
        self.size = size
        self.in_chans = in_chans
        self.grey = grey
        self.batch_size = batch_size
        self.device = device

    def fit(self, X: Any, y: object = None) -> _Features:  # noqa: ANN401, ARG002 (those of scikit-learn)
        """Loads the network; the pictures are not looked at.

        Args:
            X: pictures.
            y: labels, which nothing is made of.

        Raises:
            ValueError: if there is no such network, or an option breaks its rule.
            StorageError: if the network cannot be had.
        """
        check_count("batch_size", self.batch_size)
        self._seen_size()
        pictures_in(X)
        self._encoder = self._loaded()
        self.sha256_ = _sha256(self._encoder)
        self.n_features_out_, self.field_ = self._encoder.head_hidden_size, str(self._encoder.out_field)
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: ANN401
        """The features ``(N, F)`` of pictures.

        Args:
            X: an array ``(N, H, W)`` or ``(N, H, W, C)``, or a list of paths, of pictures of PIL or of arrays.

        Raises:
            NotFittedError: if `fit` was not called.
            TypeError: if something else is given.
            ValueError: if a picture cannot be read or does not suit the network; or if the network of this name has
                other weights than when the estimator was fitted.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self, "sha256_")
        encoder = self._own()
        made_of = input_of(encoder, self._seen_size(), grey=self.grey)
        batches = _batched((self._input(one, made_of) for one in pictures_in(X)), self.batch_size)
        found = [outputs_of(encoder, torch.stack(batch))[0] for batch in batches]
        features: npt.NDArray[np.float32] = torch.cat(found).numpy()
        return features

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:  # noqa: ARG002
        """The names of the features, ``equivariantfeatures0`` and so on, as scikit-learn has them.

        Args:
            input_features: not used: pixels have no names.

        Raises:
            NotFittedError: if `fit` was not called.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self, "n_features_out_")
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{number}" for number in range(self.n_features_out_)], dtype=object)

    def _input(self, picture: Any, made_of: Any) -> Tensor:  # noqa: ANN401
        """The input of the network that is made of a picture, of whatever kind this is.

        Raises:
            TypeError: if it is none.
            ValueError: if it cannot be read or does not suit the network; says which.
        """
        if isinstance(picture, str | Path):
            try:
                return made_of(opened_for(self._encoder)(Path(picture)))  # type: ignore[no-any-return]
            except ValueError as error:
                raise ValueError(f"{picture} cannot be read as an image: {error}") from error
        if isinstance(picture, np.ndarray):
            if self._encoder.in_chans == 1 and not self.grey and picture.ndim == 3 and picture.shape[-1] == 3:
                raise ValueError(
                    "the pictures have colours and the network takes one channel; pass in_chans=3, or grey=True to "
                    "leave the colours out."
                )
            if picture.ndim == 3 and picture.shape[0] == self._encoder.in_chans != picture.shape[-1]:
                raise ValueError(
                    f"the channels of an array are its last axis; got a picture of shape {picture.shape}. Move them: "
                    "numpy.moveaxis(pictures, 1, -1)."
                )
            pixels: Tensor = self._encoder.transform(self._seen_size())(picture)
            return pixels
        if isinstance(picture, Image.Image):
            return made_of(picture)  # type: ignore[no-any-return]
        raise TypeError(
            f"EquivariantFeatures takes pictures as paths, of PIL, or as arrays; got {shown(picture)}. Open it with "
            "PIL.Image.open."
        )

    def _seen_size(self) -> tuple[int, int] | None:
        """Height and width of what the network sees; None for those of its training images."""
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        return None if size is None else (check_count("size", size[0]), check_count("size", size[1]))

    def _loaded(self) -> Backbone:
        encoder = load(self.name, num_classes=0, in_chans=self.in_chans, global_pool=self.features)
        return encoder.to(usable_device(self.device))

    def _own(self) -> Backbone:
        """The network of `fit`, loaded again where the estimator was copied without it."""
        if not hasattr(self, "_encoder"):
            encoder = self._loaded()
            if _sha256(encoder) != self.sha256_:
                raise ValueError(
                    f"the network {self.name} has other weights than when this estimator was fitted. Fit it anew, or "
                    "put the old network back."
                )
            self._encoder = encoder
        return self._encoder

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_encoder"}

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        tags = super().__sklearn_tags__()  # type: ignore[misc]  # of the base class of scikit-learn
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.no_validation = True
        return tags


def pictures_in(X: Any) -> Iterable[Any]:  # noqa: ANN401
    """The pictures that scikit-learn was given, one by one.

    Raises:
        TypeError: if it is one picture or path, or no list.
        ValueError: if there are none, or an array has other axes.
    """
    if isinstance(X, str | Path | Image.Image) or not isinstance(X, Sequence | np.ndarray | Iterable):
        raise TypeError(
            f"EquivariantFeatures takes several pictures; got {shown(X)}. Pass a list, or an array (N, H, W[, C])."
        )
    if hasattr(X, "columns") and hasattr(X, "iloc"):  # a table of pandas, whose iteration gives its columns' names
        if len(X.columns) != 1:
            raise ValueError(
                f"EquivariantFeatures takes one column of paths; got a table of {len(X.columns)}. Pass the column, or "
                "name it in a ColumnTransformer."
            )
        X = X.iloc[:, 0]
    if isinstance(X, np.ndarray) and X.dtype.kind in "OU" and X.shape[1:] == (1,):
        X = X[:, 0]
    of_words = isinstance(X, np.ndarray) and X.dtype.kind in "OU"
    if isinstance(X, np.ndarray) and X.ndim != 1 and (X.ndim not in (3, 4) or of_words):
        raise ValueError(
            "EquivariantFeatures takes arrays (N, H, W) or (N, H, W, C), of uint8 or of floats in [0, 1]; got "
            f"{shown(X)}. Reshape rows of pixels to pictures."
        )
    pictures = list(X)
    if not pictures:
        raise ValueError("EquivariantFeatures takes at least one picture; got none. Pass some.")
    return pictures


def _batched(inputs: Iterable[Tensor], count: int) -> Iterator[list[Tensor]]:
    batch: list[Tensor] = []
    for one in inputs:
        batch.append(one)
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch


def _sha256(encoder: Backbone) -> str:
    return hashlib.sha256(pack_weights(encoder.state_dict())).hexdigest()


@functools.cache
def _estimator() -> type[_Features]:
    """The class as a transformer of scikit-learn, which is imported here and not before.

    Raises:
        ModuleNotFoundError: if scikit-learn is not installed.
    """
    try:
        from sklearn.base import BaseEstimator, TransformerMixin
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "EquivariantFeatures is a step of scikit-learn, which is not installed; run: pip install scikit-learn",
            name="sklearn",
        ) from error
    # Methods that scikit-learn wraps, for `set_output`, must be the class's own.
    own = {"transform": _Features.transform, "__module__": __name__, "__doc__": _Features.__doc__}
    return type("EquivariantFeatures", (_Features, TransformerMixin, BaseEstimator), own)


if TYPE_CHECKING:
    EquivariantFeatures = _Features


def __getattr__(name: str) -> object:
    """`EquivariantFeatures`, made when it is first asked for.

    Raises:
        AttributeError: if another name is asked for.
        ModuleNotFoundError: if scikit-learn is not installed.
    """
    if name == "EquivariantFeatures":
        return _estimator()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
