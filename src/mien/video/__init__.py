"""Videos and cameras: frames in, readings with identities and annotated frames out.

    source = open_source("talk.mp4")                  # or "0", the first camera
    for frame in follow(source.frames(), Predictor()):
        print(frame.time_s, [(each.identity, each.top) for each in frame.readings])

    source = open_source("talk.mp4")                  # or all at once, into files
    run(source, Predictor(), [VideoWriter(Path("out.mp4"), source)])

Memory does not grow with length: a frame is gone when the next one comes. Times are seconds
of the source, 0 at its start.
"""

from mien.errors import MissingExtra

try:
    import av  # noqa: F401 - the package cannot be used without it
except ImportError:
    raise MissingExtra("video", "av") from None

from mien.video.camera import Camera, Latest
from mien.video.pipeline import FollowOptions, FrameReadings, Outcome, Output, follow, run
from mien.video.source import Frame, Source, VideoFile, VideoInfo, VideoLimits, open_source
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
    "Source",
    "VideoFile",
    "VideoInfo",
    "VideoLimits",
    "VideoWriter",
    "follow",
    "open_source",
    "run",
]
