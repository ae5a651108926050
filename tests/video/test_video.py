"""Videos in and out: times, turns, sound, sizes, and everything that is not a video."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from tests.support.clips import BACKGROUND, Clip, encode_clip, fake_predictor, tone

from mien.errors import ConfigError, MissingExtra, VideoError
from mien.types import Image
from mien.video import (
    CsvTable,
    FollowOptions,
    FrameReadings,
    JsonLines,
    Latest,
    Outcome,
    ParquetTable,
    VideoFile,
    VideoLimits,
    VideoWriter,
    follow,
    open_source,
    run,
)

PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n"
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"


def annotate(source: Path, output: Path, **options: float) -> Outcome:
    opened = open_source(str(source), **options)
    return run(opened, fake_predictor(), [VideoWriter(output, opened)])


def decode(path: Path) -> tuple[list[float], list[Image]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    times = [frame.time for frame in frames]
    return times, [frame.to_ndarray(format="rgb24") for frame in frames]


def loudness(path: Path) -> tuple[str, np.ndarray]:
    """Return the sound's codec and its mean amplitude in each tenth of a second."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        name, rate = stream.codec_context.name, stream.codec_context.sample_rate
        parts = []
        for frame in container.decode(stream):
            wave = frame.to_ndarray()[0].astype(float)
            start = round(frame.time * rate)
            parts.append((start, wave))
    sound = np.zeros(max(start + len(wave) for start, wave in parts))
    for start, wave in parts:
        begin = max(start, 0)
        sound[begin : start + len(wave)] = wave[begin - start :]
    tenths = sound[: len(sound) // (rate // 10) * (rate // 10)].reshape(-1, rate // 10)
    return name, np.abs(tenths).mean(axis=1)


# What is not a video


def _text(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def _empty(folder: Path) -> Path:
    return _text(folder, "empty.mp4", "")


def _sound_only(folder: Path) -> Path:
    path = folder / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48_000)
        for frame in [*tone(0.5), None]:
            container.mux(stream.encode(frame))
    return path


def _no_frames(folder: Path) -> Path:
    path = folder / "still.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()
    return path


def _cut(folder: Path, share: float, ending: str = "mp4") -> Path:
    whole = Clip(frames=75).write(folder / f"whole.{ending}").read_bytes()
    path = folder / f"cut.{ending}"
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


def _faststart_cut(folder: Path) -> Path:
    """Cut where the pictures are, with the index before them whole."""
    plain = Clip(frames=75).write(folder / "plain.mp4")
    with (
        av.open(str(plain)) as source,
        av.open(str(folder / "fast.mp4"), "w", options={"movflags": "+faststart"}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    whole = (folder / "fast.mp4").read_bytes()
    path = folder / "fastcut.mp4"
    path.write_bytes(whole[: whole.index(b"mdat") + 1500])
    return path


def _playlist(folder: Path) -> Path:
    clip = Clip().write(folder / "part.ts")
    return _text(folder, "list.mp4", PLAYLIST.format(clip=clip))


def _concat(folder: Path) -> Path:
    clip = Clip().write(folder / "part.mp4")
    return _text(folder, "list.mp4", f"ffconcat version 1.0\nfile {clip.name}\n")


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty file": (_empty, "0 bytes"),
    "nothing there": (lambda folder: folder / "none.mp4", "no such file"),
    "folder": (lambda folder: folder, "is a folder"),
    "text": (lambda folder: _text(folder, "a.mp4", "hello\n" * 99), "not a video that can be read"),
    "zeros": (lambda folder: _text(folder, "z.mp4", "\0" * 5000), "not a video that can be read"),
    "picture": (lambda folder: _png(folder), "not a video that can be read"),
    "sound only": (_sound_only, "no pictures in it"),
    "zero frames": (_no_frames, "no frame|not a video that can be read"),
    "index cut off": (lambda folder: _cut(folder, 0.5), "not a video that can be read"),
    "pictures cut off": (_faststart_cut, r"truncated .* end at \d.\d\d s of 3.00 s"),
    "matroska cut off": (lambda folder: _cut(folder, 0.6, "mkv"), "truncated"),
    "playlist named mp4": (_playlist, "not a playlist"),
    "concat list": (_concat, "not a playlist"),
    "session description": (lambda folder: _text(folder, "a.sdp", SDP), "not a playlist"),
    "device": (lambda folder: Path("/dev/zero"), "not a regular file|no such file"),
    "protocol in a name": (lambda folder: Path("concat:a.mp4|b.mp4"), "no such file"),
}


def _png(folder: Path) -> Path:
    path = folder / "picture.mp4"
    path.write_bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    return path


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_a_video_is_one_error_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    make, message = BAD[name]
    (tmp_path / "in").mkdir()
    source = make(tmp_path / "in")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(VideoError, match=message) as caught:
        annotate(source, out / "out.mp4")
    assert "\n" not in str(caught.value)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (VideoLimits(max_pixels=128 * 96 - 1), "128 x 96: at most 12,287 pixels"),
        (VideoLimits(max_duration_s=0.9), "1 s long: at most 1 s"),
    ],
)
def test_too_large_videos_are_refused(limits: VideoLimits, message: str, tmp_path: Path) -> None:
    clip = Clip().write(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match=message):
        open_source(str(clip), limits=limits)


