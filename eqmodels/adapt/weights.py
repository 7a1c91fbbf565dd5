"""A network of others with its weights: its name, its tensors, and under which licence they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from eqmodels.adapt.provenance import record_of
from eqmodels.arguments import check_arguments
from eqmodels.backbones.adapted import create_original
from eqmodels.backbones.overwritten import to_be_overwritten
from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.objectives import TEACHERS, create_teacher
from eqmodels.storage import StorageError, check_layout, printable, read_layout, read_weights, sha256_of

__all__ = ["PRETRAINED", "RANDOM", "Original", "original"]

PRETRAINED, RANDOM = "pretrained", "random"
"""What weights may be, besides those of a file."""

TIMM, LITE0 = "timm:", "timm:tf_efficientnet_lite0"


@dataclass(frozen=True)
class Original:
    """A network of others.

    Attributes:
        source: the word that names it, as files hold it.
        network: puts out its features.
        license: of the weights, an SPDX identifier in lower case; None if nothing is known of it.
        weights: where they are from, in words.
        record: what a config says of them, by name: ``source``, ``weights``, ``sha256`` (see `sha256_of_tensors`), and
            ``library`` and ``file_sha256`` where there are such.
    """

    source: str
    network: nn.Module
    license: str | None
    weights: str
    record: Mapping[str, str]


def original(source: str, weights: str | Path = PRETRAINED, *, in_chans: int = 3) -> Original:
    """The network of a word, with its weights, in eval mode on the CPU.

    Args:
        source: ``timm:<name>``, ``torchvision:<name>``, a name that is registered in `ORIGINS`, or that of a teacher
            of the package, such as ``"lite0"``.
        weights: ``"pretrained"``, those of a teacher or that timm fetches; ``"random"``; or the path of a safetensors
            file with the names of the network's own tensors, in which those of its classifier may be, too.
        in_chans: channels of the images. Filters of pretrained networks are not adapted here, see `with_channels`.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is no such network, or it has no pretrained weights that could be fetched.
        ModuleNotFoundError: if the package that has it is not installed.
        StorageError: if the weights cannot be had, or are not the network's.
    """
    check_arguments(original, locals())
    check_count("in_chans", in_chans)
    if str(weights) == PRETRAINED:
        return _pretrained(source, in_chans)
    if source in TEACHERS:
        raise ValueError(f"source={source!r} has weights of its own; got weights={str(weights)!r}. Leave them out.")
    if str(weights) == RANDOM:
        fresh = create_original(source, in_chans).eval()
        return Original(source, fresh, None, RANDOM, record_of(source, fresh, RANDOM))
    file = Path(weights)
    if not file.is_file():
        raise StorageError(
            f"weights must be 'pretrained', 'random' or a safetensors file; got {shown(str(weights))}, which is no "
            "file. Name one."
        )
    with to_be_overwritten():
        network = create_original(source, in_chans)
    own = network.state_dict()
    layout = read_layout(file)
    sha256 = sha256_of(file)
    unused = _of_classifier(network, layout, own)
    check_layout(file, {name: entry for name, entry in layout.items() if name not in unused}, own)
    state = read_weights(file, sha256)
    network.load_state_dict({name: state[name] for name in own})
    record = record_of(source, network, file.name, sha256)
    return Original(source, network.eval(), None, f"{file.name}, sha256 {sha256}", record)


def _pretrained(source: str, in_chans: int) -> Original:
    """A network with the weights of its publisher, which are those of a teacher.

    Raises:
        ValueError: if nobody fetches any, or they are for images of other channels.
        StorageError: if they cannot be had.
    """
    name = source.removeprefix(TIMM).partition(".")[0]
    known = LITE0 if source in TEACHERS else TIMM + name if source.startswith(TIMM) else source
    with to_be_overwritten():
        network = create_original(known, in_chans)
    if not known.startswith(TIMM):
        raise ValueError(
            f"weights='pretrained' are fetched for networks of timm alone; got source={source!r}. Pass the path of a "
            "safetensors file, or weights='random'."
        )
    teacher = create_teacher(source)
    if in_chans != teacher.mean.shape[0]:
        raise ValueError(
            f"the pretrained weights of {source} are for images of {teacher.mean.shape[0]} channels; got in_chans="
            f"{in_chans}. Adapt the network first, and pass what it gives to with_channels then."
        )
    held = teacher.network.get_submodule("network")
    state = held.state_dict()
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    # Of several sets of weights of one architecture each has images of its own.
    config: Any = held.pretrained_cfg
    vars(network)["pretrained_cfg"] = config
    license_name = teacher.license.lower()
    license_name = None if license_name == "unknown" else license_name  # type: ignore[assignment]
    tag, words = config.get("tag"), source
    if tag and source.startswith(TIMM):
        words = f"{TIMM}{name}.{tag}"  # as timm resolved it, where the source says none
    return Original(known, network.eval(), license_name, words, record_of(known, network, words))


def _of_classifier(network: nn.Module, layout: Mapping[str, object], own: Mapping[str, Tensor]) -> set[str]:
    """The tensors of a file that are of the classifier, which the network is built without.

    Raises:
        StorageError: if the file has none of the network's tensors at all.
    """
    if not own.keys() & layout.keys():
        raise StorageError(
            f"the file of weights must have the tensors of the network, {printable(next(iter(own), 'none'))} for "
            f"instance; got {printable(next(iter(layout), 'none'))}. Convert it to the names of the network."
        )
    known = getattr(network, "pretrained_cfg", None)
    names = known.get("classifier") if isinstance(known, dict) else None
    heads = (names,) if isinstance(names, str) else tuple(names or ("fc", "classifier", "head", "heads"))
    return {name for name in layout if name not in own and name.startswith(tuple(f"{head}." for head in heads))}
