"""Identities and smoothing, on made sequences whose truth is known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest

from mien.card import Calibration
from mien.errors import ConfigError
from mien.types import EMOTIONS, Box, Face, Point, Reading
from mien.video.tracking import Tracker, TrackingRules, Tracks, expected, step

HAPPY, NEUTRAL, SAD = (EMOTIONS.index(name) for name in ("happy", "neutral", "sad"))
Place = tuple[float, float, float]  # centre x and y, side, in pixels


def read(place: Place, shares: Sequence[float] | None = None) -> Reading:
    x, y, side = place
    box = Box(round(x - side / 2), round(y - side / 2), round(side), round(side))
    values = tuple(shares) if shares is not None else (1 / 7,) * 7
    return Reading(Face(box, 0.9, (Point(x, y),)), values)


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


@dataclasses.dataclass(frozen=True)
class Scene:
    """People who walk; ``paths`` give place by time, ``hidden`` who is not detected then."""

    paths: tuple[Callable[[float], Place], ...]
    hidden: Callable[[int, float], bool] = lambda person, t: False
    fps: float = 25.0
    seconds: float = 6.0
    jitter: float = 0.03  # of the side: what detected boxes of a still face vary by
    misses: float = 0.0

    def frames(self, seed: int = 0) -> Iterator[tuple[float, list[int], list[Reading]]]:
        """Yield time, who is seen, and their readings in a random order."""
        rng = np.random.default_rng(seed)
        for number in range(round(self.seconds * self.fps)):
            t = number / self.fps
            seen = [
                person
                for person in range(len(self.paths))
                if not self.hidden(person, t) and rng.random() >= self.misses
            ]
            rng.shuffle(seen)
            places = []
            for person in seen:
                x, y, side = self.paths[person](t)
                dx, dy, grow = rng.normal(0, self.jitter, 3) * (side, side, 1)
                places.append((x + dx, y + dy, side * (1 + grow)))
            yield t, seen, [read(place) for place in places]


def switches(scene: Scene, seed: int = 0, every: int = 1) -> tuple[int, int]:
    """Return how often a person's number changed, and how many numbers were given."""
    tracker = Tracker()
    numbers: dict[int, int] = {}
    given, changed = set(), 0
    for index, (t, seen, readings) in enumerate(scene.frames(seed)):
        if index % every:
            tracker.follow([read_face(face) for face in tracker.expected(t)], t, searched=False)
            continue
        followed = tracker.follow(readings, t)
        for person, reading in zip(seen, followed, strict=True):
            assert reading.identity is not None
            changed += numbers.get(person, reading.identity) != reading.identity
            numbers[person] = reading.identity
            given.add(reading.identity)
    return changed, len(given)


def read_face(face: Face) -> Reading:
    return Reading(face, (1 / 7,) * 7)


def crossing(speed: float, side: float = 60.0) -> tuple[Callable[[float], Place], ...]:
    return (
        lambda t: (100 + speed * t, 200, side),
        lambda t: (100 + speed * 6 - speed * t, 215, side * 0.95),
    )


def overlapping(paths: tuple[Callable[[float], Place], ...]) -> Callable[[int, float], bool]:
    """The second person is behind the first while they overlap by half."""

    def hidden(person: int, t: float) -> bool:
        (ax, _, side), (bx, _, _) = paths[0](t), paths[1](t)
        return person == 1 and abs(ax - bx) < side / 2

    return hidden


def still(x: float) -> Callable[[float], Place]:
    return lambda t: (x, 200.0, 60.0)


def nodding(x: float) -> Callable[[float], Place]:
    return lambda t: (x + 25 * math.sin(4 * t), 200 + 15 * math.sin(7 * t), 60 + 4 * math.sin(t))


