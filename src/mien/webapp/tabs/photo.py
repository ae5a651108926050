"""Photos and camera snapshots, kept in an album for as long as the page is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import streamlit as st

from mien.faces import smallest_face_of
from mien.images import IMAGE_ENDINGS
from mien.predictor import Predictor
from mien.webapp.components import component, look_of
from mien.webapp.jobs import Job, JobState
from mien.webapp.markup import data_uri, empty_state, sentence
from mien.webapp.pictures import PictureResult, key_of, read_picture
from mien.webapp.reasons import Reasons, explain_picture
from mien.webapp.tables import results_csv, results_json
from mien.webapp.tabs.progress import follow_each
from mien.wire import reading_to_dict

__all__ = ["show"]

_ALBUM, _UPLOADS, _SHOTS = "mien_album", "mien_photo_uploads", "mien_photo_shots"
_REASONS, _JOB = "mien_photo_reasons", "mien_photo_job"
_MOST_PHOTOS = 30
_AT_ONCE_S = 0.4  # a photo or two are read within it, and no bar is worth showing
_FILES, _CAMERA = "Files", "Camera"

_WHY_HELP = (
    "Each face is read again with one place hidden at a time, and coloured by what that changes. "
    "It shows what the model looks at, not whether it is right."
)
_WHY_LEGEND = (
    ":red[**Red**]: what the reading rests on; with it hidden, the expression is less likely. "
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
    _follow_reading()
    if not album:
        if _JOB not in st.session_state:
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
        _add(album, [(file.name, file.getvalue()) for file in files], predictor)
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
        _add(album, [(shots[key], shot.getvalue())], predictor)


def _invite(album: _Album, predictor: Predictor) -> None:
    picture, words = st.columns([1, 2], gap="large", vertical_alignment="center")
    example = resources.files("mien") / "assets" / "astronaut.jpg"
    portrait = data_uri(example.read_bytes())
    picture.html(f'<img class="mien-photo" src="{portrait}" alt="Portrait of a smiling astronaut">')
    words.html(
        empty_state(
            "What does a face show?",
            "Drop one photo or several. Every face is found and read: a calibrated probability "
            "for each expression, and “uncertain” where none is likely enough.",
        )
    )
    if words.button("Try it with this photo", type="primary", icon=":material/play_arrow:"):
        _add(album, [("astronaut.jpg", example.read_bytes())], predictor)
        st.rerun()
    words.caption("Eileen Collins, NASA: in the public domain.")


def _add(album: _Album, photos: Sequence[tuple[str, bytes]], predictor: Predictor) -> None:
    """Begin to read what is not in the album yet, after what is being read already."""
    earlier: Job[None] | None = st.session_state.get(_JOB)
    job = Job(_reading(album, photos, predictor, earlier), len(photos))
    job.wait(_AT_ONCE_S)
    st.session_state[_JOB] = job


def _reading(
    album: _Album,
    photos: Sequence[tuple[str, bytes]],
    predictor: Predictor,
    earlier: Job[None] | None,
) -> Callable[[JobState], None]:
    """Return the work of a job: each photo is in the album as soon as it is read."""

    def work(state: JobState) -> None:
        if earlier is not None:
            earlier.wait()
        for number, (name, data) in enumerate(photos, 1):
            if state.stop_wished:
                break
            key = key_of(data)
            if key not in album:
                album[key] = read_picture(name, data, predictor, keep=True)
            while len(album) > _MOST_PHOTOS:
                del album[next(iter(album))]
            state.report(number)

    return work


def _follow_reading() -> None:
    job: Job[None] | None = st.session_state.get(_JOB)
    if job is None:
        return
    if job.running:
        follow_each(job, "photos", "mien_photo_stop")
        return
    del st.session_state[_JOB]
    if job.error:
        st.error(sentence(job.error))
    if job.state.total > _MOST_PHOTOS:
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
        if not result.readings:
            st.html(_no_face(result, predictor))
            return
        draw = component("photo")
        draw(key=f"mien_photo_{key}", data=_shown(result, predictor, reasons))
        if 0 < len(reasons.tiles) < len(result.readings):
            st.caption(f"The {len(reasons.tiles)} clearest faces are explained.")
        st.download_button(
            "Annotated photo",
            reasons.annotated or result.annotated,
            f"{result.name.rsplit('.', 1)[0]}-mien.jpg",
            "image/jpeg",
            icon=":material/download:",
            on_click="ignore",
            type="tertiary",
            key=f"mien_annotated_{key}",
        )


def _shown(result: PictureResult, predictor: Predictor, reasons: Reasons) -> dict[str, Any]:
    """Return what ``static/photo.js`` draws."""
    height, width = result.size_hw
    faces = [
        {**reading_to_dict(reading), "identity": number}
        for number, reading in enumerate(result.readings, 1)
    ]
    for face, tile, words in zip(faces, reasons.tiles, reasons.words, strict=False):
        face["reason"] = {"image": data_uri(tile), "words": words}
    plain = result.kept.photo if result.kept else result.annotated
    return {
        **look_of(predictor),
        "name": result.name,
        "image": data_uri(reasons.ground or plain),
        "reading": {"width": width, "height": height, "faces": faces},
    }


def _no_face(result: PictureResult, predictor: Predictor) -> str:
    height, width = result.size_hw
    words = "mien looks for faces that look towards the camera"
    if smallest := smallest_face_of(predictor.detector):
        least_px = max(smallest.px, smallest.fraction * min(height, width))
        words += f", from about {least_px:.0f} pixels on in a photo of {width} × {height}"
    return empty_state("No face found", f"{words}.")


def _plain(name: str) -> str:
    """Return a file's name as text, whatever Markdown it looks like."""
    return "".join(f"\\{each}" if each in r"\`*_{}[]()<>#+-.!|~$:" else each for each in name)
