"""Hours in which an app is kept awake. The only place where the wall clock counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterable

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT = time(0, 0)


class ScheduleError(Exception):
    """Hours that cannot be read."""


@dataclass(frozen=True, slots=True)
class Hours:
    """On these days (0: Monday), from `start` on and before `end`; an `end` that is not later lies on the next day."""

    days: frozenset[int]
    start: time
    end: time

    def has(self, moment: datetime) -> bool:
        """Whether a local moment lies within."""
        now, today = moment.time(), moment.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= now < self.end
        return (today in self.days and now >= self.start) or ((today - 1) % 7 in self.days and now < self.end)


def read_hours(entry: object) -> Hours:
    """Hours as lazy.json has them: {"days": ["mon"], "from": "07:00", "until": "23:00"}. Raises `ScheduleError`."""
    if not isinstance(entry, dict):
        raise ScheduleError("awake: objects are expected")
    days = entry.get("days", list(DAYS))
    if not isinstance(days, list) or not days or not all(day in DAYS for day in days):
        raise ScheduleError(f"awake: days: {days!r} are not among {', '.join(DAYS)}")
    return Hours(frozenset(DAYS.index(day) for day in days), _time(entry.get("from")), _time(entry.get("until")))


def zone(name: str) -> tzinfo:
    """The time zone of that name. Raises `ScheduleError`."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError) as fault:
        raise ScheduleError(f"{name!r} is no time zone that is known here") from fault


def is_on(hours: Iterable[Hours], now: float, where: tzinfo | None) -> bool:
    """Whether an app has to be awake at this moment (seconds since 1970)."""
    moment = datetime.fromtimestamp(now, where or UTC)
    return any(one.has(moment) for one in hours)


def _time(text: object) -> time:
    if text == "24:00":
        return MIDNIGHT
    if not isinstance(text, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ScheduleError(f"awake: {text!r} is no time such as 07:30")
    return time.fromisoformat(text)
