"""Any folder of labelled pictures: one folder a label, and a map from its labels to ours.

    pictures/joy/0001.jpg
    pictures/anger/0001.jpg

    map.yaml:   framing: photo          # or crop: the pictures are faces already
                labels:
                  joy: happy
                  anger: angry
                  boredom: drop

Without a map the folders are to be named as our emotions, in any case of letters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mien.data.datasets.common import Gathering, Listing
from mien.errors import ConfigError, DataError
from mien.images import find_images
from mien.types import EMOTIONS

__all__ = ["FolderMap", "load_map", "read_folder"]

_DROP = "drop"


class FolderMap(BaseModel):
    """What ``map.yaml`` says: how the faces are framed, and each folder's emotion or "drop"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    framing: Literal["photo", "crop"] = "photo"
    labels: dict[str, str] = {emotion: emotion for emotion in EMOTIONS}


def load_map(path: Path) -> FolderMap:
    """Read ``map.yaml``.

    Raises:
        ConfigError: it cannot be read, or a key or an emotion is unknown.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = FolderMap.model_validate(content if content is not None else {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the map {path}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ConfigError(f"{path}, {where}: {first['msg']}") from None
    for folder, emotion in found.labels.items():
        if emotion not in (*EMOTIONS, _DROP):
            raise ConfigError(
                f"{path}: '{folder}' is mapped to '{emotion}', expected {_DROP} or one of "
                f"{', '.join(EMOTIONS)}"
            )
    return found


def read_folder(root: Path, folder_map: FolderMap | None = None) -> Listing:
    """List ``<label>/**/*.jpg`` and all other kinds of pictures.

    Raises:
        DataError: a folder is not in the map, or there is no picture.
    """
    folder_map = folder_map or FolderMap()
    by_name = {name.casefold(): emotion for name, emotion in folder_map.labels.items()}
    known = {name: emotion for name, emotion in by_name.items() if emotion != _DROP}
    expected = f"<label>/*.jpg with the labels {', '.join(folder_map.labels)}"
    if not root.is_dir():
        raise DataError(f"{root} is no folder: expected {expected}")
    found = Gathering(root, known)
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir()):
        if folder.name.startswith("."):
            continue
        label = folder.name.casefold()
        if label not in by_name:
            raise DataError(
                f"{folder}: '{folder.name}' is none of {', '.join(folder_map.labels)}: map it "
                f"to an emotion, or to '{_DROP}', in a map.yaml (--map)"
            )
        for file in find_images(folder):
            found.add(file, label)
    return found.finish(folder_map.framing, "all", expected)
