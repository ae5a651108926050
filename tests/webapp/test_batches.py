from __future__ import annotations

import csv
import io
import json
import threading
import zipfile
from dataclasses import dataclass

import pytest

from mien.errors import InputError
from mien.predictor import Predictor
from mien.types import EMOTIONS
from mien.webapp.archives import ArchiveLimits
from mien.webapp.batches import Batch, collect, read_all
from mien.webapp.jobs import Job, JobState
from mien.webapp.pictures import PictureResult, key_of, read_picture
from mien.webapp.tables import annotated_zip, counts, overview, results_csv, results_json

from .conftest import MakeZip, jpeg


@dataclass
class Upload:
    name: str
    content: bytes

    def getvalue(self) -> bytes:
        return self.content


def gather(*files: Upload, limits: ArchiveLimits | None = None) -> Batch:
    return collect(files, lambda file: io.BytesIO(file.getvalue()), limits)


def test_pictures_of_files_and_archives_are_collected(make_zip: MakeZip) -> None:
    assert gather() == Batch(())
    packed = make_zip({"x/a.jpg": b"1", "note.txt": b"2"}).getvalue()
    batch = gather(Upload("b.png", b"3"), Upload("c.ZIP", packed))
    assert [(name, load()) for name, load in batch.pictures] == [("b.png", b"3"), ("x/a.jpg", b"1")]
    assert batch.skipped == 1


def test_too_many_pictures_are_refused(make_zip: MakeZip) -> None:
    with pytest.raises(InputError, match="these are 2 pictures, at most 1"):
        gather(Upload("a.jpg", b""), Upload("b.jpg", b""), limits=ArchiveLimits(max_pictures=1))


def test_a_picture_that_cannot_be_read_is_a_result_and_not_the_end(
    make_zip: MakeZip, predictor: Predictor
) -> None:
    packed = bytearray(make_zip({"a.jpg": jpeg(90), "b.jpg": jpeg()}).getvalue())
    packed[60] ^= 0xFF
    batch = gather(Upload("x.zip", bytes(packed)), Upload("no.jpg", b"text"))
    state = JobState()
    damaged, good, foreign = read_all(batch, predictor)(state)
    assert state.done == 3
    assert "damaged" in str(damaged.error)
    assert "this is not an image" in str(foreign.error)
    assert [reading.top for reading in good.readings] == ["happy"]


def test_stopping_keeps_what_is_done(predictor: Predictor) -> None:
    state = JobState(3)

    def last() -> bytes:
        state.wish_stop()
        return jpeg()

    batch = Batch((("a.jpg", jpeg), ("b.jpg", last), ("c.jpg", jpeg)))
    assert [each.name for each in read_all(batch, predictor)(state)] == ["a.jpg", "b.jpg"]


def test_job_ends_with_a_result_or_an_error_in_words() -> None:
    gate = threading.Event()

    def work(state: JobState) -> int:
        gate.wait(5)
        state.report(2)
        return 7

    job = Job(work, total=4)
    assert job.running
    assert job.state.share == 0
    gate.set()
    job.wait(5)
    assert (job.running, job.result, job.error, job.state.share) == (False, 7, "", 0.5)

    def refuse(state: JobState) -> int:
        raise InputError("it is no use")

    failed = Job(refuse)
    failed.wait(5)
    assert (failed.result, failed.error) == (None, "it is no use")

    broken = Job(lambda state: 1 // 0)
    broken.wait(5)
    assert "ZeroDivisionError" in broken.error


def test_time_left_follows_the_pace() -> None:
    state = JobState(10)
    assert state.left_s() is None
    assert JobState().share == 0
    state.report(2)
    assert state.left_s(state.started_s + 4) == pytest.approx(16)


@pytest.fixture
def results(predictor: Predictor) -> list[PictureResult]:
    pictures = (
        ("two.jpg", jpeg(200, 40, 120)),
        ("dark.png", jpeg(30)),
        ("black.jpg", jpeg(0)),
        ("no.jpg", b"text"),
    )
    return [read_picture(name, data, predictor) for name, data in pictures]


def test_picture_is_read_with_all_that_is_shown(results: list[PictureResult]) -> None:
    two, dark, black, broken = results
    assert two.size_hw == (40, 120)
    assert len(two.readings) == len(two.thumbs) == 2
    assert all(thumb.startswith(b"\xff\xd8") for thumb in (*two.thumbs, two.annotated))
    assert dark.readings[0].uncertain
    assert (black.readings, black.error) == ((), None)
    assert (broken.readings, broken.annotated) == ((), b"")
    assert key_of(b"a") != key_of(b"b")


def test_large_picture_is_shown_smaller(predictor: Predictor) -> None:
    from mien.images import probe

    result = read_picture("large.jpg", jpeg(200, 100, 3200), predictor)
    assert result.size_hw == (100, 3200)
    assert probe(result.annotated) == (50, 1600)


def test_face_beyond_the_border_has_a_thumb(predictor: Predictor) -> None:
    from mien.types import Box, Face

    predictor.detector = lambda image: (
        Face(Box(-30, -30, 40, 40), 0.9),
        Face(Box(500, 500, 9, 9), 0.9),
    )
    assert len(read_picture("a.jpg", jpeg(), predictor).thumbs) == 2


def test_csv_has_a_line_for_every_face_and_every_picture(results: list[PictureResult]) -> None:
    assert results_csv([]).count("\n") == 1
    rows = list(csv.DictReader(io.StringIO(results_csv(results))))
    assert [row["image"] for row in rows] == [
        "two.jpg",
        "two.jpg",
        "dark.png",
        "black.jpg",
        "no.jpg",
    ]
    assert [row["emotion"] for row in rows] == ["happy", "happy", "sad", "", ""]
    assert "not an image" in rows[-1]["error"]
    total = sum(float(value) for name, value in rows[0].items() if name.startswith("probab"))
    assert total == pytest.approx(1)


def test_json_is_a_list_of_images(results: list[PictureResult]) -> None:
    assert json.loads(results_json([])) == []
    content = json.loads(results_json(results))
    assert [len(each.get("faces", ())) for each in content] == [2, 1, 0, 0]
    assert content[-1]["error"]["code"] == "unsupported_image"


def test_counts_and_overview(results: list[PictureResult]) -> None:
    assert set(counts([]).values()) == {0}
    found = counts(results)
    assert list(found) == list(EMOTIONS)
    assert (found["happy"], found["sad"]) == (2, 1)
    assert overview([]) == []
    rows = overview(results)
    assert [row.get("face", "")[:10] for row in rows] == ["data:image"] * 3 + ["", ""]
    assert [row["note"] for row in rows[:4]] == ["", "", "uncertain", "no face found"]
    assert rows[4]["note"].endswith(".")


def test_zip_of_annotated_pictures_keeps_names_apart_and_inside(predictor: Predictor) -> None:
    names = ["a/b.png", "a/b.jpg", "../c.jpg", "/d.jpg", "..", "e.jpg"]
    results = [read_picture(name, jpeg(), predictor) for name in names]
    results.append(read_picture("no.jpg", b"", predictor))
    with zipfile.ZipFile(io.BytesIO(annotated_zip(results))) as archive:
        assert archive.namelist() == [
            "a/b.jpg",
            "a/b-2.jpg",
            "c.jpg",
            "d.jpg",
            "picture.jpg",
            "e.jpg",
        ]
        assert archive.read("e.jpg").startswith(b"\xff\xd8")
