"""Hours as people write them mean what the waker makes of them."""

from __future__ import annotations

from datetime import datetime

import pytest

from ez_homelab.config.hours import complaint, read_hours
from ez_homelab.lazy.builtin import _hours
from ez_homelab.runtime.waker import schedule

WEEK = [datetime(2026, 3, 2 + day, hour, 30) for day in range(7) for hour in range(24)]  # noqa: DTZ001 - local time
"""From a Monday on."""

CASES = {
    "Mon-Fri 08:00-18:00": [(day, hour) for day in range(5) for hour in range(8, 18)],
    "sat, Sunday 10:00-11:00": [(5, 10), (6, 10)],
    "Mon 22:00-02:00": [(0, 22), (0, 23), (1, 0), (1, 1)],
    "Fri-Mon 00:00-01:00": [(0, 0), (4, 0), (5, 0), (6, 0)],
    "Sun 23:00-24:00": [(6, 23)],
    "12:00-13:00": [(day, 12) for day in range(7)],
    "Wed 00:00-24:00": [(2, hour) for hour in range(24)],
}


@pytest.mark.parametrize("text", CASES)
def test_the_waker_reads_them_as_they_are_meant(text: str) -> None:
    hours = schedule.read_hours(_hours(text))
    assert [(moment.weekday(), moment.hour) for moment in WEEK if hours.has(moment)] == CASES[text]


@pytest.mark.parametrize("text", CASES)
def test_the_shortest_form_means_the_same(text: str) -> None:
    hours = read_hours(text)
    assert complaint(str(hours)) is None
    assert read_hours(str(hours)) == hours


def test_what_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="no hours"):
        read_hours("always")
