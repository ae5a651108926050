"""A video: read frame by frame with identities, then played with what was read drawn on it."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import streamlit as st

from mien.images import encode
from mien.predictor import Predictor
from mien.webapp.jobs import Job
from mien.webapp.markup import (
    TimelineRow,
    data_uri,
    empty_state,
    sentence,
    swatches,
    time_shares,
    timeline,
)
from mien.webapp.tabs.progress import follow

if TYPE_CHECKING:
    from mien.video.story import Person
    from mien.webapp.clips import ClipResult

__all__ = ["show"]

_JOB, _RESULT, _ERROR = (f"mien_video_{name}" for name in ("job", "result", "error"))
_TYPES = ["mp4", "mov", "m4v", "webm", "mkv", "avi", "mpg", "mpeg", "ogv", "wmv", "flv", "gif"]


def show(predictor: Predictor) -> None:
    """Take a video, follow the work, play the result until a new one comes.

    Raises:
        MissingExtra: what reads videos is not installed.
    """
    from mien.webapp.clips import read_clip

    job: Job[ClipResult] | None = st.session_state.get(_JOB)
    if job is not None and not job.running:
        _take_over(job)
        job = None
    if job is not None:
        follow(job, "frames", "mien_video_stop")
        return
    file = st.file_uploader("Drop a video here, or choose one", type=_TYPES, key="mien_video_file")
    if file is not None and st.button(
        "Read the video", type="primary", icon=":material/play_arrow:"
    ):
        for name in (_ERROR, _RESULT):
            st.session_state.pop(name, None)
        st.session_state[_JOB] = Job(read_clip(file.name, file.getvalue(), predictor))
        st.rerun()
    if error := st.session_state.get(_ERROR):
        st.error(sentence(error))
    if result := st.session_state.get(_RESULT):
        _show_result(result, predictor)
    elif not error:
        st.html(
            empty_state(
                "Faces over time",
                "Each person keeps a number and a colour for every moment. You get the video "
                "with the readings drawn on it, its sound kept, a timeline, CSV and JSON.",
            )
        )


def _take_over(job: Job[ClipResult]) -> None:
    del st.session_state[_JOB]
    if job.result is not None:
        st.session_state[_RESULT] = job.result
    if job.error:
        st.session_state[_ERROR] = job.error


def _show_result(result: ClipResult, predictor: Predictor) -> None:
    outcome = result.outcome
    if not outcome.complete:
        st.info(f"Stopped: this is the first {outcome.duration_s:.1f} s.")
    if outcome.damaged:
        st.warning(f"{outcome.damaged} damaged parts of the video were left out.")
    player, _ = st.columns([3, 1])  # a whole page of video leaves no room for its timeline
    player.video(str(result.video))
    if result.people:
        rows = [_row(person) for person in result.people]
        st.html(timeline(rows, outcome.duration_s) + swatches(predictor.labels))
        _seek_on_click()
        st.caption(
            f"{len(rows)} {'person' if len(rows) == 1 else 'people'}: how long each was seen, and "
            "which expressions led. Choose one to go there. Paler: uncertain."
        )
    else:
        st.html(empty_state("No face found", "Nobody in this video faces the camera."))
    _offer_downloads(result)


def _row(person: Person) -> TimelineRow:
    thumb = "" if person.thumbnail is None else data_uri(encode(person.thumbnail))
    return TimelineRow(
        f"Person {person.identity}",
        time_shares(person.seen_s, person.shares, person.uncertain_share),
        [
            (each.start_s, each.end_s, each.emotion, each.uncertain_share > 0.5)
            for each in person.episodes
        ],
        thumb,
    )


def _seek_on_click() -> None:
    script = resources.files("mien.webapp") / "static" / "seek.js"
    seek = st.components.v2.component("mien_seek", js=script.read_text(encoding="utf-8"))
    seek(key="mien_seek")


def _offer_downloads(result: ClipResult) -> None:
    stem = result.name.rsplit(".", 1)[0]
    files = (
        ("Annotated video", result.video.read_bytes(), f"{stem}-mien.mp4", "video/mp4"),
        ("Timeline", result.text_of("timeline.html"), f"{stem}-mien.html", "text/html"),
        ("CSV", result.text_of("readings.csv"), f"{stem}-mien.csv", "text/csv"),
        ("Summary", result.summary(), f"{stem}-mien-summary.json", "application/json"),
        ("JSON lines", result.text_of("readings.jsonl"), f"{stem}-mien.jsonl", "application/jsonl"),
    )
    with st.container(horizontal=True):
        for label, data, name, mime in files:
            st.download_button(
                label,
                data,
                name,
                mime,
                icon=":material/download:",
                on_click="ignore",
                key=f"{_RESULT}_{label}",
            )
