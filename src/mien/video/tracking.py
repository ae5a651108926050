"""Identities over the frames of a video, and probabilities that hold still.

    rules = TrackingRules(card.calibration)
    tracker = Tracker(rules)                      # one per video, camera or socket
    readings = tracker.follow(readings, time_s)   # of one frame: with identities, smoothed

Time is what counts here, in seconds, never the number of frames: a video of variable rate and
a socket that drops frames are followed alike. On frames that no detector looks at,
``tracker.expected(time_s)`` gives the faces to read.

A face is followed by a Kalman filter (in units of its own size, its speed dying away) through
frames where it is not seen, and found again by the assignment of least total cost, so that
faces that cross keep their numbers. The assignment is ``lap``'s: 3 MB, NumPy only. The
trackers there are (norfair, trackers, supervision) bring SciPy, Matplotlib and more with them,
360 to 660 MB, and count frames where time is needed here.

Source:
    Bewley et al. 2016, Simple Online and Realtime Tracking (motion and assignment);
    Casiez et al. 2012, the 1 euro filter (slow while nothing changes, quick when it does).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from mien.calibration import prediction_set
from mien.card import Calibration
from mien.errors import ConfigError, MissingExtra
from mien.faces import why_uncertain
from mien.types import Box, Face, Point, Reading

__all__ = ["Track", "Tracker", "TrackingRules", "Tracks", "expected", "step"]

# Motion, in sides of the face (the geometric mean of width and height) and seconds.
_ACCELERATION_DENSITY = 4.0  # sides^2 / s^3: heads start and stop; 2 sides/s after a second
_SPEED_LASTS_S = 1.0  # time constant by which a speed is lost: who nods comes back
_FIRST_SPEED_STD = 1.5  # sides / s, of a face just met
_MEASURED_STD = 0.06  # sides, of a detected box's centre
_SIZE_LOG_STD = 0.15  # of the ratio of two measured sides

_GATE_SIGMAS = 4.0  # a face farther than this from where it is expected is another one
_GATE_SIDES = 2.0  # and however long it was not seen, farther than this too

# Smoothing. On a minute of made readings at 25 frames/s, with noise of standard deviation 1 on
# the logits, the raw label switches 350 times and the smoothed one once; a change of the truth
# shows after 0.22 s at the latest (tests/video/test_tracking.py has both).
_QUICK_S = 0.1
_SAME, _OTHER = 0.2, 0.5  # half the summed difference of two readings: noise, a real change

_Shares: TypeAlias = tuple[float, ...]
_UNCALIBRATED = Calibration()


@dataclass(frozen=True, slots=True)
class TrackingRules:
    """How faces are followed and readings smoothed.

    Attributes:
        confidence: of the model's card; smoothed readings get their set and their
            uncertainty by it.
        smooth_s: time constant in seconds of the smoothing while nothing changes; a real
            change shows within 0.3 s whatever it is. 0 leaves probabilities as they are.
        forget_s: a face not seen for longer gets a new number when it comes back.

    Raises:
        ConfigError: a time is negative or not finite.
    """

    confidence: Calibration = _UNCALIBRATED
    smooth_s: float = 0.6
    forget_s: float = 2.0

    def __post_init__(self) -> None:
        for name in ("smooth_s", "forget_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} must be 0 seconds or more, not {value}")


class _Motion(NamedTuple):
    """Centre in pixels, velocity in pixels/s, and their variances in sides^2 (and / s, / s^2)."""

    x: float
    y: float
    dx: float
    dy: float
    var_x: float
    cov: float
    var_dx: float


@dataclass(frozen=True, slots=True)
class Track:
    """One person as far as known.

    Attributes:
        identity: its number, from 1.
        face: as it was last detected.
        motion: where it is expected now, and how surely.
        unseen_s: since it was last detected.
        unread_s: since it was last read.
        quick, steady: probabilities by the quick filter and by the one that is shown.
    """

    identity: int
    face: Face
    motion: _Motion
    quick: _Shares
    steady: _Shares
    unseen_s: float = 0.0
    unread_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Tracks:
    """The state between two frames: all that is known of the faces so far.

    ``unsearched_s`` is the time since a detector looked at a frame.
    """

    tracks: tuple[Track, ...] = ()
    next_identity: int = 1
    unsearched_s: float = 0.0


class Tracker:
    """Follows the faces of one source of frames. Not shared between threads.

    The times of its calls may be irregular but must not run backwards; if one does (a source
    that starts anew), all faces are met anew, with new numbers.
    """

    def __init__(self, rules: TrackingRules | None = None) -> None:
        self.rules = rules or TrackingRules()
        self.state = Tracks()
        self._time_s: float | None = None

    def follow(
        self, readings: Sequence[Reading], time_s: float, *, searched: bool = True
    ) -> tuple[Reading, ...]:
        """Return one frame's readings with identities and smoothed probabilities; see `step`."""
        dt_s = self._elapsed(time_s)
        self.state, followed = step(self.state, readings, dt_s, self.rules, searched=searched)
        self._time_s = time_s
        return followed

    def expected(self, time_s: float) -> tuple[Face, ...]:
        """Return where the faces are now by their motion; see the function `expected`."""
        dt_s = self._elapsed(time_s)
        return expected(self.state, dt_s)

    def _elapsed(self, time_s: float) -> float:
        if self._time_s is None:
            return 0.0
        if time_s < self._time_s:
            self.state = Tracks(next_identity=self.state.next_identity)
            return 0.0
        return time_s - self._time_s


