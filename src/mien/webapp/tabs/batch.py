"""Many pictures at once: a table, the distribution, and files to take away."""

from __future__ import annotations

import io

import streamlit as st
from pandas import DataFrame

from mien.errors import InputError
from mien.images import IMAGE_ENDINGS
from mien.palette import colors_of, ink_on
from mien.predictor import Predictor
from mien.webapp.archives import ArchiveLimits
from mien.webapp.batches import collect, read_all
from mien.webapp.jobs import Job
from mien.webapp.markup import distribution, empty_state, sentence
from mien.webapp.pictures import PictureResult
from mien.webapp.tables import (
    OVERVIEW_COLUMNS,
    annotated_zip,
    counts,
    overview,
    results_csv,
    results_json,
)
from mien.webapp.tabs.progress import follow

__all__ = ["show"]

_JOB, _RESULTS, _ERROR, _SKIPPED, _ZIP = (
    f"mien_batch_{name}" for name in ("job", "results", "error", "skipped", "zip")
)
_NO_IMAGE = "there is no image in it; mien reads JPEG, PNG, WebP, BMP, GIF and TIFF"
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
        follow(job, "photos", "mien_batch_stop")
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
                f"Up to {most} photos, loose or in a ZIP archive. You get a table, the "
                "distribution of expressions, CSV and JSON, and every photo annotated.",
            )
        )


def _take_files(predictor: Predictor) -> None:
    files = st.file_uploader(
        "Drop photos or a ZIP archive of them",
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
            st.session_state[_ERROR] = (
                "there is no image in it; mien reads JPEG, PNG, WebP, BMP, GIF and TIFF"
            )
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
    figures[0].metric("Photos", len(results))
    figures[1].metric("Faces", len(faces))
    figures[2].metric("Uncertain", sum(reading.uncertain for reading in faces))
    figures[3].metric("Not readable", failed)
    if skipped := st.session_state.get(_SKIPPED):
        st.caption(f"{skipped} other files in the archive were left out.")
    chart, table = st.columns([2, 3], gap="large")
    with chart:
        st.markdown("## Faces by expression")
        st.html(distribution(counts(results, labels)))
    with table:
        st.markdown("## Every face")
        _show_table(results, labels)
    _offer_downloads(results, labels)


def _show_table(results: list[PictureResult], labels: tuple[str, ...]) -> None:
    table = DataFrame(overview(results), columns=OVERVIEW_COLUMNS)
    table["confidence"] *= 100
    table = table.fillna({name: "" for name in OVERVIEW_COLUMNS if name != "confidence"})
    plates = {
        label: f"background-color: {color}; color: {ink_on(color)}"
        for label, color in colors_of(labels).items()
    }
    st.dataframe(
        table.style.map(lambda label: plates.get(str(label).lower(), ""), subset=["expression"]),
        hide_index=True,
        row_height=44,
        column_config={
            "face": st.column_config.ImageColumn("Face", width=60),
            "image": st.column_config.TextColumn("Photo", width="small"),
            "expression": st.column_config.TextColumn("Expression", width=100),
            "confidence": st.column_config.ProgressColumn(
                "Confidence", min_value=0, max_value=100, format="%d %%", width=120
            ),
            "note": st.column_config.TextColumn("Note", width="medium"),
            "likely": st.column_config.TextColumn("Prediction set"),
        },
    )


def _offer_downloads(results: list[PictureResult], labels: tuple[str, ...]) -> None:
    if _ZIP not in st.session_state:
        st.session_state[_ZIP] = annotated_zip(results)
    files = (
        ("CSV", results_csv(results, labels), "mien-batch.csv", "text/csv"),
        ("JSON", results_json(results), "mien-batch.json", "application/json"),
        ("Annotated photos", st.session_state[_ZIP], "mien-annotated.zip", "application/zip"),
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
