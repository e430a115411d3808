"""Takes known secret values out of everything that is printed, logged or stored.

    know(["correct-horse-battery"])
    clean("https://u:correct-horse-battery@db/")  # "https://u:[secret]@db/"

A value is found as it is and in the forms that programs give it: base64 (wherever it begins in what was encoded), URL,
JSON, shell, YAML, Compose, hex and Python's own. Every occurrence is covered whole, also where two overlap.
Not found: values shorter than eight characters (they would also hide words of ordinary text), values that were
compressed, encrypted or cut, and forms that are broken over several lines.
"""

from __future__ import annotations

import io
import re
import sys
from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MARK = "[secret]"
SHORTEST = 8
"""Characters that a value must have to be taken out."""

_BEGIN = 4
"""Characters of a form that the expression looks for; the rest is compared. Also what a stream may let through."""

_SAFE_IN_ADDRESSES = ("", "/", "!~*'()", "!~*'();/?:@&=+$,#", "*", "$-_.+!*'(),;:@&=/~")
"""What writers of addresses leave as it is: strict; Python's default; ECMAScript's encodeURIComponent and encodeURI
(ECMA-262, 19.2.6); HTML forms (WHATWG URL, 1.3); RFC 3986's path characters."""

_known: set[str] = set()


def know(values: Iterable[str]) -> None:
    """From now on, in this process, take these values out; those shorter than `SHORTEST` are left alone."""
    stripped = (value.strip() for value in values)
    _known.update([value for value in stripped if len(value) >= SHORTEST and value not in MARK])


def clean(text: str) -> str:
    """The text with `[secret]` in place of every known value, in whatever form it is there."""
    if not _known:
        return text
    found = _finder(len(_known))
    return _marked(text, found.spans(text), 0, len(text))


class RedactingStream(io.TextIOBase):
    """A text stream in front of another: what is written comes through clean.

    A value may arrive in several pieces, so the end of a piece that could be the beginning of a value waits for the
    next piece; line ends mean nothing special, because values may have them. `flush` is different: a person may be
    waiting for a question that has no line end. There, fewer than four waiting characters are let through, and
    remembered, so that the rest of a value that begins with them is still taken out. Ordinary text ends in four
    characters of a random value about never, so a question is shown whole; and of a value no more than three
    characters are ever seen.
    """

    def __init__(self, inner: TextIO) -> None:
        self.inner = inner
        self._shown = ""
        """The end of what went out, as it was written, as far as it could be the beginning of a value."""
        self._held = ""
        """What follows it and waits."""

    def write(self, text: str) -> int:
        """Pass the text on, clean; returns its length."""
        if not _known:
            self.inner.write(text)
            return len(text)
        finder = _finder(len(_known))
        whole, seen = self._shown + self._held + text, len(self._shown)
        spans = finder.spans(whole)
        waits = finder.unfinished(whole)
        waits = min([waits, *(start for start, stop in spans if start < waits < stop)])
        if out := _marked(whole, spans, seen, waits):
            self.inner.write(out)
        self._shown, self._held = whole[waits:seen], whole[max(waits, seen) :]
        return len(text)

    def flush(self) -> None:
        """Pass on what waits, unless it is the beginning of a value, and flush the other stream."""
        if self._held:
            out, bare = self._waiting()
            # Counted with what went out already, or a value written letter by letter would come through.
            if bare < _BEGIN:
                self.inner.write(out)
                self._shown, self._held = self._shown + self._held, ""
        self.inner.flush()

    def finish(self) -> None:
        """At the end of the process: nothing more comes, so what waits is shown, or hidden where it is telling."""
        if self._held and not self.inner.closed:
            out, bare = self._waiting()
            self.inner.write(out if bare < SHORTEST else MARK)
            self.inner.flush()
        self._shown = self._held = ""

    def _waiting(self) -> tuple[str, int]:
        """What waits, clean, and how many characters of a value's beginning are open in it and right before it."""
        whole = self._shown + self._held
        spans = _finder(len(_known)).spans(whole)
        bare = _marked(whole, spans, 0, len(whole), mark="")
        return _marked(whole, spans, len(self._shown), len(whole)), len(bare)

    def isatty(self) -> bool:
        """As the other stream."""
        return self.inner.isatty()

    def fileno(self) -> int:
        """As the other stream; what is written there is not seen here."""
        return self.inner.fileno()

    def writable(self) -> bool:
        """Yes."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As the other stream."""
        return self.inner.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """As the other stream."""
        return self.inner.errors

    @property
    def closed(self) -> bool:
        """As the other stream."""
        return self.inner.closed

    def close(self) -> None:
        """Show what waits and close the other stream."""
        self.finish()
        self.inner.close()

    def __del__(self) -> None:
        """Nothing: the other stream may be in use when nobody needs this one any more."""


def wrap_streams() -> None:
    """Let standard output and standard error come through clean from now on."""
    import atexit

    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, RedactingStream):
            wrapped = RedactingStream(stream)
            atexit.register(wrapped.finish)
            setattr(sys, name, wrapped)


