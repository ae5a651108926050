"""Photos and camera snapshots, kept in an album for as long as the page is open."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from importlib import resources
from itertools import zip_longest

import streamlit as st

from mien.images import IMAGE_ENDINGS
from mien.predictor import Predictor
from mien.webapp.markup import empty_state, face_card, sentence
from mien.webapp.pictures import PictureResult, key_of, read_picture
from mien.webapp.reasons import Reasons, explain_picture
from mien.webapp.tables import results_csv, results_json

__all__ = ["show"]

_ALBUM, _UPLOADS, _SHOTS = "mien_album", "mien_photo_uploads", "mien_photo_shots"
_REASONS = "mien_photo_reasons"
_MOST_PHOTOS = 30
_FACES_IN_SIGHT = 4
_FILES, _CAMERA = "Files", "Camera"

_WHY_HELP = (
    "Each face is read again and again with one place hidden, and coloured by what that changes. "
    "It tells what the model looks at, not whether it is right."
)
_WHY_LEGEND = (
    ":red[**Red**]: what the reading rests on; with it hidden, the emotion is less likely. "
    ":blue[**Blue**]: what speaks against it. Full colour is the largest change in a face."
)

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
    why = st.toggle("Show why", key="mien_photo_why", help=_WHY_HELP)
    if why:
        st.caption(_WHY_LEGEND)
    for key, result in reversed(list(album.items())):
        reasons = _reasons_of(key, result, album, predictor) if why else Reasons()
        _show_photo(key, result, album, predictor, reasons)


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
                album[key] = read_picture(name, data, predictor, keep=True)
    while len(album) > _MOST_PHOTOS:
        del album[next(iter(album))]
        st.toast(f"Only the newest {_MOST_PHOTOS} photos are kept here; Batch takes more.")


def _offer_downloads(album: _Album, predictor: Predictor) -> None:
    results, labels = list(album.values()), predictor.labels
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


def _reasons_of(key: str, result: PictureResult, album: _Album, predictor: Predictor) -> Reasons:
    """Explain a photo once, for as long as it is in the album."""
    found: dict[str, Reasons] = st.session_state.setdefault(_REASONS, {})
    for gone in found.keys() - album.keys():
        del found[gone]
    if key not in found:
        with st.spinner(f"Looking for reasons in {_plain(result.name)} …"):
            found[key] = explain_picture(result, predictor)
    return found[key]


def _remove(album: _Album, key: str) -> None:
    album.pop(key, None)


def _show_photo(
    key: str, result: PictureResult, album: _Album, predictor: Predictor, reasons: Reasons
) -> None:
    with st.container(border=True):
        title, remove = st.columns([5, 1], vertical_alignment="center")
        title.markdown(f"**{_plain(result.name)}**")
        remove.button(
            "Remove",
            key=f"mien_remove_{key}",
            on_click=_remove,
            args=(album, key),
            type="tertiary",
            width="stretch",
        )
        if result.error is not None:
            st.error(sentence(str(result.error)))
            return
        picture, faces = st.columns([3, 2], gap="large")
        annotated = reasons.annotated or result.annotated
        picture.image(annotated, width="stretch")
        picture.download_button(
            "Annotated picture",
            annotated,
            f"{result.name.rsplit('.', 1)[0]}-mien.jpg",
            "image/jpeg",
            icon=":material/download:",
            on_click="ignore",
            type="tertiary",
            key=f"mien_annotated_{key}",
        )
        with faces:
            _show_faces(result, predictor, reasons)


def _show_faces(result: PictureResult, predictor: Predictor, reasons: Reasons) -> None:
    if not result.readings:
        st.html(
            empty_state(
                "No face found",
                "Faces are found from about 20 pixels on, if they look towards the camera.",
            )
        )
        return
    coverage = predictor.calibration.coverage
    whys = [
        (_data_uri(tile), words) for tile, words in zip(reasons.tiles, reasons.words, strict=True)
    ]
    cards = [
        face_card(reading, coverage, _data_uri(thumb), why)
        for reading, thumb, why in zip_longest(result.readings, result.thumbs, whys)
    ]
    if len(cards) > 1:
        left_out = f"; the first {len(whys)} explained" if 0 < len(whys) < len(cards) else ""
        st.caption(f"{len(cards)} faces, surest found first{left_out}")
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
