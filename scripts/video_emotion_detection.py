"""Annotate a video with the emotions of its faces.

    python scripts/video_emotion_detection.py --input talk.mp4 --output annotated.mp4

The same as ``mien video``, whose other options it takes too.
"""

from __future__ import annotations

import argparse

from mien.cli import main


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", required=True, help="a video file, a camera's number or address")
    parser.add_argument("--output", required=True, help="the annotated video, ending in .mp4")
    known, rest = parser.parse_known_args()
    main(["video", known.input, "--output", known.output, *rest])


if __name__ == "__main__":
    run()
