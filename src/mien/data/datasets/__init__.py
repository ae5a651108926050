"""Other people's data sets, each read in the layout in which its owners hand it out.

None of them is part of mien: each has its own terms, which stand in its record here.
"""

from __future__ import annotations

from pathlib import Path

from mien.data.datasets.affectnet import AFFECTNET
from mien.data.datasets.ck_plus import CK_PLUS
from mien.data.datasets.collect import (
    CropFace,
    Faces,
    MiddleFrame,
    Unlabelled,
    collect,
    collect_unlabelled,
    whole_as_crop,
)
from mien.data.datasets.common import Framing, Known, Listing, Sample
from mien.data.datasets.crema_d import CREMA_D
from mien.data.datasets.expw import EXPW
from mien.data.datasets.folder import FolderMap, load_map, read_folder
from mien.data.datasets.jaffe import JAFFE
from mien.data.datasets.raf_db import RAF_DB
from mien.data.datasets.ravdess import RAVDESS
from mien.errors import ConfigError, DataError

__all__ = [
    "DATASETS",
    "FOLDER",
    "CropFace",
    "Faces",
    "FolderMap",
    "Framing",
    "Known",
    "Listing",
    "MiddleFrame",
    "Sample",
    "Unlabelled",
    "collect",
    "collect_unlabelled",
    "list_samples",
    "load_map",
    "read_folder",
    "whole_as_crop",
]

#: Every data set by the name that the command line knows it by.
DATASETS: dict[str, Known] = {
    "ck+": CK_PLUS,
    "jaffe": JAFFE,
    "affectnet": AFFECTNET,
    "raf-db": RAF_DB,
    "expw": EXPW,
    "crema-d": CREMA_D,
    "ravdess": RAVDESS,
}

#: The name of any folder of labelled pictures, which is no :class:`Known` data set.
FOLDER = "folder"


def list_samples(name: str, path: Path, folder_map: Path | None = None) -> Listing:
    """List the labelled pictures of a data set, or of any folder, that lies at ``path``.

    Args:
        name: of :data:`DATASETS`, or ``folder``.
        folder_map: ``map.yaml``, for a ``folder``.

    Raises:
        ConfigError: there is no data set of that name, or a map is given with one.
        DataError: the files are not laid out as they should be.
    """
    if name == FOLDER:
        return read_folder(path, load_map(folder_map) if folder_map is not None else None)
    if name not in DATASETS:
        raise ConfigError(f"no data set '{name}': choose one of {', '.join(DATASETS)}, {FOLDER}")
    if folder_map is not None:
        raise ConfigError(f"a map goes with --dataset {FOLDER}; the labels of {name} are known")
    if not path.is_dir():
        raise DataError(f"{path} is no folder: expected the one that {name} lies in")
    return DATASETS[name].read(path)
