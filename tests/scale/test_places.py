from __future__ import annotations

import os
import sys
from pathlib import Path

import fsspec
import pytest

from mien.errors import ConfigError, InputError
from mien.scale import places


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.scale.places._FIRST_PAUSE_S", 0.0)


@pytest.mark.parametrize("base", ["{}/folder", "file://{}/folder"])
def test_a_file_appears_whole_or_not_at_all(
    tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = base.format(tmp_path)
    assert places.list_names(folder) == set()
    Path(tmp_path / "folder").mkdir()

    places.write_whole(places.joined(folder, "a"), b"old")
    places.write_whole(places.joined(folder, "a"), b"new")

    assert places.list_names(folder) == {"a"}
    with places.open_binary(places.joined(folder, "a")) as file:
        assert file.read() == b"new"


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path / "a")
    places.write_whole(place, b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigError, match="No space left"):
        places.write_whole(place, b"new")

    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_no_more_is_fetched_than_asked_for() -> None:
    fsspec.filesystem("memory").pipe_file("/places/a", b"0123456789")

    assert places.fetch("memory://places/a", 4) == b"0123"
    with pytest.raises(InputError, match="no such file"):
        places.fetch("memory://places/none", 4)


@pytest.mark.parametrize(("failures", "told"), [(0, False), (3, False), (4, True)])
def test_networks_are_given_several_chances(
    monkeypatch: pytest.MonkeyPatch, failures: int, told: bool
) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/places/b", b"content")
    left = [failures]
    fetch = files.cat_file

    def sometimes(*arguments: object, **named: object) -> bytes:
        if left[0]:
            left[0] -= 1
            raise TimeoutError("slow")
        return fetch(*arguments, **named)

    monkeypatch.setattr(type(files), "cat_file", lambda _, *a, **k: sometimes(*a, **k))
    if told:
        with pytest.raises(ConfigError, match="cannot be reached: TimeoutError: slow"):
            places.fetch("memory://places/b", 10)
    else:
        assert places.fetch("memory://places/b", 10) == b"content"


@pytest.mark.parametrize(
    ("address", "message"),
    [("nowhere://a/b", "nowhere"), ("s3://bucket/key", r"mien\[cloud\]|cannot be reached")],
)
def test_file_systems_that_are_not_installed_are_named(
    monkeypatch: pytest.MonkeyPatch, address: str, message: str
) -> None:
    if address.startswith("s3"):
        monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ConfigError, match=message):
        places.open_binary(address)
