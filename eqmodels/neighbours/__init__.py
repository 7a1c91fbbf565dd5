"""Pictures that are like others, or the same: an index of features, and duplicates however they lie."""

from eqmodels.neighbours.duplicates import DuplicatePair, Duplicates, find_duplicates
from eqmodels.neighbours.index import IndexedFile, Neighbour, NeighbourIndex, index_to_file

__all__ = [
    "DuplicatePair",
    "Duplicates",
    "IndexedFile",
    "Neighbour",
    "NeighbourIndex",
    "find_duplicates",
    "index_to_file",
]
