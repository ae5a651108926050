"""Photos and camera snapshots, kept in an album for as long as the page is open."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from importlib import resources

import streamlit as st

from mien.images import IMAGE_ENDINGS
from mien.predictor import Predictor
from mien.webapp.markup import empty_state, face_card, sentence
from mien.webapp.pictures import PictureResult, key_of, read_picture
from mien.webapp.tables import results_csv, results_json

__all__ = ["show"]

_ALBUM, _UPLOADS, _SHOTS = "mien_album", "mien_photo_uploads", "mien_photo_shots"
_MOST_PHOTOS = 30
_FACES_IN_SIGHT = 4
_FILES, _CAMERA = "Files", "Camera"

_Album = dict[str, PictureResult]


def show(predictor: Predictor) -> None:
    """Take photos, and show what was read in them, newest first."""
    album: _Album = st.session_state.setdefault(_ALBUM, {})
    sources = {_FILES: ":material/upload: Files", _CAMERA: ":material/photo_camera: Camera"}
    source = st.segmented_control(
        "Where the picture comes from",
        list(sources),
        format_func=sources.__getitem__,
        default=_FILES,
        key="mien_photo_source",
        label_visibility="collapsed",
    )
    if source == _CAMERA:
        _take_snapshot(album, predictor)
    else:
        _take_files(album, predictor)
    if not album:
        _invite(album, predictor)
        return
    _offer_downloads(album, predictor)
    for key, result in reversed(list(album.items())):
        _show_photo(key, result, album, predictor)


def _take_files(album: _Album, predictor: Predictor) -> None:
    # A new key empties the box once its files are in the album: they are not read twice, and
    # stay when the box is used again.
    uploads = st.session_state.setdefault(_UPLOADS, 0)
    files = st.file_uploader(
        "Drop photos here, or choose them",
        type=sorted(ending.lstrip(".") for ending in IMAGE_ENDINGS),
        accept_multiple_files=True,
        key=f"mien_photos_{uploads}",
    )
    if files:
        _add(album, ((file.name, file.getvalue()) for file in files), len(files), predictor)
        st.session_state[_UPLOADS] = uploads + 1
        st.rerun()


def _take_snapshot(album: _Album, predictor: Predictor) -> None:
    left, _ = st.columns([3, 2])
    shot = left.camera_input("Look into the camera and take a snapshot", key="mien_camera")
    if shot is None:
        return
    shots: dict[str, str] = st.session_state.setdefault(_SHOTS, {})
    key = key_of(shot.getvalue())
    # a snapshot that was removed from the album is still in the box: it is not read again
    if key not in shots:
        shots[key] = f"Snapshot {len(shots) + 1}.jpg"
        _add(album, [(shots[key], shot.getvalue())], 1, predictor)


def _invite(album: _Album, predictor: Predictor) -> None:
    picture, words = st.columns([1, 2], gap="large", vertical_alignment="center")
    example = resources.files("mien") / "assets" / "astronaut.jpg"
    picture.image(example.read_bytes(), width="stretch")
    words.html(
        empty_state(
            "What does a face show?",
            "Drop one photo or several: every face is found, framed and read, with all seven "
            "probabilities and how sure they are.",
        )
    )
    if words.button("Try it with this picture", type="primary", icon=":material/play_arrow:"):
        _add(album, [("astronaut.jpg", example.read_bytes())], 1, predictor)
        st.rerun()
    words.caption("Eileen Collins, NASA: in the public domain.")


def _add(
    album: _Album, pictures: Iterable[tuple[str, bytes]], count: int, predictor: Predictor
) -> None:
    """Read what is not in the album yet; each is kept as soon as it is read."""
    with st.spinner("Reading …" if count == 1 else f"Reading {count} pictures …"):
        for name, data in pictures:
            key = key_of(data)
            if key not in album:
                album[key] = read_picture(name, data, predictor)
    while len(album) > _MOST_PHOTOS:
        del album[next(iter(album))]
        st.toast(f"Only the newest {_MOST_PHOTOS} photos are kept here; Batch takes more.")


def _offer_downloads(album: _Album, predictor: Predictor) -> None:
    results, labels = list(album.values()), predictor.session.card.labels
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "CSV",
            results_csv(results, labels),
            "mien-photos.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="mien_photo_csv",
        )
        st.download_button(
            "JSON",
            results_json(results),
            "mien-photos.json",
            "application/json",
            icon=":material/download:",
            on_click="ignore",
            key="mien_photo_json",
        )
        st.button("Clear all", on_click=album.clear, type="tertiary", key="mien_photo_clear")


def _show_photo(key: str, result: PictureResult, album: _Album, predictor: Predictor) -> None:
    with st.container(border=True):
        title, remove = st.columns([5, 1], vertical_alignment="center")
        title.markdown(f"**{_plain(result.name)}**")
        remove.button(
            "Remove",
            key=f"mien_remove_{key}",
            on_click=album.pop,
            args=(key, None),
            type="tertiary",
            width="stretch",
        )
        if result.error is not None:
            st.error(sentence(str(result.error)))
            return
        picture, faces = st.columns([3, 2], gap="large")
        picture.image(result.annotated, width="stretch")
        picture.download_button(
            "Annotated picture",
            result.annotated,
            f"{result.name.rsplit('.', 1)[0]}-mien.jpg",
            "image/jpeg",
            icon=":material/download:",
            on_click="ignore",
            type="tertiary",
            key=f"mien_annotated_{key}",
        )
        with faces:
            _show_faces(result, predictor)


def _show_faces(result: PictureResult, predictor: Predictor) -> None:
    if not result.readings:
        st.html(
            empty_state(
                "No face found",
                "Faces are found from about 20 pixels on, if they look towards the camera.",
            )
        )
        return
    coverage = predictor.session.card.confidence.coverage
    cards = [
        face_card(reading, coverage, _data_uri(thumb))
        for reading, thumb in zip(result.readings, result.thumbs, strict=True)
    ]
    if len(cards) > 1:
        st.caption(f"{len(cards)} faces, surest found first")
    for card in cards[:_FACES_IN_SIGHT]:
        st.html(card)
    if more := cards[_FACES_IN_SIGHT:]:
        with st.expander(f"{len(more)} more faces"):
            st.html("".join(more))


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _plain(name: str) -> str:
    """Return a file's name as text, whatever Markdown it looks like."""
    return "".join(f"\\{each}" if each in r"\`*_{}[]()<>#+-.!|~$:" else each for each in name)
