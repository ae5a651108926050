"""A job's progress, followed without running the rest of the page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mien.webapp.jobs import Job

__all__ = ["follow", "follow_each"]

_EVERY_S = 0.5


def follow(job: Job[Any], noun: str, key: str) -> None:
    """Show a running job until it ends, then run the page again.

    Args:
        noun: what is counted, in the plural.
    """

    @st.fragment(run_every=_EVERY_S)
    def poll() -> None:
        if not job.running:
            st.rerun()
        _show(job, noun, key)

    poll()


def follow_each(job: Job[Any], noun: str, key: str) -> None:
    """Show a running job, and run the page again whenever more of it is done."""
    shown = job.state.done

    @st.fragment(run_every=_EVERY_S)
    def poll() -> None:
        if not job.running or job.state.done > shown:
            st.rerun()
        _show(job, noun, key)

    poll()


def _show(job: Job[Any], noun: str, key: str) -> None:
    state, left_s = job.state, job.state.left_s()
    known = f" of {state.total:,}" if state.total else ""
    text = f"{state.done:,}{known} {noun} read" if state.done or known else "Opening …"
    if left_s is not None and left_s >= 1:
        text += f", about {_duration(left_s)} left"
    st.progress(state.share, text=text)
    if st.button("Stop and keep what is done", key=key, icon=":material/stop_circle:"):
        job.stop()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
