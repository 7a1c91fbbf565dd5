"""A trained network as stock `torch.nn` modules, and from there to ONNX."""

from eqmodels.export.files import Parity, export_network
from eqmodels.export.onnx import to_onnx
from eqmodels.export.plain import to_plain

__all__ = ["Parity", "export_network", "to_onnx", "to_plain"]
