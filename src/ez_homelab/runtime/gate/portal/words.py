"""How long ago, and which browser: facts about a session in words that its owner recognises."""

from __future__ import annotations

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))

# The first that occurs counts: Chrome's kin all say "Chrome", and Chrome says "Safari".
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def ago(then: float, now: float) -> str:
    """Return the time between two moments (seconds since 1970) as "3 hours ago"."""
    passed = max(0, int(now - then))
    for length, unit in _UNITS:
        if passed >= length:
            return f"{_counted(passed // length, unit)} ago"
    return "just now"


def waiting(seconds: int) -> str:
    """Return how long to wait, rounded up: "in 3 minutes"."""
    if seconds <= 60:
        return f"in {_counted(max(1, seconds), 'second')}"
    if seconds <= 5400:
        return f"in {_counted(-(-seconds // 60), 'minute')}"
    return f"in {_counted(-(-seconds // 3600), 'hour')}"


def browser(agent: str) -> str:
    """Return "Firefox on Windows" for a User-Agent header."""
    name = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((system for mark, system in _SYSTEMS if mark in agent), "")
    return " on ".join(part for part in (name, system) if part) or "Unknown browser"


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
