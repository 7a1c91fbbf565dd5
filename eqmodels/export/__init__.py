"""A trained network as stock `torch.nn` modules, and from there to ONNX."""

from eqmodels.export.files import Parity, export_network
from eqmodels.export.int8 import Int8Report, export_int8
from eqmodels.export.onnx import to_onnx
from eqmodels.export.plain import to_plain
from eqmodels.export.stages import stage_maps

__all__ = ["Int8Report", "Parity", "export_int8", "export_network", "stage_maps", "to_onnx", "to_plain"]