def step(
    state: Tracks,
    readings: Sequence[Reading],
    dt_s: float,
    rules: TrackingRules,
    *,
    searched: bool = True,
) -> tuple[Tracks, tuple[Reading, ...]]:
    """Go on by one frame.

    Args:
        state: after the frame before; ``Tracks()`` at first.
        readings: of this frame, in any order.
        dt_s: time since the frame before, 0 or more.
        rules: how faces are followed.
        searched: a detector looked at this frame. If not, the readings are of faces that
            :func:`expected` gave: they tell expressions but nothing of where faces are.

    Returns:
        The new state, and the readings in the order given with ``identity`` set and
        probabilities, ``set`` and ``uncertain`` smoothed. All other fields are unchanged.

    Raises:
        MissingExtra: the package that assigns faces is not installed.
    """
    tracks = [_advance(track, dt_s) for track in state.tracks]
    partner = _assign(tracks, [reading.face for reading in readings])
    next_identity = state.next_identity
    followed = []
    for reading, index in zip(readings, partner, strict=True):
        if index is None:
            tracks.append(_first(reading, next_identity))
            next_identity += 1
            index = len(tracks) - 1
        else:
            seen = _corrected(tracks[index], reading.face) if searched else tracks[index]
            tracks[index] = _smoothed(seen, reading.probabilities, rules.smooth_s)
        followed.append(_shown(reading, tracks[index], rules.confidence))
    kept = tuple(track for track in tracks if track.unseen_s <= rules.forget_s)
    unsearched_s = 0.0 if searched else state.unsearched_s + dt_s
    return Tracks(kept, next_identity, unsearched_s), tuple(followed)


def expected(state: Tracks, dt_s: float) -> tuple[Face, ...]:
    """Return the faces of a frame ``dt_s`` later that no detector looks at.

    They are those the last searched frame had, moved on with box and landmarks.
    """
    return tuple(
        _moved(_advance(track, dt_s))
        for track in state.tracks
        if track.unseen_s <= state.unsearched_s
    )


def _advance(track: Track, dt_s: float) -> Track:
    m, q = track.motion, _ACCELERATION_DENSITY
    left = math.exp(-dt_s / _SPEED_LASTS_S)  # of the speed
    reach_s = _SPEED_LASTS_S * (1 - left)
    motion = _Motion(
        m.x + m.dx * reach_s,
        m.y + m.dy * reach_s,
        m.dx * left,
        m.dy * left,
        m.var_x + reach_s * (2 * m.cov + reach_s * m.var_dx) + q * dt_s**3 / 3,
        left * (m.cov + reach_s * m.var_dx) + q * dt_s**2 / 2,
        left**2 * m.var_dx + q * dt_s,
    )
    return replace(
        track, motion=motion, unseen_s=track.unseen_s + dt_s, unread_s=track.unread_s + dt_s
    )


def _first(reading: Reading, identity: int) -> Track:
    x, y = _centre(reading.face.box)
    motion = _Motion(x, y, 0.0, 0.0, _MEASURED_STD**2, 0.0, _FIRST_SPEED_STD**2)
    return Track(identity, reading.face, motion, reading.probabilities, reading.probabilities)


