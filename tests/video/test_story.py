"""Shares of time, episodes and series, on stories whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mien.types import EMOTIONS, Box, Face, Image, Reading
from mien.video.story import Episode, Person, Story, episode_rows, most_seen, story_to_dict
from mien.wire import to_json

STEP_S = 0.04


def reading(
    emotion: str, identity: int | None = 1, confidence: float = 0.7, *, uncertain: bool = False
) -> Reading:
    shares = [(1 - confidence) / 6] * 7
    shares[EMOTIONS.index(emotion)] = confidence
    face = Face(Box(10, 10, 20, 20), 0.9)
    return Reading(face, tuple(shares), uncertain=uncertain, identity=identity)


def tell(plan: Sequence[tuple[float, str | None]], **options: float) -> tuple[Person, ...]:
    """Tell a story of one person; each emotion holds from its second on, ``None`` is away."""
    story = Story(frame_s=STEP_S, **options)
    for number in range(round(plan[-1][0] / STEP_S)):
        time_s = number * STEP_S
        emotion = [name for since, name in plan if since <= time_s + 1e-9][-1]
        story.add(time_s, [] if emotion is None else [reading(emotion)])
    return story.people()


def spans(person: Person) -> list[tuple[str, float, float]]:
    return [
        (each.emotion, round(each.start_s, 2), round(each.end_s, 2)) for each in person.episodes
    ]


def test_nobody_is_no_story() -> None:
    assert Story().people() == ()
    story = Story()
    story.add(0.0, [])
    story.add(1.0, [reading("happy", identity=None)])
    assert story.people() == ()


@pytest.mark.parametrize(
    ("plan", "expected", "changes"),
    [
        ([(0, "happy"), (4, None)], [("happy", 0, 4)], 0),
        ([(0, "happy"), (2, "sad"), (4, None)], [("happy", 0, 2), ("sad", 2, 4)], 1),
        ([(0, "happy"), (2, "sad"), (2.2, "happy"), (4, None)], [("happy", 0, 4)], 0),
        (
            [(0, "happy"), (1, "sad"), (1.2, "fear"), (3, None)],
            [("happy", 0, 1.2), ("fear", 1.2, 3)],
            1,
        ),
        (
            [(0, "happy"), (1, None), (1.4, "happy"), (3, None)],
            [("happy", 0, 3)],
            0,
        ),
        (
            [(0, "happy"), (1, None), (2, "happy"), (3, None)],
            [("happy", 0, 1), ("happy", 2, 3)],
            0,
        ),
        (
            [(0, "happy"), (1, None), (2, "sad"), (3, None)],
            [("happy", 0, 1), ("sad", 2, 3)],
            0,
        ),
    ],
    ids=["one", "change", "flash", "two flashes", "short gap", "long gap", "change out of sight"],
)
def test_episodes(
    plan: list[tuple[float, str | None]],
    expected: list[tuple[str, float, float]],
    changes: int,
) -> None:
    (person,) = tell(plan)
    assert spans(person) == expected
    assert person.changes == changes


def test_the_peak_of_an_episode() -> None:
    story = Story(frame_s=STEP_S)
    for number in range(50):
        story.add(number * STEP_S, [reading("happy", confidence=0.9 if number == 30 else 0.6)])
    (person,) = story.people()
    (episode,) = person.episodes
    assert episode == Episode("happy", 0.0, pytest.approx(2.0), pytest.approx(1.2), 0.9)


def test_an_episode_knows_how_long_it_was_uncertain() -> None:
    story = Story(frame_s=STEP_S)
    for number in range(40):
        story.add(number * STEP_S, [reading("happy", uncertain=number < 10)])
    (person,) = story.people()

    assert [each.uncertain_share for each in person.episodes] == [pytest.approx(0.25)]


@pytest.mark.parametrize(
    ("most", "expected"), [(0, []), (1, [1]), (2, [1, 3]), (3, [1, 2, 3]), (9, [1, 2, 3])]
)
def test_those_seen_longest_by_their_numbers(most: int, expected: list[int]) -> None:
    story = Story(frame_s=0.1)
    for number in range(20):
        seen = [1, *([2] if number > 10 else []), *([3] if number > 5 else [])]
        story.add(number * 0.1, [reading("sad", identity=each) for each in seen])

    assert [each.identity for each in most_seen(story.people(), most)] == expected
    assert most_seen((), most) == ()


def test_shares_count_time_not_frames() -> None:
    """Three seconds of few frames weigh three times as much as one second of many."""
    story = Story(frame_s=0.02)
    for number in range(50):
        story.add(number * 0.02, [reading("happy", uncertain=True)])
    for number in range(11):
        story.add(1.28 + number * 0.3, [reading("sad")])
    (person,) = story.people()
    assert person.seen_s == pytest.approx(4.3, abs=0.01)
    assert person.shares["happy"] == pytest.approx(1 / 4.3, abs=0.01)
    assert person.uncertain_share == pytest.approx(1 / 4.3, abs=0.01)
    assert sum(person.shares.values()) == pytest.approx(1)
    assert sum(person.mean_probabilities.values()) == pytest.approx(1)
    assert person.mean_probabilities["sad"] == pytest.approx((3.3 * 0.7 + 0.05) / 4.3, abs=0.01)


def test_people_are_told_apart_and_the_briefly_seen_left_out() -> None:
    story = Story(frame_s=STEP_S)
    for number in range(50):
        people = [reading("happy", 2), reading("sad", 7)]
        story.add(number * STEP_S, people + ([reading("fear", 9)] if number == 3 else []))
    assert [person.identity for person in story.people()] == [2, 7]
    assert [person.identity for person in story.people(min_seen_s=0)] == [2, 7, 9]
    assert [row["identity"] for row in episode_rows(story.people())] == [2, 7]


def test_the_series_stays_small_and_true() -> None:
    story = Story(frame_s=0.1)
    for number in range(40_000):
        story.add(number * 0.1, [reading("happy" if number < 20_000 else "sad")])
    (person,) = story.people()
    series = person.series
    assert 256 <= len(series.starts_s) <= 1024
    assert series.shares.sum(axis=1) == pytest.approx(1)
    happy = series.shares[:, EMOTIONS.index("happy")]
    early, late = series.starts_s < 1990, series.starts_s > 2000
    assert happy[early] == pytest.approx(0.7)
    assert happy[late] == pytest.approx(0.05)


@pytest.mark.parametrize("box", [Box(10, 10, 20, 20), Box(-30, -30, 40, 40), Box(90, 90, 40, 40)])
def test_thumbnails_have_one_size_wherever_the_face_is(box: Box) -> None:
    image: Image = np.full((100, 100, 3), 200, np.uint8)
    story = Story(frame_s=1.0)
    story.add(0.0, [Reading(Face(box, 0.8), (1.0, 0, 0, 0, 0, 0, 0), identity=1)], image)
    (person,) = story.people()
    assert person.thumbnail is not None
    assert person.thumbnail.shape == (96, 96, 3)
    assert (person.thumbnail == 200).all()


def test_the_summary_is_plain_json() -> None:
    people = tell([(0, "happy"), (2, "sad"), (4, None)])
    content = story_to_dict(people, video="a.mp4", duration_s=4.0, frames=100, complete=True)
    assert '"emotion": "sad"' in to_json(content)
    assert content["people"][0]["seen_s"] == 4.0
    assert [each["emotion"] for each in content["people"][0]["episodes"]] == ["happy", "sad"]
