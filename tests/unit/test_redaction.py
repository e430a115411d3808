"""No form of a known value comes through, in whatever pieces it is written; everything else does."""

from __future__ import annotations

import base64
import io
import json
import shlex
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, urlencode

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from ez_homelab import redaction
from ez_homelab.redaction import MARK, RedactingStream, clean, know, original_stdout, wrap_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

A = "k3Jq9ZtLw8VbN2xR"
B = "p@ss/w+rd 'q\"u\\o$te~ü"

values = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=40),
    st.text("abAB01+/=%'\"\\$ \n~!", min_size=8, max_size=24),
).filter(lambda value: len(value.strip()) >= 8 and not set(value) <= set(MARK))
around = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
# `_known` is put back by `knowing`, not by the fixture, so each example starts with nothing known.
property_of_values = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(redaction, "_known", set())
    redaction._finder.cache_clear()
    yield
    redaction._finder.cache_clear()


def knowing(*given_values: str) -> None:
    redaction._known.clear()
    redaction._finder.cache_clear()
    know(given_values)


def forms_of(value: str) -> dict[str, str]:
    """The forms that programs write, made without the code that is tested."""
    content = value.encode()
    strict = quote(value, safe="")
    return {
        "plain": value,
        "hex": content.hex(),
        "hex upper": content.hex().upper(),
        "url": strict,
        "url of a path": quote(value),
        "url of a form": quote_plus(value),
        "url lower": _lower_escapes(strict),
        "encodeURIComponent": quote(value, safe="!~*'()"),
        "urlencode": urlencode({"x": value})[2:],
        "json": json.dumps(value)[1:-1],
        "json unicode": json.dumps(value, ensure_ascii=False)[1:-1],
        "shell": shlex.quote(value),
        "repr": repr(value),
        "repr of bytes": repr(content),
        "ascii": ascii(value),
        "yaml": value.replace("'", "''"),
        "compose": value.replace("$", "$$"),
    }


def _lower_escapes(text: str) -> str:
    first, *rest = text.split("%")
    return "%".join([first, *(piece[:2].lower() + piece[2:] for piece in rest)])


@property_of_values
@given(values, around, around)
@example(B, "", "")
def test_no_form_survives(value: str, before: str, after: str) -> None:
    value = value.strip()
    knowing(value)
    for name, form in forms_of(value).items():
        core = form.strip("'\"") if name in ("shell", "repr", "ascii") else form.removeprefix("b'").strip("'\"")
        assume(core not in before + after)
        cleaned = clean(before + form + after)
        assert core not in cleaned, name
        assert MARK in cleaned, name


encoders = st.sampled_from([base64.b64encode, base64.urlsafe_b64encode])


