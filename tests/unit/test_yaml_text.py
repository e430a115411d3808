"""YAML as people write it: what it means here, where it stands, and what is refused with which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from ez_homelab import yaml_text
from ez_homelab.errors import CatalogError, FaultyFileError, LabFileError
from ez_homelab.yaml_text import parse_yaml, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["libyaml", "pure Python"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fast = getattr(yaml, "CSafeLoader", None)
    if request.param == "libyaml" and fast is None:
        pytest.skip("this PyYAML has no C loader")
    monkeypatch.setattr(yaml_text, "_LOADER", fast if request.param == "libyaml" else yaml.SafeLoader)
    yield


MEANINGS = {
    "true": True,
    "False": False,
    "yes": "yes",
    "on": "on",
    "NO": "NO",
    "n": "n",
    "null": None,
    "~": None,
    "": None,
    "42": 42,
    "-7": -7,
    "0": 0,
    "022": "022",
    "0o17": "0o17",
    "0x1F": "0x1F",
    "1_000": "1_000",
    "9" * 19: "9" * 19,
    "1.10": 1.1,
    "-0.5e3": -500.0,
    "1e3": "1e3",
    "1.0e999": "1.0e999",
    ".inf": ".inf",
    "1:30": "1:30",
    "2026-01-02": "2026-01-02",
    "'42'": "42",
    '"true"': "true",
    "!!str 42": "42",
    "!!int '42'": 42,
    "! 42": "42",
    "|\n  two\n  lines": "two\nlines\n",
}


@pytest.mark.parametrize("written", MEANINGS)
def test_what_a_value_means(written: str) -> None:
    value = read_yaml(f"key: {written}\n", "f").data["key"]
    assert (value, type(value)) == (MEANINGS[written], type(MEANINGS[written]))


def test_keys_are_text_even_where_yaml_1_1_saw_booleans() -> None:
    assert read_yaml("on: 1\nyes: 2\n", "f").data == {"on": 1, "yes": 2}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\ufeff", b"\xef\xbb\xbf"])
def test_an_empty_file_is_nothing(text: str | bytes) -> None:
    assert read_yaml(text, "f").data is None


def test_positions_count_from_one_and_fall_back_to_the_nearest_ancestor() -> None:
    document = read_yaml("a: 1\nb:\n  - x\n  - c: {d: é, e: 1.10}\n", "f")
    assert document.position(("a",)) == (1, 1)
    assert document.position(("b", 1)) == (4, 5)
    assert document.position(("b", 1, "c", "e")) == (4, 15)
    assert document.position(("b", 1, "c", "missing", "deeper")) == (4, 5)
    assert document.position(("b", 9)) == (2, 1)
    assert document.position(("missing",)) == document.position(()) == (1, 1)


def test_a_number_is_kept_as_it_was_written() -> None:
    document = read_yaml("a: 1.10\nb: text\nc: [TRUE]\n", "f")
    assert document.written(("a",)) == "1.10"
    assert document.written(("b",)) is None
    assert document.written(("c", 0)) == "TRUE"


def test_below_an_alias_positions_are_those_of_what_it_names() -> None:
    document = read_yaml("a: &x\n  k: 1\nb: *x\n", "f")
    assert document.data == {"a": {"k": 1}, "b": {"k": 1}}
    assert document.position(("b",)) == (3, 1)
    assert document.position(("b", "k")) == (2, 3)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
)
DEEP_ALIASES = "a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20

REFUSED = {
    "a:\n\tb: 1\n\tc: 2\n": [(2, 1, "tab"), (3, 1, "tab")],
    "a: 1\n?\tb\n": [(2, 2, "a tab where spaces")],
    "a: 'x\n": [(1, 4, "never closed")],
    "a: [1\n": [(1, 4, "never closed")],
    "a: b: c\n": [(1, 5, "unexpected `: `")],
    "a: @x\n": [(1, 4, "may not start with `@`")],
    "a:\n  b: 1\n c: 2\n": [(3, 2, "indentation")],
    "a: 1\nb\n": [(3, 1, "neither")],
    "a: 1\na: 2\nb: 1\nb: 2\n": [(2, 1, "first is at line 1"), (4, 1, "first is at line 3")],
    "1: x\ntrue: y\n": [(1, 1, "not text"), (2, 1, "not text")],
    "[a]: b\n": [(1, 1, "a key must be text")],
    "a: 1\n---\nb: 2\n": [(2, 1, "second document")],
    "a: *x\n": [(1, 4, "names nothing")],
    "a: &x [*x]\n": [(1, 8, "inside what it names")],
    "a: &x y\n*x : z\n": [(2, 1, "may not be an alias")],
    "a: &x {b: 1}\nc:\n  <<: *x\n": [(3, 3, "merge keys")],
    "a: !!python/name:os.system\nb: !vault x\n": [(1, 4, "tag"), (2, 4, "tag")],
    "a: !!int x\n": [(1, 4, "is no int")],
    "a: \x01\nb: \x00\n": [(1, 4, "U+0001"), (2, 4, "U+0000")],
    "a: b\rc: d\n": [(1, 5, "U+000D")],
    "a: \u202eb\n": [(1, 4, "U+202E")],
    'a: "\\0"\nb: "\\u202e"\n': [(1, 4, "U+0000"), (2, 4, "U+202E")],
    "a: \ud800\n": [(1, 4, "U+D800")],
    "[" * 100_000: [(1, 33, "deeper than 32")],
    BOMB: [(5, 20, "more than 50,000")],
    DEEP_ALIASES: [(2, 24, "deeper than 32")],
    "#" * 2_000_001: [(0, 0, "larger than 2,000,000")],
}


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused_and_where(text: str) -> None:
    found = [(fault.line, fault.column, fault.message) for fault in parse_yaml(text, "f").faults]
    expected = REFUSED[text]
    assert [position[:2] for position in found] == [position[:2] for position in expected]
    assert all(words in message for (_, _, message), (_, _, words) in zip(found, expected, strict=True))


def test_bytes_that_are_not_utf_8_are_refused_with_their_position() -> None:
    [fault] = parse_yaml("a: é\nb: ".encode() + b"\xe9", "f").faults
    assert str(fault) == "f:2:4: not UTF-8: byte 0xe9 (save the file as UTF-8)"


def test_a_tag_that_is_not_utf_8_is_refused() -> None:
    assert parse_yaml("a: !%ED%A0%80 x\n", "f").faults


def test_windows_line_ends_are_fine() -> None:
    assert read_yaml(b"a: 1\r\nb:\r\n  - c\r\n", "f").data == {"a": 1, "b": ["c"]}


def test_a_readable_document_with_faults_keeps_its_data() -> None:
    document = parse_yaml("a: 1\na: 2\nb: 3\n", "f")
    assert document.readable
    assert document.data == {"a": 1, "b": 3}
    assert not parse_yaml("a: [\n", "f").readable


def test_the_number_of_messages_is_bounded() -> None:
    assert len(parse_yaml("a: 1\n" * 5000, "f").faults) == yaml_text.MAX_FAULTS


@pytest.mark.parametrize("error", [LabFileError, CatalogError])
def test_the_caller_names_the_error(error: type[FaultyFileError]) -> None:
    with pytest.raises(error) as caught:
        read_yaml("a: 1\na: 2\n", "some.yaml", error)
    assert caught.value.evidence.startswith("some.yaml:2:1: ")
