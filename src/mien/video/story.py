"""A video in summary: for each person the fraction of time per expression, and the episodes.

    story = Story()
    for frame in frames:
        story.add(frame.time_s, frame.readings, frame.image)
    for person in story.people():
        print(person.identity, person.shares, person.episodes)

Memory does not grow with the length of the video but with what happens in it: people and
episodes. The probabilities over time that a picture of them needs are kept in bins that get
wider as the video gets longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.faces import thumbnail
from mien.types import EMOTIONS, Image, Reading

__all__ = ["Episode", "Person", "Series", "Story", "episode_rows", "most_seen", "story_to_dict"]

_THUMBNAIL_PX = 96
_MOST_BINS = 1024  # per person
_FIRST_BIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of time in which one emotion leads, but for flashes.

    Attributes:
        emotion: the leading label.
        start_s, end_s: in the video.
        peak_s: when the emotion was most probable,
        peak: and how probable it was then, 0 to 1.
        uncertain_share: the fraction of its time in which readings were uncertain.
    """

    emotion: str
    start_s: float
    end_s: float
    peak_s: float
    peak: float
    uncertain_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Series:
    """Mean probabilities over time: bin ``i`` is ``bin_s`` long and starts at ``starts_s[i]``.

    Bins in which the person was not seen are left out. ``shares`` is (bins, labels).
    """

    bin_s: float
    starts_s: NDArray[np.float64]
    shares: NDArray[np.float64]


@dataclass(frozen=True)
class Person:
    """One identity over the whole video.

    Attributes:
        identity: its number.
        first_s, last_s: when it was first and last seen.
        seen_s: for how long in all.
        shares: by label, the part of ``seen_s`` in which it led; sum 1.
        mean_probabilities: by label, the probability averaged over ``seen_s``; sum 1.
        uncertain_share: the part of ``seen_s`` in which readings were uncertain.
        changes: how often the leading emotion changed while the person was in sight.
        episodes: in the order of time.
        series: probabilities over time.
        thumbnail: RGB uint8 (96, 96, 3) of the surest detection; ``None`` without pictures.
    """

    identity: int
    first_s: float
    last_s: float
    seen_s: float
    shares: Mapping[str, float]
    mean_probabilities: Mapping[str, float]
    uncertain_share: float
    changes: int
    episodes: tuple[Episode, ...]
    series: Series
    thumbnail: Image | None


class Story:
    """Takes the readings of a video frame by frame. Not shared between threads.

    Args:
        labels: the columns of all readings.
        min_episode_s: a change of the leading emotion that lasts less is a flash, and belongs
            to the episode around it.
        gap_s: a person out of sight for longer ends its episode.
        frame_s: how long the first frame lasts; later ones last since the one before.
    """

    def __init__(
        self,
        labels: Sequence[str] = EMOTIONS,
        *,
        min_episode_s: float = 0.3,
        gap_s: float = 0.5,
        frame_s: float = 1 / 25,
    ) -> None:
        self.labels = tuple(labels)
        self._min_episode_s, self._gap_s, self._frame_s = min_episode_s, gap_s, frame_s
        self._bin_s = _FIRST_BIN_S
        self._last_s: float | None = None
        self._people: dict[int, _Notes] = {}

    def add(self, time_s: float, readings: Sequence[Reading], image: Image | None = None) -> None:
        """Take one frame's readings; those without identity are left out.

        Args:
            time_s: not before the frame before.
            readings: with probabilities in the order of ``labels``.
            image: the frame, for thumbnails.
        """
        elapsed = self._frame_s if self._last_s is None else time_s - self._last_s
        self._last_s, lasts_s = time_s, min(elapsed, self._gap_s)
        for reading in readings:
            if reading.identity is None:
                continue
            notes = self._people.get(reading.identity)
            if notes is None:
                notes = self._people[reading.identity] = _Notes(len(self.labels), time_s, time_s)
            self._note(notes, reading, time_s, lasts_s)
            if image is not None and reading.face.score > notes.best_score:
                notes.best_score = reading.face.score
                notes.thumbnail = thumbnail(image, reading.face, _THUMBNAIL_PX, room=1.3)

    def people(self, *, min_seen_s: float = 0.5) -> tuple[Person, ...]:
        """Return everyone seen for at least ``min_seen_s``, by number."""
        return tuple(
            self._person(identity, notes)
            for identity, notes in sorted(self._people.items())
            if notes.seen_s >= min_seen_s
        )

    def _note(self, notes: _Notes, reading: Reading, time_s: float, lasts_s: float) -> None:
        column = self.labels.index(reading.top)
        shares = np.asarray(reading.probabilities)
        notes.led_s[column] += lasts_s
        notes.sums += lasts_s * shares
        notes.uncertain_s += lasts_s * reading.uncertain
        if time_s - notes.last_s > self._gap_s:
            self._end_episode(notes)
        notes.last_s, notes.end_s = time_s, time_s + lasts_s
        self._follow_episode(notes, reading, time_s, lasts_s)
        _into_bin(notes.bins, int(time_s / self._bin_s), lasts_s, shares)
        if len(notes.bins) > _MOST_BINS:
            self._bin_s *= 2
            for each in self._people.values():
                each.bins = _halved(each.bins)

    def _follow_episode(
        self, notes: _Notes, reading: Reading, time_s: float, lasts_s: float
    ) -> None:
        """Go on with the episode; a new one begins when it has lasted long enough."""
        if notes.now is None:
            draft = notes.now = _Draft(reading.top, time_s, time_s)
        elif reading.top == notes.now.emotion:
            draft, notes.next = notes.now, None
        elif notes.next is None or notes.next.emotion != reading.top:
            draft = notes.next = _Draft(reading.top, time_s, time_s)
        else:
            draft = notes.next
        draft.reach(reading, time_s, lasts_s)
        if notes.next is not None and time_s - notes.next.start_s >= self._min_episode_s:
            assert notes.now is not None
            notes.episodes.append(notes.now.finish(notes.next.start_s))
            notes.now, notes.next = notes.next, None
            notes.changes += 1

    def _end_episode(self, notes: _Notes) -> None:
        if notes.now is not None:
            notes.episodes.append(notes.now.finish(notes.end_s))
        notes.now = notes.next = None

    def _person(self, identity: int, notes: _Notes) -> Person:
        running = () if notes.now is None else (notes.now.finish(notes.end_s),)
        total = notes.seen_s
        weights = np.array([weight for weight, _ in notes.bins.values()])
        sums = np.array([sums for _, sums in notes.bins.values()])
        return Person(
            identity,
            notes.first_s,
            notes.last_s,
            total,
            dict(zip(self.labels, (notes.led_s / total).tolist(), strict=True)),
            dict(zip(self.labels, (notes.sums / total).tolist(), strict=True)),
            notes.uncertain_s / total,
            notes.changes,
            (*notes.episodes, *running),
            Series(self._bin_s, np.array(list(notes.bins)) * self._bin_s, sums / weights[:, None]),
            notes.thumbnail,
        )


