"""The model: what it is, how well it does, and what it is and is not for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from mien.card import ModelCard
from mien.notice import INTENDED_USE, PROHIBITED_USE
from mien.text import percent
from mien.webapp.markup import (
    class_table,
    confusion_table,
    empty_state,
    fields,
    reliability_plot,
)
from mien.webapp.reports import ClassFigures, find_report, headline_result, split_rows

__all__ = ["show"]


def show(card: ModelCard, model: Path | None) -> None:
    """Show the card, and the figures of the evaluation as far as they are recorded."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown(f"## {card.name} {card.version}")
        st.html(fields(_facts(card)))
    with right:
        st.markdown("## Use")
        st.success(f"**For:** {card.intended_use or INTENDED_USE}", icon=":material/check_circle:")
        st.error(f"**Not for:** {card.prohibited_use or PROHIBITED_USE}", icon=":material/block:")
    report = find_report(model) if model else None
    figures = headline_result(report, card.default_head) if report else None
    if card.metrics:
        st.markdown("## On test images")
        st.dataframe(split_rows(card), hide_index=True)
    if figures is not None:
        _show_figures(figures)
    elif not card.metrics:
        st.html(
            empty_state(
                "Not measured yet",
                "This model's card holds no figures. mien evaluate writes them, and a report "
                "with every class; put report.json beside the weights to see it here.",
            )
        )
    if card.protocol:
        st.caption(card.protocol)


def _facts(card: ModelCard) -> Sequence[tuple[str, str]]:
    confidence = card.calibration
    height, width = card.framing.size_hw
    facts: Mapping[str, str] = {
        "Reads": ", ".join(card.labels),
        "Size": f"{card.parameters:,} parameters" if card.parameters else "",
        "Work": f"{card.multiply_adds / 1e6:,.0f} million multiply-adds a face"
        if card.multiply_adds
        else "",
        "Sees": f"{width} x {height} grey pixels a face",
        "Sets": f"hold the true label with {percent(confidence.coverage)} probability",
        "Says uncertain": f"below {percent(confidence.abstain_below)} for the likeliest",
        "Data": card.data,
        "Files": ", ".join(
            f"{name} ({record.precision}, {record.size_bytes / 1e6:.1f} MB)"
            for name, record in card.files.items()
        ),
        "Licence": card.licence,
    }
    return [(name, value) for name, value in facts.items() if value]


def _show_figures(figures: ClassFigures) -> None:
    st.caption(f"Below: {figures.split}, {figures.count:,} faces.")
    classes, matrix = st.columns(2, gap="large")
    with classes:
        st.markdown("### Each expression")
        st.html(class_table(figures.per_class))
    with matrix:
        st.markdown("### What is taken for what")
        st.html(confusion_table(figures.labels, figures.confusion))
    if figures.reliability:
        plot, words = st.columns(2, gap="large", vertical_alignment="center")
        with plot:
            st.markdown("### Is it as sure as it should be?")
            confidence, right, share = zip(*figures.reliability, strict=True)
            st.html(reliability_plot(confidence, right, share, faces=figures.count))
        words.markdown(
            "Of the faces read with 70 % confidence, 70 % should be right: then the dots lie on "
            "the dashed line. Above it the model is too modest, below it too sure. A larger dot "
            "stands for more faces; an empty one for fewer than 20, too few to tell."
        )
