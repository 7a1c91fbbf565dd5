"""Images, labels and the names of the classes: the protocol of a source, those in the package, and views of any."""

from eqmodels.data.array_file import ArrayFile
from eqmodels.data.channels import has_colour, to_grey, to_rgb
from eqmodels.data.colours import coloured
from eqmodels.data.loading import list_data, load_data
from eqmodels.data.memory import LabelledImages, in_memory
from eqmodels.data.permutation import KeyedPermutation
from eqmodels.data.pictures import open_picture
from eqmodels.data.pixel_statistics import statistics
from eqmodels.data.registry import READING, SOURCES, Split, register_source
from eqmodels.data.resized import at_size
from eqmodels.data.source import Source, check_source, in_parts, is_labelled, numbers_of, targets_of
from eqmodels.data.space import (
    LabelledClouds,
    LabelledMolecules,
    clouds_of,
    fitted_clouds,
    in_random_poses,
    molecules_of,
    pictured_molecules,
    read_mesh,
    sample_mesh,
)
from eqmodels.data.subsets import Subset, at_most, balanced_subset, subset
from eqmodels.data.summary import FolderSummary, contact_sheet, summarise_folder
from eqmodels.data.torch_data import from_torch
from eqmodels.data.torchvision_sets import search_folders
from eqmodels.data.view import View

__all__ = [
    "READING",
    "SOURCES",
    "ArrayFile",
    "FolderSummary",
    "KeyedPermutation",
    "LabelledClouds",
    "LabelledImages",
    "LabelledMolecules",
    "Source",
    "Split",
    "Subset",
    "View",
    "at_most",
    "at_size",
    "balanced_subset",
    "check_source",
    "clouds_of",
    "coloured",
    "contact_sheet",
    "fitted_clouds",
    "from_torch",
    "has_colour",
    "in_memory",
    "in_parts",
    "in_random_poses",
    "is_labelled",
    "list_data",
    "load_data",
    "molecules_of",
    "numbers_of",
    "open_picture",
    "pictured_molecules",
    "read_mesh",
    "register_source",
    "sample_mesh",
    "search_folders",
    "statistics",
    "subset",
    "summarise_folder",
    "targets_of",
    "to_grey",
    "to_rgb",
]