SCENES = {
    "nobody": (Scene(()), 0),
    "one": (Scene((still(100),)), 1),
    "side by side, nodding": (Scene((nodding(100), nodding(190), nodding(280))), 3),
    "missed now and then": (Scene((nodding(100), nodding(200)), misses=0.3), 2),
    "hidden for a second": (
        Scene((nodding(100), nodding(300)), lambda who, t: who == 0 and 2 < t < 3),
        2,
    ),
    "crossing slowly": (Scene(crossing(60), overlapping(crossing(60))), 2),
    "crossing fast": (Scene(crossing(180), overlapping(crossing(180))), 2),
    "crossing, both seen": (Scene(crossing(100)), 2),
    "crossing at 8 frames/s": (Scene(crossing(100), overlapping(crossing(100)), fps=8), 2),
    "walking past someone": (
        Scene(
            (lambda t: (40 + 90 * t, 210.0, 80.0), still(300)),
            lambda who, t: who == 1 and abs(40 + 90 * t - 300) < 45,
        ),
        2,
    ),
    "coming nearer": (Scene((lambda t: (100 + 20 * t, 200.0, 40 * math.exp(0.3 * t)),)), 1),
}


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("every", [1, 3])
def test_identities_stay_with_people(name: str, every: int) -> None:
    scene, people = SCENES[name]
    for seed in range(3):
        assert switches(scene, seed, every) == (0, people), f"seed {seed}"


def test_someone_gone_for_long_is_met_anew() -> None:
    scene = Scene((still(100),), lambda who, t: 1 < t < 5)
    assert switches(scene) == (1, 2)


def test_someone_elsewhere_is_someone_else() -> None:
    tracker = Tracker()
    (first,) = tracker.follow([read((100, 100, 50))], 0.0)
    (second,) = tracker.follow([read((400, 100, 50))], 0.04)
    (third,) = tracker.follow([read((100, 100, 150))], 0.08)
    assert len({first.identity, second.identity, third.identity}) == 3


def test_nothing_but_identity_and_probabilities_changes() -> None:
    before = read((100, 100, 50), (0.1,) * 6 + (0.4,))
    (after,) = Tracker().follow([before], 3.5)
    assert after.identity == 1
    assert (after.face, after.labels) == (before.face, before.labels)
    assert after.probabilities == before.probabilities


def test_step_is_pure() -> None:
    start = Tracks()
    one, _ = step(start, [read((100, 100, 50))], 0.0, TrackingRules())
    again = [step(one, [read((104, 100, 50))], 0.04, TrackingRules()) for _ in range(2)]
    assert again[0] == again[1]
    assert start == Tracks()
    assert step(start, [], 1.0, TrackingRules())[1] == ()


def test_expected_faces_move_on_with_their_landmarks() -> None:
    tracker = Tracker()
    assert tracker.expected(0.0) == ()
    for number in range(26):
        tracker.follow([read((100 + 4 * number, 100, 50))], number * 0.04)
    (face,) = tracker.expected(26 * 0.04)
    assert face.box.x + face.box.w / 2 == pytest.approx(204, abs=1.5)
    assert face.landmarks[0].x == pytest.approx(204, abs=1.5)


def test_faces_that_left_are_not_expected() -> None:
    state, _ = step(Tracks(), [read((100, 100, 50))], 0.0, TrackingRules())
    assert len(expected(state, 0.04)) == 1
    state, _ = step(state, [], 0.04, TrackingRules())
    assert expected(state, 0.04) == ()


def test_time_that_runs_back_starts_anew() -> None:
    tracker = Tracker()
    tracker.follow([read((100, 100, 50))], 10.0)
    (after,) = tracker.follow([read((100, 100, 50))], 0.0)
    assert after.identity == 2


