"""Hours of the week as a person writes them: `Mon-Fri 08:00-18:00`, `Sat,Sun 10:00-23:00`, `22:00-02:00` (every day).

They mean what the waker makes of them (`runtime/waker/schedule.py`): an end that is not later lies on the next day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ez_homelab.config.rules import Complaint, did_you_mean
from ez_homelab.yaml_text import shown

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIMES = re.compile(rf"({_TIME})-({_TIME}|24:00)")
_FORM = "DAYS FROM-UNTIL"
_EXAMPLE = "write one such as `Mon-Fri 08:00-18:00`"


@dataclass(frozen=True, slots=True)
class Hours:
    """On these days, from `start` (`08:00`) until `end`, which may be `24:00`."""

    days: tuple[str, ...]
    start: str
    end: str

    def __str__(self) -> str:
        return f"{_shortest(self.days)} {self.start}-{self.end}".strip()


def complaint(text: str) -> Complaint | None:
    """What is wrong with hours, and what to write instead; None where they can be read."""
    found = _read(text)
    return None if isinstance(found, Hours) else found


def read_hours(text: str) -> Hours:
    """The hours. Raises `ValueError` where `complaint` finds something."""
    found = _read(text)
    if not isinstance(found, Hours):
        raise ValueError(found[0])
    return found


def normalised(text: str) -> str:
    """The hours in their shortest form."""
    return str(read_hours(text))


def _read(text: str) -> Hours | Complaint:
    days, _, times = text.strip().rpartition(" ")
    found = _TIMES.fullmatch(times)
    if found is None or len(text) > 100:
        return f"`{shown(text)}` are no hours: {_FORM}, with times from 00:00 to 24:00", _better(days, times)
    start, end = found.groups()
    if start == end:
        return f"`{shown(text)}` end when they begin", "for a whole day write `00:00-24:00`"
    chosen = _days(days)
    return Hours(chosen, start, end) if chosen else _no_days(days)


def _days(text: str) -> tuple[str, ...]:
    """The days in the order of the week; empty where one of them is none."""
    if not text.strip():
        return DAYS
    chosen: set[int] = set()
    for part in re.split(r"\s*,\s*", text.strip()):
        first, dash, last = (word.strip() for word in part.partition("-"))
        ends = [_day(first), _day(last) if dash else _day(first)]
        if None in ends:
            return ()
        begin, end = (number for number in ends if number is not None)
        # From Friday to Monday goes over the week's end.
        chosen |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return tuple(day for number, day in enumerate(DAYS) if number in chosen)


def _day(word: str) -> int | None:
    lower = word.lower()
    return next((number for number, long in enumerate(_LONG) if lower in (long, long[:3])), None)


def _no_days(text: str) -> Complaint:
    words = re.split(r"[\s,-]+", text.strip())
    wrong = next((word for word in words if _day(word) is None), text)
    known = dict(zip(_LONG, DAYS, strict=True)) | {day.lower(): day for day in DAYS}
    near = did_you_mean(wrong.lower(), known)
    suggestion = re.sub("`(.*)`", lambda found: f"`{known[found[1]]}`", near) if near else _EXAMPLE
    return f"`{shown(wrong)}` is no day: {', '.join(DAYS)}", suggestion


def _better(days: str, times: str) -> str:
    """Hours such as `8:00-18:00` or `Mon 8-18` as they should be."""
    found = re.fullmatch(r"([0-9]{1,2})(?:[:.]([0-5][0-9]))?-([0-9]{1,2})(?:[:.]([0-5][0-9]))?", times)
    if found is None:
        return _EXAMPLE
    start, end = f"{int(found[1]):02}:{found[2] or '00'}", f"{int(found[3]):02}:{found[4] or '00'}"
    usable = _days(days) and start != end and _TIMES.fullmatch(f"{start}-{end}")
    return f"write `{f'{days} {start}-{end}'.strip()}`" if usable else _EXAMPLE


def _shortest(days: tuple[str, ...]) -> str:
    """`Mon-Fri` where they follow each other, `Mon,Wed` where not, nothing for all."""
    if days == DAYS:
        return ""
    numbers = [DAYS.index(day) for day in days]
    if len(days) > 2 and numbers[-1] - numbers[0] == len(days) - 1:
        return f"{days[0]}-{days[-1]}"
    return ",".join(days)