def original_stdout() -> TextIO:
    """Standard output past the redaction: for the one command whose purpose is to show a value."""
    stream = sys.stdout
    if not isinstance(stream, RedactingStream):
        return stream
    stream.flush()
    return stream.inner


class _Finder:
    """Finds every form of a set of values.

    The expression knows only how forms begin: it is small, so that it is compiled in a moment, and what follows is
    compared as text.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._forms = sorted({form for value in values for form in _forms(value)})
        self._longest = max(map(len, self._forms))
        self._alphabet = frozenset("".join(self._forms))
        self._by_begin: dict[str, list[str]] = {}
        for form in reversed(self._forms):  # of two with the same beginning, the longer one first
            self._by_begin.setdefault(form[:_BEGIN], []).append(form)
        self._begins = re.compile(_any_of(self._by_begin))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the forms are, joined where they overlap."""
        found: list[tuple[int, int]] = []
        at = 0
        while hit := self._begins.search(text, at):
            begin = hit.start()
            at = begin + 1
            form = next((form for form in self._by_begin[hit[0]] if text.startswith(form, begin)), "")
            if not form:
                continue
            if found and begin < found[-1][1]:
                begin, end = found.pop()
                found.append((begin, max(end, hit.start() + len(form))))
            else:
                found.append((begin, begin + len(form)))
        return found

    def unfinished(self, text: str) -> int:
        """Where the longest end of the text begins that is a form or its beginning; the text's length for none."""
        if not text or text[-1] not in self._alphabet:
            return len(text)
        starts = range(max(0, len(text) - self._longest), len(text))
        return next((start for start in starts if self._begins_a_form(text[start:])), len(text))

    def _begins_a_form(self, end: str) -> bool:
        at = bisect_left(self._forms, end)  # whatever begins with it is sorted right after it
        return at < len(self._forms) and self._forms[at].startswith(end)


@lru_cache(maxsize=1)
def _finder(_count: int) -> _Finder:
    """The finder for what is known now. Values are never forgotten, so their number says whether it is still right."""
    return _Finder(frozenset(_known))


def _any_of(begins: Iterable[str]) -> str:
    """An expression for any of these, grouped by their first character, so that few are tried at each place."""
    groups: dict[str, list[str]] = {}
    for begin in sorted(begins):
        groups.setdefault(begin[0], []).append(re.escape(begin[1:]))
    return "|".join(f"{re.escape(first)}(?:{'|'.join(rests)})" for first, rests in groups.items())


def _marked(text: str, spans: list[tuple[int, int]], begin: int, end: int, mark: str = MARK) -> str:
    """The piece of the text from `begin` to `end`, with a mark for every span that is not over by then."""
    pieces = []
    for start, stop in spans:
        if stop > begin and start < end:
            pieces += [text[begin:start], mark]
            begin = stop
    return "".join([*pieces, text[begin:end]])


def _forms(value: str) -> Iterator[str]:
    """The value in all its forms, each at least as long as `SHORTEST`; some may be equal."""
    content = value.encode(errors="surrogatepass")
    yield value
    yield from (content.hex(), content.hex().upper())
    yield from _base64_forms(content)
    yield from _url_forms(content)
    yield from _json_forms(value)
    yield from _quoted_forms(value)
    yield from (repr(value)[1:-1], ascii(value)[1:-1], repr(content)[2:-1])


def _base64_forms(content: bytes) -> Iterator[str]:
    """What stands in the base64 text of anything that has the value in it, and of anything that ends with it.

    Where the value does not begin at a multiple of three bytes, its first character is mixed with what is before it,
    and likewise at its end: those (at most six bits each) depend on their neighbours and stay.
    """
    from base64 import b64encode

    for before in range(3):
        for others in (b"+/", b"-_"):
            encoded = b64encode(bytes(before) + content, altchars=others).decode()[(before * 8 + 5) // 6 :]
            certain = (before + len(content)) * 8 // 6 - (before * 8 + 5) // 6
            yield from (encoded, encoded.rstrip("="), encoded[:certain])


def _url_forms(content: bytes) -> Iterator[str]:
    from urllib.parse import quote, quote_plus

    for safe in _SAFE_IN_ADDRESSES:
        for quoted in (quote(content, safe), quote_plus(content, safe)):
            for form in (quoted, quoted.replace("~", "%7E")):
                yield from (form, re.sub("%..", lambda found: found[0].lower(), form))


def _json_forms(value: str) -> Iterator[str]:
    from json import dumps

    for form in (dumps(value)[1:-1], dumps(value, ensure_ascii=False)[1:-1]):
        yield from (form, form.replace("/", "\\/"))  # PHP writes \/


def _quoted_forms(value: str) -> Iterator[str]:
    """Inside a shell's quotes, after a shell's backslashes, in YAML's single quotes, in a Compose file."""
    yield value.replace("'", "'\"'\"'")
    yield value.replace("'", "'\\''")
    yield re.sub(r'([\\"$`!])', r"\\\1", value)
    yield re.sub(r"([^\w@%+=:,./-])", r"\\\1", value)
    yield value.replace("'", "''")
    yield value.replace("$", "$$")
