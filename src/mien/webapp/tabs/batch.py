"""Many pictures at once: a table, the distribution, and files to take away."""

from __future__ import annotations

import io

import streamlit as st

from mien.errors import InputError
from mien.images import IMAGE_ENDINGS
from mien.predictor import Predictor
from mien.webapp.archives import ArchiveLimits
from mien.webapp.batches import collect, read_all
from mien.webapp.jobs import Job
from mien.webapp.markup import distribution, empty_state, sentence
from mien.webapp.pictures import PictureResult
from mien.webapp.tables import annotated_zip, counts, overview, results_csv, results_json
from mien.webapp.tabs.progress import follow

__all__ = ["show"]

_JOB, _RESULTS, _ERROR, _SKIPPED, _ZIP = (
    f"mien_batch_{name}" for name in ("job", "results", "error", "skipped", "zip")
)
_TYPES = sorted(ending.lstrip(".") for ending in {*IMAGE_ENDINGS, ".zip"})


def show(predictor: Predictor) -> None:
    """Take files, follow the work, show the results until new ones come."""
    job: Job[list[PictureResult]] | None = st.session_state.get(_JOB)
    if job is not None and not job.running:
        _take_over(job)
        job = None
    if job is None:
        _take_files(predictor)
    else:
        follow(job, "pictures", "mien_batch_stop")
        return
    if error := st.session_state.get(_ERROR):
        st.error(sentence(error))
    if results := st.session_state.get(_RESULTS):
        _show_results(results, predictor)
    elif not error:
        most = ArchiveLimits().max_pictures
        st.html(
            empty_state(
                "A folder's worth of faces",
                f"Up to {most} pictures, loose or in a ZIP archive. You get a table, the "
                "distribution of emotions, CSV and JSON, and every picture annotated.",
            )
        )


def _take_files(predictor: Predictor) -> None:
    files = st.file_uploader(
        "Drop pictures or a ZIP archive of them",
        type=_TYPES,
        accept_multiple_files=True,
        key="mien_batch_files",
    )
    if files and st.button("Read them", type="primary", icon=":material/play_arrow:"):
        for name in (_ERROR, _RESULTS, _ZIP):
            st.session_state.pop(name, None)
        try:
            batch = collect(files, lambda file: io.BytesIO(file.getvalue()))
        except InputError as error:
            st.session_state[_ERROR] = str(error)
            return
        if not batch.pictures:
            st.session_state[_ERROR] = "there is no picture in it: JPEG, PNG, WebP, BMP, GIF, TIFF"
            return
        st.session_state[_SKIPPED] = batch.skipped
        st.session_state[_JOB] = Job(read_all(batch, predictor), len(batch.pictures))
        st.rerun()


def _take_over(job: Job[list[PictureResult]]) -> None:
    del st.session_state[_JOB]
    st.session_state[_RESULTS] = job.result
    if job.error:
        st.session_state[_ERROR] = job.error


def _show_results(results: list[PictureResult], predictor: Predictor) -> None:
    labels = predictor.labels
    faces = [reading for each in results for reading in each.readings]
    failed = sum(each.error is not None for each in results)
    figures = st.columns(4)
    figures[0].metric("Pictures", len(results))
    figures[1].metric("Faces", len(faces))
    figures[2].metric("Uncertain", sum(reading.uncertain for reading in faces))
    figures[3].metric("Not readable", failed)
    if skipped := st.session_state.get(_SKIPPED):
        st.caption(f"{skipped} other files in the archive were left out.")
    chart, table = st.columns([2, 3], gap="large")
    with chart:
        st.markdown("##### Faces by emotion")
        st.html(distribution(counts(results, labels)))
    with table:
        st.markdown("##### Every face")
        _show_table(results, labels)
    _offer_downloads(results, labels)


def _show_table(results: list[PictureResult], labels: tuple[str, ...]) -> None:
    st.dataframe(
        overview(results),
        hide_index=True,
        column_config={
            "image": st.column_config.TextColumn("Picture", width="medium"),
            "face": st.column_config.TextColumn("Face", width="small"),
            "emotion": st.column_config.TextColumn("Emotion", width="small"),
            "confidence": st.column_config.ProgressColumn(
                "Confidence", min_value=0, max_value=1, format="percent"
            ),
            "likely": st.column_config.TextColumn("Likely"),
            "note": st.column_config.TextColumn("Note"),
        },
    )


def _offer_downloads(results: list[PictureResult], labels: tuple[str, ...]) -> None:
    if _ZIP not in st.session_state:
        st.session_state[_ZIP] = annotated_zip(results)
    files = (
        ("CSV", results_csv(results, labels), "mien-batch.csv", "text/csv"),
        ("JSON", results_json(results), "mien-batch.json", "application/json"),
        ("Annotated pictures", st.session_state[_ZIP], "mien-annotated.zip", "application/zip"),
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
                key=f"{_JOB}_{name}",
            )
