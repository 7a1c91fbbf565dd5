"""A trained network as stock `torch.nn` modules, and from there to ONNX."""

from eqmodels.export.onnx import to_onnx
from eqmodels.export.plain import to_plain

__all__ = ["to_onnx", "to_plain"]
