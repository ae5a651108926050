"""The camera, live: a script in the page sends frames one by one and draws what comes back.

No second port and no outside server: frames take the page's own connection, where WebRTC
would need a STUN server for anyone who is not on this machine.
"""

from __future__ import annotations

import time

import streamlit as st

from mien.predictor import Predictor
from mien.video.tracking import Tracker, TrackingRules
from mien.webapp.components import component, look_of
from mien.webapp.frames import answer_frame
from mien.webapp.markup import swatches

__all__ = ["show"]

_KEY, _TRACKER, _ANSWER = "mien_live", "mien_live_tracker", "mien_live_answer"


def show(predictor: Predictor) -> None:
    """Show the camera with boxes and bars; it starts when the person says so."""
    _live(predictor)
    st.html(swatches(predictor.labels))


@st.fragment
def _live(predictor: Predictor) -> None:
    draw = component("live")
    draw(
        key=_KEY,
        data={**look_of(predictor), "answer": st.session_state.get(_ANSWER)},
        on_frame_change=lambda: _answer(predictor),
    )


def _answer(predictor: Predictor) -> None:
    """Read the frame that has come; runs before the component is shown again."""
    frame = st.session_state[_KEY].get("frame")
    if not isinstance(frame, dict):
        return
    tracker = st.session_state.get(_TRACKER)
    if tracker is None or frame.get("first"):
        tracker = Tracker(TrackingRules(predictor.calibration))
        st.session_state[_TRACKER] = tracker
    st.session_state[_ANSWER] = answer_frame(frame, predictor, tracker, time.monotonic())
