"""The Hugging Face Hub and the zoo's index: where files of a network lie, how they are fetched and sent."""

from eqmodels.remote.download import PICKLES, Fetch
from eqmodels.remote.elsewhere import ElsewhereEntry, read_elsewhere
from eqmodels.remote.errors import check_repository, check_token, upload_sentence
from eqmodels.remote.index import ZooEntry, read_index
from eqmodels.remote.locating import HUB, Located, is_pretrained, list_pretrained, locate, zoo_folders
from eqmodels.remote.upload import send_folder

__all__ = [
    "HUB",
    "PICKLES",
    "ElsewhereEntry",
    "Fetch",
    "Located",
    "ZooEntry",
    "check_repository",
    "check_token",
    "is_pretrained",
    "list_pretrained",
    "locate",
    "read_elsewhere",
    "read_index",
    "send_folder",
    "upload_sentence",
    "zoo_folders",
]