def test_times_that_are_forged_are_found_while_reading(tmp_path: Path) -> None:
    clip = Clip(frames=5, times_ms=lambda n: n * 40 if n < 4 else 10**9).write(tmp_path / "a.mkv")
    with pytest.raises(VideoError, match=r"1,000,000 s long|breaks off"):
        annotate(clip, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    "options", [{"start_s": -1.0}, {"start_s": 2.0, "end_s": 1.0}, {"start_s": 5.0}]
)
def test_impossible_parts_are_refused(options: dict[str, float], tmp_path: Path) -> None:
    clip = Clip().write(tmp_path / "a.mp4")
    with pytest.raises(ConfigError, match="start"):
        open_source(str(clip), **options)


def test_addresses_are_opened_only_when_said_so() -> None:
    with pytest.raises(ConfigError, match="--allow-network"):
        open_source("rtsp://127.0.0.1:1/x")
    with pytest.raises(VideoError, match=r"cannot be opened|no video"):
        open_source("rtsp://127.0.0.1:1/x", allow_network=True)


@pytest.mark.parametrize("name", ["http://localhost/a.mp4", "file:///etc/passwd", "tcp://a:1"])
def test_other_addresses_are_never_opened(name: str) -> None:
    with pytest.raises(VideoError, match=f"^{name}: only files, camera numbers and rtsp://"):
        open_source(name, allow_network=True)


def test_a_missing_camera_is_one_sentence() -> None:
    with pytest.raises(VideoError, match="no camera 77 on this machine"):
        open_source("77")


# What is kept


@pytest.mark.parametrize(
    "clip",
    [
        Clip(),
        Clip(fps=30, frames=12),
        Clip(times_ms=lambda n: n * 40 + n % 3 * 12),
        Clip(frames=1),
    ],
    ids=["25", "30", "variable", "one frame"],
)
def test_times_of_frames_are_kept(clip: Clip, tmp_path: Path) -> None:
    source = clip.write(tmp_path / "in.mp4")
    outcome = annotate(source, tmp_path / "out.mp4")
    assert (outcome.frames, outcome.complete) == (clip.frames, True)
    times, _ = decode(tmp_path / "out.mp4")
    assert times == pytest.approx(decode(source)[0], abs=1e-4)


@pytest.mark.parametrize(
    ("ending", "codec"), [("mkv", "libx264"), ("avi", "mpeg4"), ("ts", "libx264"), ("mov", "mpeg4")]
)
def test_containers_are_read(ending: str, codec: str, tmp_path: Path) -> None:
    source = Clip(codec=codec).write(tmp_path / f"in.{ending}")
    assert annotate(source, tmp_path / "out.mp4").frames == 25
    times, _ = decode(tmp_path / "out.mp4")
    assert np.diff(times) == pytest.approx(0.04, abs=1e-3)


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_frames_are_turned_upright(rotation: float, tmp_path: Path) -> None:
    clip = Clip(rotation=rotation, frames=2)
    source = clip.write(tmp_path / "in.mp4")
    opened = open_source(str(source))
    upright = np.rot90(clip.picture(0.0), round(rotation / 90))
    assert opened.info.size_hw == upright.shape[:2]
    outcome = run(opened, fake_predictor(), [VideoWriter(tmp_path / "out.mp4", opened)])
    assert outcome.frames == 2
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert frame.rotation == 0
        shown = frame.to_ndarray(format="rgb24")
    corners = np.s_[:8:7, :8:7]
    assert shown[corners] == pytest.approx(upright[corners], abs=12)
    assert shown.shape == upright.shape


