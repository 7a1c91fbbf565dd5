"""Pictures that are like others, or the same: an index of features, and duplicates however they lie."""

from eqmodels.neighbours.duplicates import DuplicatePair, Duplicates, find_duplicates
from eqmodels.neighbours.index import Neighbour, NeighbourIndex

__all__ = ["DuplicatePair", "Duplicates", "Neighbour", "NeighbourIndex", "find_duplicates"]
