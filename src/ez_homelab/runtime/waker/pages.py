"""The page that a browser gets while an app wakes, and its files. Nothing inline: the page's policy forbids it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import quote

from .routes import OWN_PATHS
from .states import State

if TYPE_CHECKING:
    from .keeper import Keeper
    from .statistics import Wakes
    from .wire import Head

HERE = Path(__file__).parent
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PERSON = "Remote-User"
"""The field in which sign-on says who it is."""
REFRESH = 2
LOG_LINE = 400
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
    )
)
HEADERS = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", POLICY),
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
]
SENTENCES = {
    State.WAKING: "was asleep and is starting.",
    State.FALLING_ASLEEP: "is being stopped, and then starts again.",
    State.AWAKE: "is ready.",
    State.ASLEEP: "is asleep.",
    State.FAILED: "has not started.",
    State.HELD: "is being changed, and is back in a moment.",
}
THEN = "The page you asked for opens by itself."
THEN_FAILED = "When a new try goes well, the page you asked for opens by itself."


@dataclass(frozen=True, slots=True)
class File:
    """A file that the page names."""

    content: bytes
    kind: str


class Pages:
    """Renders the page; keeps its files in memory."""

    def __init__(self) -> None:
        self._files = {path.name: _file(path) for path in sorted((HERE / "static").iterdir())}
        texts = b"".join(file.content for file in self._files.values())
        self._version = hashlib.sha256(texts).hexdigest()[:12]
        self._page = Template((HERE / "templates" / "page.html").read_text("utf-8"))

    def file(self, name: str) -> File | None:
        """A file of the page's own."""
        return self._files.get(name)

    def page(self, keeper: Keeper, wakes: Wakes, lab: str, target: str, *, signed_in: bool) -> bytes:
        """The page of an app as it is now. `target`: what the person asked for, which is where it leads in the end.
        `signed_in`: whether it shows the app's own words, which may be anything."""
        failed = keeper.life.state is State.FAILED
        told = state_of(keeper, wakes)
        return self._page.substitute(
            lab=escape(lab),
            title=escape(keeper.app.title),
            own=OWN_PATHS,
            version=self._version,
            sentence=escape(SENTENCES[keeper.life.state]),
            state=escape(told["state"]),
            role="alert" if failed else "status",
            refresh="" if failed else f'<noscript><meta http-equiv="refresh" content="{REFRESH}"></noscript>',
            letter=escape(keeper.app.title[:1].upper() or "?"),
            failure=_failure(keeper, target, keeper.log if signed_in else []) if failed else "",
            progress="" if failed else _progress(told),
            then=THEN_FAILED if failed else THEN,
        ).encode()


def state_of(keeper: Keeper, wakes: Wakes) -> dict[str, str]:
    """What changes on the page while somebody looks at it, as people read it."""
    life = keeper.life
    waking, waits = life.state is State.WAKING, life.state in (State.WAKING, State.HELD)
    return {
        "state": life.state.value,
        "sentence": SENTENCES[life.state],
        "step": f"Starting {keeper.step}" if waking and keeper.step else "",
        "elapsed": f"{keeper.now - life.since:.0f} s so far" if waits else "",
        "typical": f"usually {_seconds(wakes.p50)}" if waking and wakes.p50 is not None else "",
    }


def wants_page(method: str, accept: str, destination: str) -> bool:
    """Whether a request is a person's browser opening an address (Accept, Sec-Fetch-Dest), and no program's or
    script's."""
    if method != "GET" or "text/html" not in accept.lower():
        return False
    return destination.lower() in ("", "document", "iframe", "frame")


def is_signed_in(head: Head) -> bool:
    """Whether sign-on has said who asks. Traefik takes the field off every request before sign-on sees it, in other
    spellings too, and sets what sign-on answers; an open route gets none. Two of them are nobody's."""
    return len(said := head.all(PERSON.lower())) == 1 and bool(said[0])


def _seconds(seconds: float) -> str:
    return "about a second" if seconds < 1.5 else f"about {seconds:.0f} seconds"


def _progress(told: dict[str, str]) -> str:
    facts = " ".join(f'<span id="{name}">{escape(told[name])}</span>' for name in ("step", "elapsed", "typical"))
    return f'<progress aria-label="Starting"></progress><p class="soft facts">{facts}</p>'


def _failure(keeper: Keeper, target: str, words: list[str]) -> str:
    lines = "\n".join(line[:LOG_LINE] for line in words)
    log = f'<h2>Its last words</h2><pre tabindex="0">{escape(lines)}</pre>' if lines else ""
    pause = max(0.0, keeper.life.retry_at - keeper.now)
    when = f" {pause:.0f} s from now or later" if pause >= 0.5 else ""
    return (
        f'<p class="note bad">{escape(_sentence(keeper.life.reason))}</p>{log}'
        f'<form method="post" action="{OWN_PATHS}retry">'
        f'<input type="hidden" name="to" value="{escape(quote(target, safe="/?&=:;,+@%!$()*~.-_"))}">'
        f'<button type="submit">Try again</button></form>'
        f'<p class="soft small">It also starts when somebody opens it{when}.</p>'
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _file(path: Path) -> File:
    return File(path.read_bytes(), KINDS[path.suffix])
