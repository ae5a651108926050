"""A job: what is to be read and how, written down in the folder of its results.

    OUT/_manifest.json       sources, options, model: what a second run must agree with
    OUT/_plan                which pictures belong to which part: see `mien.scale.plan`
    OUT/part-000000.parquet  the rows of a part; there if and only if it is done

Readers of Parquet folders leave out names that begin with an underscore.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import mien
from mien.card import sha256_of
from mien.errors import ConfigError, InputError
from mien.runtime import default_model, open_session
from mien.scale.places import fetch, is_address, joined, list_names, write_whole
from mien.scale.plan import find, into_parts, write_plan

__all__ = ["Job", "Options", "PartReport"]

_FORMAT = 1
_MANIFEST, _PLAN = "_manifest.json", "_plan"

# A part is what a killed worker has to read again, and a file of the result. Small jobs have
# small parts, so that many workers share them.
_PART_IMAGES, _LEAST_PART_IMAGES, _PARTS = 1000, 16, 256
_GRAIN_IMAGES = 50  # by which tars and Parquet files are cut where the size of parts is open

_MOST_BYTES = 1 << 31  # of a manifest or plan


@dataclass(frozen=True, slots=True)
class Options:
    """How pictures are read.

    Attributes:
        model: a ``.onnx`` or ``.tflite`` file that every worker can open; mien's own if
            ``None``.
        head: of the network; the card's first if ``None``.
        largest_face: read the largest face of a picture only.
        detector: by name; the default one if ``None``.
        smallest_px: the smallest face that it looks for; see :class:`mien.faces.CenterFace`.
        min_score, min_face_px: see :class:`mien.predictor.Predictor`.
        abstain: name no emotion where the model is uncertain.
        column: of Parquet sources; see :func:`mien.scale.pictures.pictures_of`.
        frames_per_s: as many frames of a video are read.
        part_images: the pictures of a part; ``None`` is 1000, and fewer if there are not many
            pictures.

    Raises:
        ConfigError: a number is not above 0.
    """

    model: str | None = None
    head: str | None = None
    largest_face: bool = False
    detector: str | None = None
    smallest_px: int | None = None
    min_score: float = 0.0
    min_face_px: int = 0
    abstain: bool = False
    column: str | None = None
    frames_per_s: float = 1.0
    part_images: int | None = None

    def __post_init__(self) -> None:
        if not self.frames_per_s > 0 or (self.part_images is not None and self.part_images < 1):
            raise ConfigError(
                "expected frames_per_s and part_images above 0, got "
                f"{self.frames_per_s} and {self.part_images}"
            )


@dataclass(frozen=True, slots=True)
class PartReport:
    """What became of a part.

    Attributes:
        images: that were looked at, frames of videos and failures included.
        errors: images that could not be read; each is a row of the result.
        seconds: that a worker was busy with it.
        failure: why there is no part, or ``None``.
    """

    number: int
    images: int = 0
    faces: int = 0
    errors: int = 0
    seconds: float = 0.0
    failure: str | None = None


@dataclass(frozen=True)
class Job:
    """A folder of results, and what belongs into it.

    Attributes:
        base: the folder that relative paths are meant from; empty if there are none.
        images: how many were planned, as far as was known without opening tars elsewhere
            and videos.
    """

    folder: str
    sources: tuple[str, ...]
    options: Options
    model_sha256: str
    base: str
    parts: int
    images: int

    @classmethod
    def open(cls, folder: str, sources: Sequence[str], options: Options) -> Job:
        """Plan a job, or take up the one in the folder.

        The plan is made once: pictures that come into a source later are not in it.

        Raises:
            InputError: a source is not there or empty.
            ConfigError: the folder holds another job or other files, or cannot be written.
            ModelError: the model cannot be used.
        """
        model = default_model() if options.model is None else Path(options.model)
        open_session(model, device="cpu", threads=1).card.head(options.head)
        relative = any(not is_address(each) and not os.path.isabs(each) for each in sources)
        relative |= options.model is not None and not os.path.isabs(options.model)
        base = os.getcwd() if relative else ""
        wanted = cls(folder, tuple(sources), options, sha256_of(model), base, 0, 0)
        names = list_names(folder)
        if _MANIFEST in names:
            return wanted._taken_up(cls.read(folder))
        strange = sorted(names - {_PLAN})
        if strange:
            raise ConfigError(
                f"{folder} holds other files, {strange[0]} for one: choose a folder that is "
                "empty or not there yet"
            )
        return wanted._planned()

    @classmethod
    def read(cls, folder: str) -> Job:
        """Return the job that was written down in a folder.

        Raises:
            ConfigError: its manifest cannot be read, or is of another version.
        """
        place = joined(folder, _MANIFEST)
        try:
            content = fetch(place, _MOST_BYTES) if is_address(place) else Path(place).read_bytes()
            manifest = json.loads(content)
            if (manifest["format"], manifest["mien"]) != (_FORMAT, mien.__version__):
                raise ConfigError(
                    f"{folder} was begun by mien {manifest['mien']}, this is {mien.__version__}: "
                    "finish it with that version, or choose another folder"
                )
            return cls(
                folder,
                tuple(manifest["sources"]),
                Options(**manifest["options"]),
                manifest["model_sha256"],
                manifest["base"],
                manifest["parts"],
                manifest["images"],
            )
        except (OSError, InputError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{place} is no manifest of mien score: {error}; choose another folder"
            ) from None

    def place_of(self, number: int) -> str:
        """Return where a part's file lies, or will lie."""
        return joined(self.folder, _part_name(number))

    def plan(self) -> pq.ParquetFile:
        """Return the plan, ready for :func:`mien.scale.plan.read_part`.

        Raises:
            ConfigError: it cannot be read.
        """
        place = joined(self.folder, _PLAN)
        try:
            file = io.BytesIO(fetch(place, _MOST_BYTES)) if is_address(place) else place
            return pq.ParquetFile(file)
        except (OSError, InputError, pa.ArrowInvalid) as error:
            raise ConfigError(f"{place} is no plan of mien score: {error}") from None

    def missing(self) -> list[int]:
        """Return the numbers of the parts that are not there yet, in order.

        Raises:
            ConfigError: the folder cannot be listed.
        """
        there = list_names(self.folder)
        return [number for number in range(self.parts) if _part_name(number) not in there]

    def _taken_up(self, found: Job) -> Job:
        ours, theirs = self._agreement(), found._agreement()
        for name, value in ours.items():
            if value != theirs[name]:
                raise ConfigError(
                    f"{self.folder} was begun with {name} {theirs[name]}, now it is {value}: "
                    "go on with the same, or choose another folder"
                )
        return found

    def _agreement(self) -> dict[str, Any]:
        return {
            "sources": list(self.sources),
            **asdict(self.options),
            "model_sha256": self.model_sha256,
            "the folder": self.base,
        }

    def _planned(self) -> Job:
        most = self.options.part_images
        stretches = find(self.sources, most or _GRAIN_IMAGES)
        images = sum(each.images or 0 for each in stretches)
        if most is None:
            most = min(max(images // _PARTS, _LEAST_PART_IMAGES), _PART_IMAGES)
        plan = io.BytesIO()
        parts = write_plan(into_parts(stretches, most), plan)
        write_whole(joined(self.folder, _PLAN), plan.getvalue())
        manifest = {
            "format": _FORMAT,
            "mien": mien.__version__,
            "sources": list(self.sources),
            "options": asdict(self.options),
            "model_sha256": self.model_sha256,
            "base": self.base,
            "parts": parts,
            "images": images,
        }
        text = json.dumps(manifest, ensure_ascii=True, indent=2)
        write_whole(joined(self.folder, _MANIFEST), text.encode())
        return replace(self, parts=parts, images=images)


def _part_name(number: int) -> str:
    return f"part-{number:06d}.parquet"
