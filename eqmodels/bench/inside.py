"""How exactly every layer turns with the image once a network was exported: in stock modules, in ONNX, in 8 bits.

An exported program has layers of the same names, so that what they mean is known of the network itself. ONNX has
tensors instead of layers: which tensor is which layer's, their values say.
"""

from __future__ import annotations

import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones import Backbone
from eqmodels.bench.layers import Layers, worst_of_layers
from eqmodels.evaluation.equivariance_error import motions, relative_error
from eqmodels.evaluation.equivariance_results import LayerError
from eqmodels.evaluation.layer_fields import OUTPUT, watch
from eqmodels.export import export_int8, to_onnx, to_plain
from eqmodels.fields import Field, Scalars
from eqmodels.groups import PlanarGroup

__all__ = ["INSIDE", "Outputs", "layers_inside"]

Outputs = Callable[[Tensor], Mapping[str, Tensor]]
"""From normalised images to what layers put out, by their names as `equivariance_report` gives them."""
IMAGES = 8
"""That are moved: all layers of more would fill the memory."""
SAME = 1e-4
"""The relative difference below which a tensor of a graph is that of a layer: far above rounding."""
ROUNDED = "_DequantizeLinear_Output"
"""What the quantiser calls a tensor once it was rounded."""


def _exported(network: Backbone, images: Tensor) -> Outputs:
    plain = to_plain(network, size=(images.shape[2], images.shape[3]), fold_batch_norm=True)
    return partial(_of_modules, plain)


@torch.no_grad()
def _of_modules(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """The outputs of all modules but identities, the second call of one as ``name#2``."""
    found: dict[str, Tensor] = {}
    calls: Counter[str] = Counter()

    def keep(name: str, _: nn.Module, __: object, output: object) -> None:
        if isinstance(output, Tensor):
            calls[name] += 1
            found[name if calls[name] == 1 else f"{name}#{calls[name]}"] = output.clone()

    handles = [
        module.register_forward_hook(partial(keep, name or OUTPUT))
        for name, module in network.named_modules()
        if not isinstance(module, nn.Identity)
    ]
    try:
        network(images)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _by_onnxruntime(network: Backbone, images: Tensor) -> Outputs:
    graph = _graph(network, images)
    return _of_tensors(graph, _tensors_of_layers(graph, _exported(network, images)(images), images))


def _in_int8(network: Backbone, images: Tensor) -> Outputs:
    import onnx

    graph = _graph(network, images)
    places = _tensors_of_layers(graph, _exported(network, images)(images), images)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch says of its own export
        file = Path(folder) / "small.onnx"
        export_int8(network, file, images.contiguous())
        small = onnx.load(file)
    # A tensor keeps its name where it is rounded: the next layer reads what was rounded.
    known = {name for node in small.graph.node for name in node.output}
    rounded = {name: f"{place}{ROUNDED}" if f"{place}{ROUNDED}" in known else place for name, place in places.items()}
    return _of_tensors(small, {name: place for name, place in rounded.items() if place in known})


def _graph(network: Backbone, images: Tensor) -> Any:  # noqa: ANN401 (of onnx)
    """The network as ONNX."""
    import onnx

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch says of its own export
        file = Path(folder) / "network.onnx"
        to_onnx(network, file, size=(images.shape[2], images.shape[3]))
        return onnx.load(file)


def _tensors_of_layers(graph: Any, layers: Mapping[str, Tensor], images: Tensor) -> dict[str, str]:  # noqa: ANN401
    """By layer, the tensor of a graph that is what it puts out; layers that no tensor is like are left out."""
    names = [name for node in graph.graph.node for name in node.output if name]
    tensors = _of_tensors(graph, {name: name for name in names})(images)
    places = {}
    for layer, output in layers.items():
        alike = (name for name, tensor in tensors.items() if relative_error(tensor, output, output) < SAME)
        if (place := next(alike, None)) is not None:
            places[layer] = place
    return places


def _of_tensors(graph: Any, places: Mapping[str, str]) -> Outputs:  # noqa: ANN401
    """A graph as it is run by ONNX Runtime, which also puts out some of its tensors.

    Args:
        graph: of onnx; it is not changed.
        places: the names of the tensors, by what they are to be called.
    """
    import onnx
    import onnxruntime

    more = onnx.ModelProto()
    more.CopyFrom(graph)
    outputs = {one.name for one in graph.graph.output}
    more.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(places.values()) if name not in outputs
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(more.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = list(dict.fromkeys(places.values()))

    def run(images: Tensor) -> dict[str, Tensor]:
        values = session.run(wanted, {session.get_inputs()[0].name: images.contiguous().numpy()})
        found = {name: torch.from_numpy(value) for name, value in zip(wanted, values, strict=True)}
        return {layer: found[place] for layer, place in places.items()}

    return run


INSIDE: dict[str, Callable[[Backbone, Tensor], Outputs]] = {
    "exported": _exported,
    "onnxruntime": _by_onnxruntime,
    "int8": _in_int8,
}
"""By form: what makes it of a network and images of the kind that it sees, and shows its layers."""


@torch.no_grad()
def layers_inside(
    form: str,
    network: Backbone,
    images: Float[Tensor, "B C H W"],
    group: PlanarGroup,
    moves: Collection[str],
) -> Layers:
    """The largest error of every layer of an exported network, over some moves.

    Args:
        form: a key of `INSIDE`.
        network: in eval mode, on the CPU; it is not changed.
        images: normalised and square.
        group: that permutes pixels.
        moves: elements of it but the identity, in words.
    """
    fields: dict[str, Field] = {}
    shapes: dict[str, torch.Size] = {}

    def note(name: str, output: Tensor, field: Field) -> None:
        fields[name], shapes[name] = field, output.shape[1:]

    watch(network, images[:2], note)
    outputs = INSIDE[form](network, images)
    some = images[:IMAGES].contiguous()
    upright = outputs(some)
    found = []
    for motion in motions(group, group.elements):
        if motion.description in moves:
            moved = outputs(motion.moved(Scalars(some.shape[1]), some).contiguous())
            for name, field in fields.items():
                if name in upright and upright[name].shape[1:] == shapes[name]:
                    error = motion.error(field, upright[name], moved[name])
                    found.append(LayerError(name, motion.element, motion.description, error, True, str(field.group)))
    return worst_of_layers(sorted(found, key=lambda one: -one.error), moves, network)
