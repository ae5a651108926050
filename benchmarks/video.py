"""How fast a video is read and written, stage by stage, and how much memory that takes.

    python benchmarks/video.py                        # 640 x 480, one face, 20 seconds
    python benchmarks/video.py --seconds 600          # memory over ten minutes

The clip is made here: a portrait that moves about, at 25 frames/s. Measured is the whole of
decode, detect, read, draw and encode, on the cores given by ``--cores`` (2). Drawing and
encoding go on beside the other stages, so that the times add up to more than a frame takes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from mien.cli.choice import Choice
from mien.cli.video import open_predictor
from mien.images import read
from mien.predictor import Predictor
from mien.video import FollowOptions, FrameReadings, VideoWriter, open_source, run

FPS = 25
LONGEST_S = 20.0  # of what is encoded for a clip
PORTRAIT = Path(__file__).parents[1] / "examples" / "astronaut.jpg"


def make_clip(path: Path, seconds: float) -> None:
    """Write a clip; a long one repeats its first 20 seconds."""
    once = path.with_name("once.mp4")
    write_portrait(once, min(seconds, LONGEST_S))
    with av.open(str(path), "w") as output, av.open(str(once)) as source:
        video = source.streams.video[0]
        stream = output.add_stream_from_template(video)
        period = round(LONGEST_S / video.time_base)
        for turn in range(round(np.ceil(seconds / LONGEST_S))):
            source.seek(0)
            for packet in source.demux(video):
                if packet.dts is not None:
                    packet.pts, packet.dts = packet.pts + turn * period, packet.dts + turn * period
                    packet.stream = stream
                    output.mux(packet)


def write_portrait(path: Path, seconds: float, size_hw: tuple[int, int] = (480, 640)) -> None:
    """Write a portrait that wanders over a grey wall and comes nearer now and then."""
    height, width = size_hw
    portrait = read(PORTRAIT)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(round(seconds * FPS)):
            t = number / FPS
            scale = (0.75 + 0.1 * np.sin(0.7 * t)) * height / portrait.shape[0]
            x = (0.5 + 0.2 * np.sin(1.1 * t)) * width - 0.45 * portrait.shape[1] * scale
            y = (0.5 + 0.1 * np.cos(0.9 * t)) * height - 0.4 * portrait.shape[0] * scale
            image = cv2.warpAffine(
                portrait,
                np.array([[scale, 0, x], [0, scale, y]]),
                (width, height),
                borderValue=(110, 110, 110),
            )
            frame = av.VideoFrame.from_ndarray(np.asarray(image, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


class Measured:
    """An output that tells how long another one takes."""

    def __init__(self, output: VideoWriter, totals_ms: dict[str, float]) -> None:
        self._output, self._totals_ms = output, totals_ms
        self.commit, self.discard = output.commit, output.discard

    def write(self, frame: FrameReadings) -> None:
        """Give one frame, and note the time."""
        start = time.perf_counter()
        self._output.write(frame)
        self._totals_ms["draw + encode"] += (time.perf_counter() - start) * 1000


@contextmanager
def peak_memory(each_s: float = 5.0) -> Iterator[list[float]]:
    """Note the memory of this process in MB now and then, as the system counts it (Linux)."""
    seen: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0 if not seen else each_s):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            seen.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def measure(clip: Path, output: Path, predictor: Predictor, every: int | None) -> None:
    """Run the whole way over a clip and print what it took."""
    totals_ms: dict[str, float] = defaultdict(float)

    def note(frame: FrameReadings) -> None:
        for name, value in frame.timings_ms.items():
            totals_ms[name] += value

    source = open_source(str(clip))
    writer: Any = Measured(VideoWriter(output, source), totals_ms)
    with peak_memory() as memory_mb:
        start = time.perf_counter()
        outcome = run(source, predictor, [writer], FollowOptions(every=every), on_frame=note)
        took_s = time.perf_counter() - start
    print(f"{outcome.frames} frames in {took_s:.1f} s: {outcome.frames / took_s:.1f} frames/s")
    for name, value in totals_ms.items():
        print(f"  {name:<14} {value / outcome.frames:6.2f} ms a frame")
    if len(memory_mb) > 4:
        half = len(memory_mb) // 2
        print(
            f"  memory: {max(memory_mb):.0f} MB at most; mean of the first half "
            f"{np.mean(memory_mb[1:half]):.0f} MB, of the second {np.mean(memory_mb[half:]):.0f} MB"
        )


def main() -> None:
    """Read the options, make the clip, measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of the clip")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--every", type=int, default=None, help="as of mien video")
    options = parser.parse_args()
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(clip, options.seconds)
        print(f"640 x 480, one face, {options.seconds:g} s, {options.cores} cores")
        measure(clip, Path(folder) / "out.mp4", open_predictor(Choice()), options.every)


if __name__ == "__main__":
    main()
