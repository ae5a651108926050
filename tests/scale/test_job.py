from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mien.errors import ConfigError, InputError, ModelError
from mien.scale.job import Job, Options


@pytest.mark.parametrize("name", ["part_images", "frames_per_s"])
def test_numbers_are_above_zero(name: str) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        Options(**{name: 0})


@pytest.mark.parametrize(
    ("sources", "model", "error", "message"),
    [
        (["none"], None, InputError, "no such file"),
        (["."], "none.onnx", ModelError, "no such model file"),
    ],
)
def test_what_cannot_be_planned_leaves_no_folder(
    tmp_path: Path, model: str, sources: list[str], error: type[Exception], message: str
) -> None:
    out = tmp_path / "out"

    with pytest.raises(error, match=message):
        Job.open(str(out), sources, Options(model=model))

    assert not out.exists()


def test_a_folder_with_other_files_is_left_alone(photos: Path, model: str) -> None:
    with pytest.raises(ConfigError, match="holds other files"):
        Job.open(str(photos), [str(photos)], Options(model=model))


@pytest.mark.parametrize("base", ["{}", "file://{}"])
def test_a_job_is_taken_up_as_it_was_planned(
    tmp_path: Path, photos: Path, model: str, base: str
) -> None:
    folder = base.format(tmp_path / "out.parquet")
    options = Options(model=model, part_images=3)
    job = Job.open(folder, [str(photos)], options)

    assert (job.parts, job.images) == (3, 8)
    assert job.missing() == [0, 1, 2]
    assert Job.read(folder) == job
    (tmp_path / "out.parquet" / "part-000001.parquet").touch()
    assert Job.open(folder, [str(photos)], options).missing() == [0, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"abstain": True}, "begun with abstain False, now it is True"),
        ({"part_images": 4}, "part_images 3"),
        ({"sources": ["*.jpg"]}, "sources"),
        ({"model": None}, "model"),
    ],
)
def test_two_jobs_are_not_mixed(
    tmp_path: Path, photos: Path, model: str, change: dict[str, object], message: str
) -> None:
    folder = str(tmp_path / "out")
    options = Options(model=model, part_images=3)
    Job.open(folder, [str(photos)], options)
    sources = change.pop("sources", [str(photos)])

    with pytest.raises(ConfigError, match=message):
        Job.open(folder, sources, replace(options, **change))


def test_a_job_is_not_taken_up_from_another_folder(
    tmp_path: Path, photos: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(tmp_path / "out")
    monkeypatch.chdir(photos)
    Job.open(folder, ["."], Options(model=model))
    monkeypatch.chdir(photos.parent)

    with pytest.raises(ConfigError, match="begun with the folder"):
        Job.open(folder, ["."], Options(model=model))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no manifest"),
        (b"[]", "no manifest"),
        (b"{}", "no manifest"),
        ({"mien": "0.0"}, "begun by mien 0.0"),
        ({"options": {"new": 1}}, "no manifest"),
    ],
)
def test_a_manifest_that_is_not_ours_is_told(
    tmp_path: Path, photos: Path, model: str, content: bytes | dict[str, object], message: str
) -> None:
    folder = tmp_path / "out"
    Job.open(str(folder), [str(photos)], Options(model=model))
    place = folder / "_manifest.json"
    if isinstance(content, dict):
        content = json.dumps(json.loads(place.read_bytes()) | content).encode()
    place.write_bytes(content)

    with pytest.raises(ConfigError, match=message):
        Job.open(str(folder), [str(photos)], Options(model=model))


@pytest.mark.parametrize(("images", "parts"), [(1, 1), (40, 3)])
def test_small_jobs_have_small_parts(
    tmp_path: Path, face: bytes, model: str, images: int, parts: int
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(images):
        (source / f"{number}.jpg").touch()

    assert Job.open(str(tmp_path / "out"), [str(source)], Options(model=model)).parts == parts