def _corrected(track: Track, face: Face) -> Track:
    m = track.motion
    x, y = _centre(face.box)
    total = m.var_x + _MEASURED_STD**2
    gain, gain_speed = m.var_x / total, m.cov / total
    motion = _Motion(
        m.x + gain * (x - m.x),
        m.y + gain * (y - m.y),
        m.dx + gain_speed * (x - m.x),
        m.dy + gain_speed * (y - m.y),
        (1 - gain) * m.var_x,
        (1 - gain) * m.cov,
        m.var_dx - gain_speed * m.cov,
    )
    return replace(track, face=face, motion=motion, unseen_s=0.0)


def _smoothed(track: Track, shares: _Shares, smooth_s: float) -> Track:
    quick = _towards(track.quick, shares, _part(track.unread_s, min(_QUICK_S, smooth_s)))
    change = sum(abs(a - b) for a, b in zip(quick, track.steady, strict=True)) / 2
    haste = min(max((change - _SAME) / (_OTHER - _SAME), 0.0), 1.0)
    slow = _part(track.unread_s, smooth_s)
    fast = _part(track.unread_s, min(_QUICK_S, smooth_s))
    steady = _towards(track.steady, quick, slow + (fast - slow) * haste)
    return replace(track, quick=quick, steady=steady, unread_s=0.0)


def _part(dt_s: float, constant_s: float) -> float:
    """Return how far an exponential filter goes towards a new value, 0 to 1."""
    return 1 - math.exp(-dt_s / constant_s) if constant_s > 0 else 1.0


def _towards(old: _Shares, new: _Shares, part: float) -> _Shares:
    return tuple(a + (b - a) * part for a, b in zip(old, new, strict=True))


def _shown(reading: Reading, track: Track, confidence: Calibration) -> Reading:
    shares = track.steady
    reasons = why_uncertain(max(shares), reading.visibility, confidence)
    return replace(
        reading,
        probabilities=shares,
        set=prediction_set(shares, reading.labels, confidence.set_threshold),
        uncertain=bool(reasons),
        reasons=reasons,
        identity=track.identity,
    )


def _assign(tracks: Sequence[Track], faces: Sequence[Face]) -> list[int | None]:
    """Return the index of each face's track, or ``None`` for a face that is new."""
    if not tracks or not faces:
        return [None] * len(faces)
    try:
        import lap
    except ImportError:
        raise MissingExtra("video", "lap") from None
    costs = np.array([[_cost(track, face) for track in tracks] for face in faces])
    possible = np.isfinite(costs)
    limit = float(costs[possible].max(initial=0.0)) + 1.0
    _, columns, _ = lap.lapjv(
        np.where(possible, costs, 4 * limit), extend_cost=True, cost_limit=2 * limit
    )
    return [
        int(column) if column >= 0 and possible[row, column] else None
        for row, column in enumerate(columns)
    ]


def _cost(track: Track, face: Face) -> float:
    """Return how badly a face fits a track; infinite if it is not the same.

    The squared distance from the expected place in standard deviations, plus twice the
    logarithm of its variance: a track whose place is known well goes before one that has
    been out of sight and could be anywhere.
    """
    m = track.motion
    x, y = _centre(face.box)
    side = _side(track.face.box)
    distance = math.hypot(x - m.x, y - m.y) / side
    variance = m.var_x + _MEASURED_STD**2
    growth = math.log(_side(face.box) / side) / _SIZE_LOG_STD
    if distance > min(_GATE_SIGMAS * math.sqrt(variance), _GATE_SIDES) or abs(growth) > 4:
        return math.inf
    return distance**2 / variance + growth**2 + 2 * math.log(variance / _MEASURED_STD**2)


def _moved(track: Track) -> Face:
    box, m = track.face.box, track.motion
    x, y = _centre(box)
    dx, dy = m.x - x, m.y - y
    return replace(
        track.face,
        box=Box(round(box.x + dx), round(box.y + dy), box.w, box.h),
        landmarks=tuple(Point(p.x + dx, p.y + dy) for p in track.face.landmarks),
    )


def _centre(box: Box) -> tuple[float, float]:
    return box.x + box.w / 2, box.y + box.h / 2


def _side(box: Box) -> float:
    return math.sqrt(max(box.w, 1) * max(box.h, 1))
