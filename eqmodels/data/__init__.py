"""Data sets in memory: images, labels and the names of the classes."""

from eqmodels.data.images import LabelledImages
from eqmodels.data.source import Source
from eqmodels.data.sources import Split, list_data, load_data, search_folders

__all__ = ["LabelledImages", "Source", "Split", "list_data", "load_data", "search_folders"]