@pytest.mark.parametrize("field", ["smooth_s", "forget_s"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_impossible_times_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=field):
        TrackingRules(**{field: value})


def smooth(shares: np.ndarray, times_s: np.ndarray, rules: TrackingRules) -> list[Reading]:
    tracker = Tracker(rules)
    return [
        tracker.follow([read((100, 100, 50), row.tolist())], time_s)[0]
        for row, time_s in zip(shares, times_s, strict=True)
    ]


def noisy(means: np.ndarray, times_s: np.ndarray, std: float, seed: int) -> np.ndarray:
    """Return softmax of logits (T, 7) with noise that remembers 0.08 s."""
    rng = np.random.default_rng(seed)
    noise = np.zeros(7)
    rows = []
    for mean, dt in zip(means, np.diff(times_s, prepend=-1.0), strict=True):
        memory = math.exp(-dt / 0.08)
        noise = memory * noise + math.sqrt(1 - memory**2) * rng.normal(0, std, 7)
        rows.append(softmax(mean + noise))
    return np.array(rows)


def logits(label: int, height: float, count: int) -> np.ndarray:
    rows = np.zeros((count, 7))
    rows[:, label] = height
    return rows


def irregular(count: int, mean_dt: float) -> np.ndarray:
    """Times of a source that drops frames."""
    return np.cumsum(np.random.default_rng(9).uniform(0.2, 1.8, count) * mean_dt)


def changes_of(readings: Sequence[Reading]) -> int:
    tops = [reading.top for reading in readings]
    return sum(a != b for a, b in pairwise(tops))


@pytest.mark.parametrize("mean_dt", [1 / 60, 1 / 25, 1 / 10])
def test_smoothing_does_not_flicker(mean_dt: float) -> None:
    """One minute in which the raw readings switch label several times a second."""
    times = irregular(round(60 / mean_dt), mean_dt)
    means = logits(HAPPY, 2.5, len(times))
    means[:, NEUTRAL] = 0.5
    raw = noisy(means, times, 1.0, seed=3)
    flicker = changes_of(smooth(raw, times, TrackingRules(smooth_s=0)))
    assert flicker > 100
    assert changes_of(smooth(raw, times, TrackingRules())) < flicker / 10


@pytest.mark.parametrize("fps", [8, 15, 25, 60])
@pytest.mark.parametrize(("before", "after"), [(4.0, 4.0), (9.0, 3.5), (3.0, 6.0)])
@pytest.mark.parametrize("smooth_s", [0.0, 0.3, 0.6, 2.0])
def test_a_real_change_shows_within_03_seconds(
    fps: float, before: float, after: float, smooth_s: float
) -> None:
    times = np.arange(round(4 * fps)) / fps
    half = len(times) // 2
    means = np.concatenate([logits(HAPPY, before, half), logits(SAD, after, len(times) - half)])
    for seed in range(4):
        readings = smooth(noisy(means, times, 0.3, seed), times, TrackingRules(smooth_s=smooth_s))
        assert all(reading.top == "happy" for reading in readings[1:half])
        first = next(i for i in range(half, len(times)) if readings[i].top == "sad")
        assert times[first] - times[half] <= 0.3
        assert all(reading.top == "sad" for reading in readings[first:])


def test_smoothing_counts_time_not_frames() -> None:
    """The same face, read twice as often, is smoothed alike."""
    values = []
    for fps in (30, 60):
        times = np.arange(3 * fps) / fps
        means = np.where((times < 1)[:, None], logits(HAPPY, 1.0, 1), logits(SAD, 0.7, 1))
        readings = smooth(softmax(means), times, TrackingRules())
        values.append([readings[round(t * fps)].probabilities[SAD] for t in (1.3, 1.6, 2.0, 2.9)])
    assert values[0] == pytest.approx(values[1], abs=0.01)


def test_smoothed_probabilities_follow_the_rules_of_the_card() -> None:
    rules = TrackingRules(Calibration(set_threshold=0.2, abstain_below=0.6))
    sure, torn = np.zeros(7), np.zeros(7)
    sure[HAPPY], torn[HAPPY], torn[SAD] = 1.0, 0.52, 0.48
    times = np.arange(100) / 25
    readings = smooth(np.array([sure] + [torn] * 99), times, rules)
    assert (readings[0].set, readings[0].uncertain) == (("happy",), False)
    assert (readings[-1].set, readings[-1].uncertain) == (("happy", "sad"), True)
    for reading in readings:
        assert sum(reading.probabilities) == pytest.approx(1, abs=1e-9)


def test_a_long_absence_leaves_nothing_of_the_old_reading() -> None:
    sure, other = np.zeros(7), np.zeros(7)
    sure[HAPPY], other[SAD] = 1.0, 1.0
    readings = smooth(np.array([sure, other]), np.array([0.0, 1.9]), TrackingRules())
    assert readings[1].identity == 1
    assert readings[1].probabilities[SAD] > 0.95