@dataclass(slots=True)
class _Draft:
    """An episode that still runs."""

    emotion: str
    start_s: float
    peak_s: float
    peak: float = -1.0
    seen_s: float = 0.0
    uncertain_s: float = 0.0

    def reach(self, reading: Reading, time_s: float, lasts_s: float) -> None:
        if reading.confidence > self.peak:
            self.peak_s, self.peak = time_s, reading.confidence
        self.seen_s += lasts_s
        self.uncertain_s += lasts_s * reading.uncertain

    def finish(self, end_s: float) -> Episode:
        uncertain = self.uncertain_s / max(self.seen_s, 1e-9)
        return Episode(self.emotion, self.start_s, end_s, self.peak_s, self.peak, uncertain)


_Bins = dict[int, tuple[float, NDArray[np.float64]]]


@dataclass(slots=True)
class _Notes:
    """What is known of a person so far; times in seconds, arrays by column."""

    columns: int
    first_s: float
    last_s: float
    end_s: float = 0.0
    led_s: NDArray[np.float64] = field(init=False)
    sums: NDArray[np.float64] = field(init=False)
    uncertain_s: float = 0.0
    changes: int = 0
    episodes: list[Episode] = field(default_factory=list)
    now: _Draft | None = None
    next: _Draft | None = None
    bins: _Bins = field(default_factory=dict)
    best_score: float = -1.0
    thumbnail: Image | None = None

    def __post_init__(self) -> None:
        self.led_s, self.sums = np.zeros(self.columns), np.zeros(self.columns)

    @property
    def seen_s(self) -> float:
        return float(self.led_s.sum())


def story_to_dict(
    people: Sequence[Person], *, video: str, duration_s: float, frames: int, complete: bool
) -> dict[str, Any]:
    """Return the summary as plain JSON values: ``people`` with shares and episodes.

    ``complete`` tells whether the video was read to its end.
    """
    return {
        "video": video,
        "duration_s": round(duration_s, 3),
        "frames": frames,
        "complete": complete,
        "people": [
            {
                "identity": person.identity,
                "first_s": round(person.first_s, 3),
                "last_s": round(person.last_s, 3),
                "seen_s": round(person.seen_s, 3),
                "shares": person.shares,
                "mean_probabilities": person.mean_probabilities,
                "uncertain_share": person.uncertain_share,
                "changes": person.changes,
                "episodes": [_episode_to_dict(episode) for episode in person.episodes],
            }
            for person in people
        ],
    }


def episode_rows(people: Sequence[Person]) -> list[dict[str, Any]]:
    """Return the episodes as rows of a table, each with its person's ``identity``."""
    return [
        {"identity": person.identity, **_episode_to_dict(episode)}
        for person in people
        for episode in person.episodes
    ]


def most_seen(people: Sequence[Person], most: int) -> tuple[Person, ...]:
    """Return those who were seen longest, in the order of their numbers."""
    longest = sorted(people, key=lambda person: -person.seen_s)[:most]
    return tuple(sorted(longest, key=lambda person: person.identity))


def _episode_to_dict(episode: Episode) -> dict[str, Any]:
    return {
        "emotion": episode.emotion,
        "start_s": round(episode.start_s, 3),
        "end_s": round(episode.end_s, 3),
        "peak_s": round(episode.peak_s, 3),
        "peak": episode.peak,
    }


def _into_bin(bins: _Bins, index: int, weight: float, shares: NDArray[np.float64]) -> None:
    weight = max(weight, 1e-9)  # two frames of one time: the mean is still defined
    before, sums = bins.get(index, (0.0, 0.0))
    bins[index] = before + weight, sums + weight * shares


def _halved(bins: _Bins) -> _Bins:
    """Return bins of twice the width."""
    wide: _Bins = {}
    for index, (weight, sums) in bins.items():
        before, others = wide.get(index // 2, (0.0, 0.0))
        wide[index // 2] = before + weight, others + sums
    return wide