@pytest.mark.parametrize("size_hw", [(97, 129), (96, 129), (33, 200), (16, 16)])
def test_odd_sizes_become_even_without_moving_a_pixel(
    size_hw: tuple[int, int], tmp_path: Path
) -> None:
    source = Clip(size_hw=size_hw, codec="ffv1", frames=3).write(tmp_path / "in.mkv")
    annotate(source, tmp_path / "out.mp4")
    _, (image, *_) = decode(tmp_path / "out.mp4")
    assert image.shape[:2] == tuple(side + side % 2 for side in size_hw)
    assert image[2, 2].astype(int) == pytest.approx(BACKGROUND, abs=8)


@pytest.mark.parametrize(
    ("ending", "sound"), [("mp4", "aac"), ("mkv", "libopus"), ("avi", "pcm_s16le")]
)
def test_sound_is_kept_in_step(ending: str, sound: str, tmp_path: Path) -> None:
    """The note begins in the middle of the clip, before and after."""
    source = Clip(frames=50, sound=sound).write(tmp_path / f"in.{ending}")
    annotate(source, tmp_path / "out.mp4")
    name, heard = loudness(tmp_path / "out.mp4")
    assert name == "aac"
    loud = heard > heard.max() / 2
    assert loud.tolist() == [False] * 10 + [True] * 10 + [False] * (len(loud) - 20)


def test_a_part_keeps_pictures_and_sound_together(tmp_path: Path) -> None:
    source = Clip(frames=50, sound="aac").write(tmp_path / "in.mp4")
    outcome = annotate(source, tmp_path / "out.mp4", start_s=0.6, end_s=1.6)
    assert outcome == Outcome(25, pytest.approx(1.0), complete=True)
    times, _ = decode(tmp_path / "out.mp4")
    assert times == pytest.approx(np.arange(25) / 25, abs=1e-3)
    _, heard = loudness(tmp_path / "out.mp4")
    loud = heard > heard.max() / 2
    assert loud.tolist()[:9] == [False] * 4 + [True] * 5


