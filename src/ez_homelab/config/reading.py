"""Checks plain data against the table of options and brings every shorthand into its one full shape.

What comes out is plain too: a group is a dict of the options that are there, named things are a list of `Entry`,
because later checks need to know where each stood in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ez_homelab.config import rules
from ez_homelab.config.options import Apps, Choice, Group, Kind, Listed, Named, Short, Stack, Text, Version, Whole
from ez_homelab.yaml_text import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from ez_homelab.errors import Fault
    from ez_homelab.yaml_text import Document

Path = tuple[str | int, ...]
_Type = TypeVar("_Type")
MAX_FAULTS = 1_000
_WORDS = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A named thing with its settings, and where it stood."""

    name: str
    path: Path
    value: Any


class Reader:
    """Reads one document. What is wrong lands in `faults`; what is right is returned all the same."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.faults: list[Fault] = list(document.faults)
        self._told = {(fault.line, fault.column) for fault in document.faults}

    def fault(self, path: Path, message: str, suggestion: str = "") -> None:
        """Note a fault at the path, unless the YAML itself is at fault there."""
        if self.full or self.document.position(path) in self._told:
            return
        self.faults.append(self.document.fault(path, message, suggestion))
        if self.full:
            self.faults.append(
                self.document.fault(path, f"more may follow: the first {MAX_FAULTS:,} mistakes are told")
            )

    @property
    def full(self) -> bool:
        """Whether no more faults are noted: a hostile file cannot make an endless message."""
        return len(self.faults) >= MAX_FAULTS

    def read(self, kind: Kind, value: Any, path: Path) -> Any:
        """The value in its full shape; None where it is faulty or empty."""
        readers: dict[type, Callable[[Any, Any, Path], Any]] = {
            Text: self._text,
            Whole: self._whole,
            Version: self._whole,
            Choice: self._choice,
            Group: self.group,
            Short: self._short,
            Named: self._named,
            Listed: self._listed,
            Apps: self._apps,
            Stack: self._stack,
        }
        return readers[type(kind)](kind, value, path)

    def group(self, group: Group, value: Any, path: Path) -> dict[str, Any]:
        """The options that are there, by name. Options with nothing in them are left out."""
        found = {}
        known = {option.name: option for option in group.options}
        for key, item in (self.expect(dict, value, path) or {}).items():
            if key not in known:
                where = f"unknown key `{shown(key)}` in {group.word}" if path else f"unknown key `{shown(key)}`"
                self.fault((*path, key), where, "" if self.full else rules.did_you_mean(key, known))
                continue
            result = self.read(known[key].kind, item, (*path, key))
            if result is not None:
                found[key] = result
        return found

    def expect(self, wanted: type[_Type], value: Any, path: Path) -> _Type | None:
        """The value where it has the wanted type; None (with a fault, unless there is nothing) where not."""
        if isinstance(value, wanted):
            return value
        if value is not None:
            self.fault(path, f"{self._label(path)} should be {_WORDS[wanted]}, not {describe(value)}")
        return None

    def _label(self, path: Path) -> str:
        return (
            f"`{shown(str(path[-1]))}`" if path and isinstance(path[-1], str) else "this item" if path else "the file"
        )

    def _text(self, kind: Text, value: Any, path: Path) -> str | None:
        written = self.document.written(path)
        if kind.numbers and written is not None:
            value = written
        if not isinstance(value, str):
            complaint = kind.check(written) if written and value is not None else None
            if complaint is not None and complaint[1]:
                self.fault(path, *complaint)
                return None
            suggestion = f'write "{shown(written)}"' if written and value is not None else ""
            missing = f"{self._label(path)} has no value"
            wrong = f"{self._label(path)} should be text, not {describe(value)}"
            self.fault(path, missing if value is None else wrong, suggestion)
            return None
        complaint = kind.check(value)
        if complaint is None:
            return kind.clean(value)
        self.fault(path, *complaint)
        return None

    def _whole(self, kind: Whole | Version, value: Any, path: Path) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int):
            self.fault(path, f"{self._label(path)} should be a whole number, not {describe(value)}")
        elif isinstance(kind, Version) and value != 1:
            self.fault(path, f"version {value} of this file is not known: this program reads version 1")
        elif isinstance(kind, Whole) and not kind.lowest <= value <= kind.highest:
            self.fault(path, f"{self._label(path)} is out of range: from {kind.lowest} to {kind.highest}")
        else:
            return value
        return None

    def _short(self, kind: Short, value: Any, path: Path) -> dict[str, Any]:
        if isinstance(value, dict) or value is None:
            return self.group(kind.full, value, path)
        short = self.read(kind.kind, value, path)
        return {} if short is None else {kind.option: short}

    def _choice(self, kind: Choice, value: Any, path: Path) -> str | None:
        # A choice such as 503 is a number in YAML.
        written = value if isinstance(value, str) else self.document.written(path)
        if written in kind.values:
            return written
        wanted = " or ".join(f"`{choice}`" for choice in kind.values)
        suggestion = rules.did_you_mean(value, kind.values) if isinstance(value, str) else ""
        self.fault(path, f"{self._label(path)} should be {wanted}, not {describe(value)}", suggestion)
        return None

    def _named(self, kind: Named, value: Any, path: Path) -> list[Entry] | None:
        if value is None:
            return None
        entries = []
        for key, item in (self.expect(dict, value, path) or {}).items():
            entry = self._entry(kind.key, kind.value, key, item, (*path, key))
            if entry is not None:
                entries.append(entry)
        return entries

    def _entry(self, key_kind: Text, value_kind: Kind, key: str, item: Any, path: Path) -> Entry | None:
        complaint = key_kind.check(key)
        if complaint is not None:
            self.fault(path, *complaint)
        value = self.read(value_kind, item, path)
        # A stack with a bad name is kept, so that what is wrong with its apps is told in the same run.
        usable = complaint is None or isinstance(value_kind, Stack)
        return Entry(key, path, value) if usable and value is not None else None

    def _listed(self, kind: Listed, value: Any, path: Path) -> list[Any] | None:
        if value is None:
            return None
        items = self.expect(list, value, path) or []
        return [self.read(kind.item, item, (*path, index)) for index, item in enumerate(items)]

    def _stack(self, kind: Stack, value: Any, path: Path) -> dict[str, Any]:
        # A lone text is no stack either; `_apps` says so best.
        if isinstance(value, (list, str)):
            return {"apps": self._apps(kind.apps, value, path)}
        return self.group(kind.full, value, path)

    def _apps(self, kind: Apps, value: Any, path: Path) -> list[Entry]:
        if isinstance(value, str):
            self.fault(path, f"apps should be a list or a mapping, not {describe(value)}", f"write `[{shown(value)}]`")
            return []
        if not isinstance(value, list):
            pairs = [((*path, key), key, item) for key, item in (self.expect(dict, value, path) or {}).items()]
        else:
            pairs = [pair for index, item in enumerate(value) for pair in self._listed_app(item, (*path, index))]
        entries = [self._entry(kind.key, kind.value, key, item, at) for at, key, item in pairs]
        return [entry for entry in entries if entry is not None]

    def _listed_app(self, item: Any, path: Path) -> list[tuple[Path, str, Any]]:
        if isinstance(item, str):
            return [(path, item, None)]
        if isinstance(item, dict) and len(item) == 1:
            [(key, settings)] = item.items()
            return [((*path, key), key, settings)]
        if isinstance(item, dict) and item:
            suggestion = f"indent what belongs to `{shown(next(iter(item)))}` deeper"
            self.fault(path, "an item of a list of apps has one name, with its settings below it", suggestion)
        else:
            self.fault(path, f"an app in a list should be a name, not {describe(item)}")
        return []


def describe(value: Any) -> str:
    """A value as a message names it."""
    if isinstance(value, str):
        return f"`{shown(value)}`"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"the number {value}"
    return _WORDS.get(type(value), "that") if not isinstance(value, bool) else f"`{str(value).lower()}`"
