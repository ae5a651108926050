from __future__ import annotations

import pytest

from mien.text import clock, count, duration, one_line, percent


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.004, "<1 %"), (0.996, ">99 %"), (0.005, "<1 %"), (0.42, "42 %")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0 %"), (1, "100.0 %"), (0.0001, "<0.1 %"), (0.99999, ">99.9 %"), (0.1234, "12.3 %")],
)
def test_percent_with_a_digit(share: float, text: str) -> None:
    assert percent(share, 1) == text


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0, "0:00"),
        (5, "0:05"),
        (65.04, "1:05"),
        (0.5, "0:00.5"),
        (3725, "1:02:05"),
        (59.99, "1:00"),
    ],
)
def test_times_are_written_as_people_do(time_s: float, text: str) -> None:
    assert clock(time_s) == text


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0, "0.0 s"),
        (0.84, "0.8 s"),
        (59.94, "59.9 s"),
        (59.96, "1:00 min"),
        (65, "1:05 min"),
        (3725, "1:02:05 h"),
    ],
)
def test_durations_have_a_unit(time_s: float, text: str) -> None:
    assert duration(time_s) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 faces"), (1, "1 face"), (2, "2 faces"), (1024, "1,024 faces")]
)
def test_counts(number: int, text: str) -> None:
    assert count(number, "face") == text


def test_counts_of_what_has_another_plural() -> None:
    assert [count(number, "person", "people") for number in (1, 2)] == ["1 person", "2 people"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("a b", "a b"),
        ("two\nlines\tand  spaces ", "two lines and spaces"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("Grüße 😀", "Grüße 😀"),
        ("\udcff", r"\udcff"),
        ("right\u202eleft", r"right\u202eleft"),
    ],
)
def test_text_of_strangers_stays_on_its_line(text: str, shown: str) -> None:
    assert one_line(text) == shown