@property_of_values
@given(values, st.binary(max_size=20), st.binary(max_size=20), encoders)
@example(A, b"user:", b"", base64.b64encode)
def test_base64_of_a_longer_text(value: str, before: bytes, after: bytes, encode: Callable[[bytes], bytes]) -> None:
    content = value.strip().encode()
    knowing(value)
    encoded = encode(before + content + after).decode()
    # Six bits a character: from the first that holds only bits of the value to the last that does.
    core = encoded[-(-len(before) * 8 // 6) : (len(before) + len(content)) * 8 // 6]
    for text in (encoded, encoded.rstrip("=")):
        cleaned = clean(f"Basic {text}!")
        assert MARK in cleaned
        assert not [piece for piece in cleaned.split(MARK) if core in piece]


@pytest.mark.parametrize("before", range(7))
def test_a_value_at_the_end_of_base64_goes_with_its_padding(before: int) -> None:
    knowing(A)
    encoded = base64.b64encode(b"\xff" * before + A.encode()).decode()
    assert clean(encoded) == encoded[: -(-before * 8 // 6)] + MARK


@property_of_values
@given(st.lists(values, min_size=1, max_size=4), st.lists(st.one_of(around, st.integers(0, 3)), max_size=6))
def test_every_occurrence_of_every_value(known: list[str], pieces: list[str | int]) -> None:
    known = [value.strip() for value in known]
    knowing(*known)
    text = "".join(piece if isinstance(piece, str) else known[piece % len(known)] for piece in pieces)
    assume(MARK not in text)
    cleaned = clean(text)
    # A mark may make an occurrence that was not there, with text around it; what is between marks has none.
    assert not [value for value in known for piece in cleaned.split(MARK) if value in piece]


def test_overlapping_values_are_covered_together() -> None:
    knowing("abcdefgh", "efghijkl", "cdefghijklmnop")
    assert clean("xxabcdefghijklyy") == f"xx{MARK}yy"
    assert clean("abcdefghijklmnopq") == f"{MARK}q"
    assert clean("abcdefgh efghijkl") == f"{MARK} {MARK}"


def test_the_longer_of_two_values_with_one_beginning() -> None:
    knowing(A, A + "more")
    assert clean(f"{A}more, {A}mor, {A}") == f"{MARK}, {MARK}mor, {MARK}"


def test_short_values_and_ordinary_text_stay() -> None:
    knowing("short", "1234567", "   123   ", "[secret]")
    text = "a short text with 1234567 and 123 and [secret]"
    assert clean(text) == text
    know([A])
    assert clean(text) == text


def test_what_becomes_known_later_counts_from_then_on() -> None:
    knowing(A)
    assert clean(f"{A} {B}") == f"{MARK} {B}"
    know([B])
    assert clean(f"{A} {B}") == f"{MARK} {MARK}"


def written(pieces: list[str], *, flushed: bool) -> str:
    inner = io.StringIO()
    stream = RedactingStream(inner)
    for piece in pieces:
        assert stream.write(piece) == len(piece)
        if flushed:
            stream.flush()
    stream.finish()
    return inner.getvalue()


def split(text: str, places: list[int]) -> list[str]:
    cuts = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(cuts)]


@property_of_values
@given(st.lists(values, min_size=1, max_size=3), around, around, st.lists(st.integers(0, 200), max_size=8))
def test_pieces_without_flushing_come_through_as_the_whole_would(
    known: list[str], before: str, after: str, places: list[int]
) -> None:
    known = [value.strip() for value in known]
    knowing(*known)
    text = f"{before}{known[0]}{after}{known[-1]}\n"
    assert written(split(text, places), flushed=False) == clean(text)


@property_of_values
@given(st.lists(values, min_size=1, max_size=3), around, around, st.lists(st.integers(0, 200), max_size=8))
def test_flushed_pieces_never_show_more_than_three_characters_of_a_value(
    known: list[str], before: str, after: str, places: list[int]
) -> None:
    known = [value.strip() for value in known]
    knowing(*known)
    text = f"{before}{known[0]}{after}{known[-1]}\n"
    assume(MARK not in text)
    out = written(split(text, places), flushed=True)
    assert not [value for value in known for piece in out.split(MARK) if value in piece]
    assert MARK in out


def test_letter_by_letter_with_a_flush_after_each() -> None:
    knowing(A)
    assert written([*f"is {A}.\n"], flushed=True) == f"is {A[:3]}{MARK}.\n"


def test_a_question_is_shown_whole_before_its_answer() -> None:
    knowing(A)
    inner = io.StringIO()
    stream = RedactingStream(inner)
    question = f"Is it {A}? {A[:3]}"
    stream.write(question)
    stream.flush()
    assert inner.getvalue() == f"Is it {MARK}? {A[:3]}"


def test_a_value_at_the_end_is_shown_as_a_mark_when_flushed() -> None:
    knowing(A, A + "more")
    inner = io.StringIO()
    stream = RedactingStream(inner)
    stream.write(A)
    assert inner.getvalue() == ""
    stream.flush()
    assert inner.getvalue() == MARK
    stream.write("more\n")
    assert inner.getvalue() == f"{MARK}{MARK}\n"
    assert written([A, "mo", "st\n"], flushed=True) == f"{MARK}most\n"


def test_the_beginning_of_a_value_at_the_end_of_everything() -> None:
    knowing(A)
    assert written([A[:7]], flushed=True) == A[:7]
    assert written([A[:-1]], flushed=True) == MARK


def test_a_value_of_several_lines() -> None:
    knowing("first line\nsecond line")
    assert written(["is first line\n", "second line\n", "first line\n", "other\n"], flushed=False) == (
        f"is {MARK}\nfirst line\nother\n"
    )


def test_a_stream_is_what_it_stands_before() -> None:
    with open("/dev/null", "w", encoding="latin-1", errors="replace") as inner:  # noqa: PTH123
        stream = RedactingStream(inner)
        assert (stream.fileno(), stream.isatty()) == (inner.fileno(), False)
        assert (stream.encoding, stream.errors) == ("latin-1", "replace")
        assert stream.writable()
        del stream
        assert not inner.closed
        stream = RedactingStream(inner)
        stream.close()
        assert inner.closed
        assert stream.closed


def test_both_streams_are_wrapped_once_and_one_way_leads_past(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert original_stdout() is out
    wrap_streams()
    wrap_streams()
    knowing(A)
    sys.stdout.write(f"to be {A}\n")
    sys.stderr.write(f"not {A}\n")
    original_stdout().write(f"then {A}\n")
    assert out.getvalue() == f"to be {MARK}\nthen {A}\n"
    assert err.getvalue() == f"not {MARK}\n"


PROGRAM = """
import sys
from ez_homelab.redaction import know, wrap_streams
know(["{value}"])
wrap_streams()
sys.stdout.write("all of {value} and its beginning: {beginning}")
raise SystemExit("ends with {value}")
"""


def test_a_process_that_ends_leaves_nothing_behind_and_loses_nothing() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM.format(value=A, beginning=A[:6])],
                           capture_output=True, text=True)  # fmt: skip
    assert ended.stdout == f"all of {MARK} and its beginning: {A[:6]}"
    assert ended.stderr == f"ends with {MARK}\n"


READ_BY_HEAD = """
import ez_homelab.cli.app
from ez_homelab.cli import main
from ez_homelab.redaction import know
know(["{value}"])

def talks(prog_name):
    while True:
        print("all of {value}", flush=True)

ez_homelab.cli.app.cli = talks
main()
"""


def test_a_reader_who_has_enough_ends_it_quietly() -> None:
    program = [sys.executable, "-c", READ_BY_HEAD.format(value=A)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == f"all of {MARK}\n"
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait() == 0


def test_nothing_is_imported_for_a_help_text() -> None:
    program = "import sys, ez_homelab.redaction; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"base64", "json", "urllib", "click", "typing_extensions"} & set(ended.stdout.split())


def test_click_writes_through_it() -> None:
    import click

    @click.command()
    def say() -> None:
        wrap_streams()
        click.secho(A, fg="red")
        click.echo(A, err=True)
        click.echo(A, file=original_stdout())

    knowing(A)
    result = CliRunner().invoke(say)
    assert result.stdout == f"{MARK}\n{A}\n"
    assert result.stderr == f"{MARK}\n"
