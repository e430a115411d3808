"""YAML that people write, read strictly: plain data, the position of every key, and all mistakes at once.

What is read is YAML 1.2's core schema made narrower, so that nothing a person writes changes its meaning on the way:
only `true` and `false` are booleans (`yes`, `no`, `on`, `off` stay text), and `1:30`, `022`, `0x1F`, `1e3` and dates
stay text. Keys are text. Anchors and aliases work within limits; merge keys (`<<`) and tags of programs do not.

The parser is asked for events, not for a tree: a tree built by libyaml's composer overflows the C stack on deep input.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import yaml

from ez_homelab.errors import Fault, FaultyFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 2_000_000
MAX_DEPTH = 32
MAX_ALIAS_NODES = 50_000
MAX_FAULTS = 200
"""Reading stops after this many mistakes, so that a hostile file cannot make an endless message."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_CORE_TAGS = {f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}
# Control characters but tab and line ends, Unicode's own line ends (YAML 1.1 breaks lines there, people do not see
# it), byte order marks inside text, and the bidirectional overrides that make a text look like another.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]|\r(?!\n)"
)
_UNSEEN_IN_VALUE = re.compile(_UNSEEN.pattern.removesuffix("|\r(?!\n)") + "|\r")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\.[0-9]{1,40}([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a key or an item stands, and what lies below it."""

    line: int
    column: int
    below: dict[str, _Mark] | list[_Mark] | None = None
    written: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file as plain data (dict, list, str, int, float, bool, None), with positions.

    `readable` is false where the text is no YAML at all; `data` is None then. Parts that an alias names are the same
    object wherever they appear: do not change them.
    """

    file: str
    data: Any
    faults: tuple[Fault, ...] = ()
    readable: bool = True
    _root: _Mark = field(default=_Mark(1, 1), repr=False)

    def position(self, path: tuple[str | int, ...]) -> tuple[int, int]:
        """Line and column (from 1) of the key or item at the path, or of its nearest ancestor that is there."""
        mark = self._find(path)
        return mark.line, mark.column

    def written(self, path: tuple[str | int, ...]) -> str | None:
        """A number, boolean or null exactly as it stands in the file (`1.10`); None for anything else."""
        return self._find(path).written

    def fault(self, path: tuple[str | int, ...], message: str, suggestion: str = "") -> Fault:
        """A fault at the path's position in this file."""
        return Fault(self.file, *self.position(path), message, suggestion)

    def _find(self, path: tuple[str | int, ...]) -> _Mark:
        mark = self._root
        for step in path:
            below = mark.below
            found = None
            if isinstance(below, dict) and isinstance(step, str):
                found = below.get(step)
            elif isinstance(below, list) and isinstance(step, int) and 0 <= step < len(below):
                found = below[step]
            if found is None:
                break
            mark = found
        return mark


def read_yaml(text: bytes | str, file: str, error: type[FaultyFileError] = FaultyFileError) -> Document:
    """The document in the text; `file` is its name in messages. Raises `error` with every fault found."""
    document = parse_yaml(text, file)
    if document.faults:
        raise error(f"{file} cannot be read as it stands", document.faults, fix=f"correct {file} and run this again")
    return document


def parse_yaml(text: bytes | str, file: str) -> Document:
    """As `read_yaml`, but never raises: the faults come with the document."""
    content, fault = _decode(text, file)
    if fault:
        return Document(file, None, (fault,), readable=False)
    unseen = [_unseen_fault(content, found, file) for found in islice(_UNSEEN.finditer(content), MAX_FAULTS)]
    if unseen:
        return Document(file, None, tuple(unseen), readable=False)
    builder = _Builder(file)
    try:
        builder.build(yaml.parse(content, Loader=_LOADER))
    except UnicodeDecodeError:
        # libyaml lets `!%ED%A0%80` through: a tag that stands for no character.
        return Document(file, None, (*builder.faults, Fault(file, 0, 0, "a tag is not UTF-8")), readable=False)
    except yaml.MarkedYAMLError as error:
        return Document(file, None, (*builder.faults, *_syntax_faults(error, content, file)), readable=False)
    except _StopReadingError:
        return Document(file, None, tuple(builder.faults), readable=False)
    return Document(file, builder.data, tuple(builder.faults), _root=builder.root)


def _decode(text: bytes | str, file: str) -> tuple[str, Fault | None]:
    if len(text) > MAX_BYTES:
        return "", Fault(file, 0, 0, f"the file is larger than {MAX_BYTES:,} bytes")
    if isinstance(text, str):
        return text.removeprefix("\ufeff"), None
    try:
        return text.decode().removeprefix("\ufeff"), None
    except UnicodeDecodeError as error:
        before = text[: error.start].decode()
        line, column = _line_and_column(before, len(before))
        return "", Fault(file, line, column, f"not UTF-8: byte 0x{text[error.start]:02x}", "save the file as UTF-8")


def _line_and_column(content: str, offset: int) -> tuple[int, int]:
    start = content.rfind("\n", 0, offset) + 1
    return content.count("\n", 0, offset) + 1, offset - start + 1


def _unseen_fault(content: str, found: re.Match[str], file: str) -> Fault:
    line, column = _line_and_column(content, found.start())
    return Fault(file, line, column, f"invisible character U+{ord(found.group()):04X}", "remove it")


class _StopReadingError(Exception):
    """What follows cannot be understood any more; the faults so far are the answer."""


@dataclass(slots=True)
class _Node:
    """A value on its way into its container. Size and height count what aliases stand for."""

    value: Any
    mark: _Mark
    size: int = 1
    height: int = 0


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is still open."""

    value: Any
    line: int
    column: int
    anchor: str | None
    below: Any
    size: int = 1
    height: int = 0
    key: str | None = None
    key_mark: Any = None
    awaits_key: bool = True


class _Builder:
    """Turns parser events into data and marks, iteratively, so that depth cannot exhaust a stack."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self.data: Any = None
        self.root = _Mark(1, 1)
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Node | None] = {}
        self._written = 0
        self._documents = 0

    def build(self, events: Iterator[Any]) -> None:
        """Raises `yaml.MarkedYAMLError` from the parser, `_StopReadingError` where reading on makes no sense."""
        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                self._document(event)

    def _fault(self, mark: Any, message: str, suggestion: str = "") -> None:
        self.faults.append(Fault(self.file, mark.line + 1, mark.column + 1, message, suggestion))
        if len(self.faults) >= MAX_FAULTS:
            raise _StopReadingError

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._fault(event.start_mark, "a second document starts here", "remove the `---` line and what follows it")
            raise _StopReadingError

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        if event.style == '"' and (found := _UNSEEN_IN_VALUE.search(event.value)):
            self._fault(mark, f"the text contains the invisible character U+{ord(found.group()):04X}", "remove it")
        value = self._resolve(event)
        frame = self._frames[-1] if self._frames else None
        if frame is not None and isinstance(frame.value, dict) and frame.awaits_key:
            if event.anchor:
                self._anchors[event.anchor] = _Node(value, _Mark(mark.line + 1, mark.column + 1))
            self._key(frame, value, event)
            return
        written = None if isinstance(value, str) else event.value
        self._written += 1
        self._add(_Node(value, _Mark(mark.line + 1, mark.column + 1, None, written)), event.anchor)

    def _resolve(self, event: Any) -> Any:
        tag, text = event.tag, event.value
        if tag is None:
            return resolve_plain(text) if event.implicit[0] else text
        if not self._check_tag(event) or tag in ("!", f"{_TAG}str"):
            return text
        value = resolve_plain(text)
        if tag == f"{_TAG}{_tag_of(value)}":
            return value
        self._fault(event.start_mark, f"`{shown(text)}` is no {tag.removeprefix(_TAG)}", "remove the tag")
        return text

    def _check_tag(self, event: Any) -> bool:
        if event.tag in (None, "!") or event.tag in _CORE_TAGS:
            return True
        self._fault(event.start_mark, f"tag `{shown(event.tag)}` is not allowed here", "remove it")
        return False

    def _key(self, frame: _Frame, value: Any, event: Any) -> None:
        frame.awaits_key = False
        frame.key, frame.key_mark = event.value, event.start_mark
        if not isinstance(value, str):
            self._fault(event.start_mark, f"key `{shown(event.value)}` is not text", f'write "{shown(event.value)}"')
        elif value == "<<" and event.implicit[0]:
            self._fault(event.start_mark, "merge keys (`<<`) are not read", "write the settings out")
            frame.key = None
        elif value in frame.below:
            first = frame.below[value]
            self._fault(
                event.start_mark,
                f"key `{shown(value)}` is there twice: the first is at line {first.line}, column {first.column}",
                "keep one of them",
            )
            frame.key = None

    def _open(self, event: Any) -> None:
        self._written += 1
        mark = event.start_mark
        self._check_tag(event)
        if len(self._frames) >= MAX_DEPTH:
            self._fault(mark, f"nested deeper than {MAX_DEPTH} levels")
            raise _StopReadingError
        frame = self._frames[-1] if self._frames else None
        if frame is not None and isinstance(frame.value, dict) and frame.awaits_key:
            self._fault(mark, "a key must be text, not a mapping or a list")
            raise _StopReadingError
        if event.anchor:
            self._anchors[event.anchor] = None
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        below: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._frames.append(_Frame(value, mark.line + 1, mark.column + 1, event.anchor, below))

    def _close(self) -> None:
        frame = self._frames.pop()
        mark = _Mark(frame.line, frame.column, frame.below)
        self._add(_Node(frame.value, mark, frame.size, frame.height + 1), frame.anchor)

    def _alias(self, event: Any) -> None:
        mark, name = event.start_mark, event.anchor
        frame = self._frames[-1] if self._frames else None
        if frame is not None and isinstance(frame.value, dict) and frame.awaits_key:
            self._fault(mark, f"a key may not be an alias (`*{shown(name)}`)", "write the key out")
            raise _StopReadingError
        node = self._anchors.get(name)
        if node is None:
            known = name in self._anchors
            why = "stands inside what it names" if known else "names nothing"
            self._fault(mark, f"alias `*{shown(name)}` {why}", "" if known else "define it before it is used")
            node = _Node(None, _Mark(0, 0))
        if len(self._frames) + node.height > MAX_DEPTH:
            self._fault(mark, f"alias `*{shown(name)}` nests deeper than {MAX_DEPTH} levels")
            raise _StopReadingError
        own = _Mark(mark.line + 1, mark.column + 1, node.mark.below, node.mark.written)
        if sum(open_frame.size for open_frame in self._frames) + node.size - self._written > MAX_ALIAS_NODES:
            self._fault(mark, f"aliases stand for more than {MAX_ALIAS_NODES:,} values", "write the settings out")
            raise _StopReadingError
        self._add(_Node(node.value, own, node.size, node.height), None)

    def _add(self, node: _Node, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._frames:
            self.data, self.root = node.value, node.mark
            return
        frame = self._frames[-1]
        frame.size += node.size
        frame.height = max(frame.height, node.height)
        if isinstance(frame.value, list):
            frame.value.append(node.value)
            frame.below.append(node.mark)
            return
        frame.awaits_key = True
        if frame.key is not None:
            key_mark = _Mark(frame.key_mark.line + 1, frame.key_mark.column + 1, node.mark.below, node.mark.written)
            frame.value[frame.key] = node.value
            frame.below[frame.key] = key_mark


def resolve_plain(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar means: see the module's first lines."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "-+0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def _tag_of(value: Any) -> str:
    return {bool: "bool", int: "int", float: "float", type(None): "null"}.get(type(value), "str")


def shown(text: str) -> str:
    """A piece of someone's text as a message may quote it: one line, visible characters only, at most 60 of them."""
    short = text if len(text) <= 60 else text[:57] + "..."
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in short)


_PROBLEMS = (
    ("mapping values are not allowed", "unexpected `: ` here", "put a text that contains `: ` in quotes"),
    ("unexpected end of stream", "a quote is opened and never closed", "close it"),
    ("could not find expected ':'", "this line is neither `key: value` nor a list item", "write `key: value`"),
    ("expected ',' or ']'", "a list is opened with `[` and never closed", "add `]`"),
    ("expected ',' or '}'", "a mapping is opened with `{` and never closed", "add `}`"),
    ("undefined tag handle", "tags are not allowed here", "put a text that starts with `!` in quotes"),
    ("unknown escape character", "unknown escape after `\\`", "use single quotes, or write `\\\\`"),
    ("did not find expected key", "the indentation does not fit the lines above", "align it with its neighbours"),
    ("did not find expected '-' indicator", "a list and keys are mixed at one level", "indent the one or the other"),
    ("expected <block end>", "the indentation does not fit the lines above", "align it with its neighbours"),
)


def _syntax_faults(error: yaml.MarkedYAMLError, content: str, file: str) -> list[Fault]:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = content.split("\n")
    text = lines[line] if line < len(lines) else ""
    if text[: column + 1].strip(" ") == "\t":
        return _tab_faults(lines, line, file)
    problem = str(error.problem or "")
    if "cannot start any token" in problem:
        start = text[column : column + 1]
        if start == "\t":
            return [Fault(file, line + 1, column + 1, "a tab where spaces are expected", "use spaces")]
        return [Fault(file, line + 1, column + 1, f"a text may not start with `{shown(start)}`", "put it in quotes")]
    for part, message, suggestion in _PROBLEMS:
        if part in problem:
            opened = error.context_mark if "opened" in message else None
            at = opened or mark
            return [Fault(file, at.line + 1 if at else 1, at.column + 1 if at else 1, message, suggestion)]
    return [Fault(file, line + 1, column + 1, f"this is not YAML: {shown(problem)}")]


def _tab_faults(lines: list[str], first: int, file: str) -> list[Fault]:
    indented = ((number, re.match(" *\t", text)) for number, text in enumerate(lines[first:], first + 1))
    found = [(number, match.end()) for number, match in indented if match]
    return [
        Fault(file, number, column, "a tab in the indentation", "indent with spaces")
        for number, column in found[:MAX_FAULTS]
    ]
