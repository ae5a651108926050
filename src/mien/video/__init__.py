"""Videos and cameras: frames in, readings with identities and annotated frames out.

    source = open_source("talk.mp4")                  # or "0", the first camera
    for frame in follow(source.frames(), Predictor()):
        print(frame.time_s, [(each.identity, each.top) for each in frame.readings])

    source = open_source("talk.mp4")                  # or all at once, into files
    run(source, Predictor(), [VideoWriter(Path("out.mp4"), source)])

Memory does not grow with length: a frame is gone when the next one comes. Times are seconds
of the source, 0 at its start.

The names below are imported on first use, so that :mod:`mien.video.tracking` and
:mod:`mien.video.story` need no video library: a server that gets single frames has none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mien.errors import MissingExtra

if TYPE_CHECKING:
    from mien.video.camera import Camera, Latest
    from mien.video.file import VideoFile
    from mien.video.opening import middle_frame, open_source
    from mien.video.pipeline import FollowOptions, FrameReadings, Outcome, Output, follow, run
    from mien.video.sound import Sound
    from mien.video.source import Frame, Source, VideoInfo, VideoLimits
    from mien.video.tables import CsvTable, JsonLines, ParquetTable
    from mien.video.writer import VideoWriter

__all__ = [
    "Camera",
    "CsvTable",
    "FollowOptions",
    "Frame",
    "FrameReadings",
    "JsonLines",
    "Latest",
    "Outcome",
    "Output",
    "ParquetTable",
    "Sound",
    "Source",
    "VideoFile",
    "VideoInfo",
    "VideoLimits",
    "VideoWriter",
    "follow",
    "middle_frame",
    "open_source",
    "run",
]

_HOMES = {
    "camera": ("Camera", "Latest"),
    "pipeline": ("FollowOptions", "FrameReadings", "Outcome", "Output", "follow", "run"),
    "file": ("VideoFile",),
    "opening": ("middle_frame", "open_source"),
    "sound": ("Sound",),
    "source": ("Frame", "Source", "VideoInfo", "VideoLimits"),
    "tables": ("CsvTable", "JsonLines", "ParquetTable"),
    "writer": ("VideoWriter",),
}


def __getattr__(name: str) -> Any:
    """Import the module of a name.

    Raises:
        MissingExtra: a video library is not installed.
    """
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{home}")
    except ModuleNotFoundError as error:
        raise MissingExtra("video", error.name or "av") from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