def test_browsers_can_play_the_result(tmp_path: Path) -> None:
    annotate(Clip(sound="aac").write(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    content = (tmp_path / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(tmp_path / "out.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")


def test_readings_are_drawn(tmp_path: Path) -> None:
    source = Clip(size_hw=(240, 320), frames=3).write(tmp_path / "in.mp4")
    annotate(source, tmp_path / "out.mp4")
    _, before = decode(source)
    _, after = decode(tmp_path / "out.mp4")
    changed = np.abs(before[1].astype(int) - after[1]).max(axis=2) > 60
    assert 50 < changed.sum() < changed.size / 2


# All or nothing


def outputs_of(folder: Path, source: VideoFile) -> list[object]:
    return [
        VideoWriter(folder / "out.mp4", source),
        CsvTable(folder / "out.csv"),
        JsonLines(folder / "out.jsonl"),
        ParquetTable(folder / "out.parquet"),
    ]


def test_tables_agree(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    clip = Clip(frames=30, brightness=lambda t: 30 if t < 0.6 else 250)
    source = open_source(str(clip.write(tmp_path / "in.mp4")))
    run(source, fake_predictor(), outputs_of(tmp_path, source))
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    table = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert len(rows) == len(lines) == len(table) == 30
    for row, line, typed in zip(rows, lines, table, strict=True):
        (face,) = line["faces"]
        assert int(row["frame"]) == line["frame"] == typed["frame"]
        assert float(row["time_s"]) == line["time_s"] == typed["time_s"]
        assert row["emotion"] == face["emotion"] == typed["emotion"]
        assert int(row["identity"]) == face["identity"] == typed["identity"] == 1
        assert float(row["confidence"]) == pytest.approx(typed["confidence"])
    assert (rows[0]["emotion"], rows[-1]["emotion"]) == ("angry", "surprise")


def test_stopping_finishes_what_there_is(tmp_path: Path) -> None:
    source = open_source(str(Clip(frames=50, sound="aac").write(tmp_path / "in.mp4")))
    seen: list[FrameReadings] = []
    outcome = run(
        source,
        fake_predictor(),
        outputs_of(tmp_path, source)[:3],
        on_frame=seen.append,
        stop=lambda: len(seen) == 10,
    )
    assert (outcome.frames, outcome.complete) == (10, False)
    assert len(decode(tmp_path / "out.mp4")[0]) == 10
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 11
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 10


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_an_error_on_the_way_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    clip = Clip().write(tmp_path / "in.mp4")
    out = tmp_path / "out"
    out.mkdir()
    (out / "out.csv").write_text("of before")
    source = open_source(str(clip))

    def fail(frame: FrameReadings) -> None:
        if frame.index == 5:
            raise error

    expected = VideoError if error is OSError else error
    with pytest.raises(expected):
        run(source, fake_predictor(), outputs_of(out, source)[:3], on_frame=fail)
    assert [path.name for path in out.iterdir()] == ["out.csv"]
    assert (out / "out.csv").read_text() == "of before"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.avi", "ending in .mp4"),
        ("none/out.mp4", "cannot write"),
        ("in.mp4", "that is read"),
        ("folder.mp4", "is a folder"),
    ],
)
def test_outputs_that_cannot_be_are_refused(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    source = open_source(str(Clip().write(tmp_path / "in.mp4")))
    with pytest.raises(ConfigError, match=message):
        VideoWriter(tmp_path / name, source)
    source.close()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'mien\[video\]'"):
        ParquetTable(tmp_path / "out.parquet")
    assert list(tmp_path.iterdir()) == []


# Following


@pytest.mark.parametrize(
    ("every", "fps", "looks"),
    [(None, 25, 13), (None, 10, 25), (None, 60, 7), (1, 25, 25), (5, 25, 5)],
)
def test_the_detector_looks_only_now_and_then(
    every: int | None, fps: int, looks: int, tmp_path: Path
) -> None:
    predictor = fake_predictor()
    detector, count = predictor.detector, 0

    def counted(image: Image) -> object:
        nonlocal count
        count += 1
        return detector(image)

    predictor.detector = counted  # type: ignore[assignment]
    source = open_source(str(Clip(fps=fps).write(tmp_path / "in.mp4")))
    followed = list(follow(source.frames(), predictor, FollowOptions(every=every)))
    source.close()
    assert count == looks
    for frame in followed:
        (reading,) = frame.readings
        assert reading.identity == 1
        assert reading.face.box.x == pytest.approx(10 + 20 * frame.time_s, abs=4)


def test_looking_less_than_at_every_frame_is_refused() -> None:
    with pytest.raises(ConfigError, match="every"):
        FollowOptions(every=0)


def test_the_slow_get_the_newest_frame(tmp_path: Path) -> None:
    source = open_source(str(Clip(frames=15).write(tmp_path / "in.mp4")))
    latest = Latest(source, paced=True)
    times = []
    for frame in latest.frames():
        times.append(frame.time_s)
        if len(times) == 1:
            time.sleep(0.3)
    latest.close()
    assert times == sorted(set(times))
    assert len(times) + latest.dropped == 15
    assert latest.dropped >= 3


def test_a_real_portrait_is_followed(astronaut: Image, tmp_path: Path) -> None:
    """The true detector, on a face that moves."""
    from mien.faces import CenterFace
    from mien.predictor import Predictor
    from mien.runtime import FakeSession

    path = tmp_path / "in.mp4"
    shifts = [np.array([[0.5, 0, 20 + 4 * number], [0, 0.5, -5]]) for number in range(8)]
    pictures = [
        np.asarray(cv2.warpAffine(astronaut, shift, (320, 240)), np.uint8) for shift in shifts
    ]
    path.write_bytes(encode_clip(pictures, fps=25))
    source = open_source(str(path))
    followed = list(follow(source.frames(), Predictor(CenterFace(), FakeSession())))
    source.close()
    assert [[each.identity for each in frame.readings] for frame in followed] == [[1]] * 8
    moved = followed[-1].readings[0].face.box.x - followed[0].readings[0].face.box.x
    assert moved == pytest.approx(28, abs=5)
