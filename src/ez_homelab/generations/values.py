"""Frozen dataclasses as plain JSON values and back, exactly, by their fields and type hints.

Every field is written, also one that has its default: a default that changes later must not change what was kept.
A mapping keeps its order. Bytes are kept elsewhere, and stand in the JSON as `{"$object": name}`.
"""

from __future__ import annotations

import collections.abc
import sys
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ez_homelab import route
from ez_homelab.render import desired

if TYPE_CHECKING:
    from collections.abc import Callable

OBJECT = "$object"
TYPE = "$type"

_PLAIN = (str, int, float, bool, type(None))
_SEQUENCES = (tuple, list, frozenset, set, collections.abc.Sequence)
_MAPPINGS = (dict, collections.abc.Mapping)
# The modules import some names only for type checkers, so their hints are looked up here.
_NAMES = {**vars(collections.abc), **vars(typing), **vars(route), **vars(desired)}


class ValueMismatchError(Exception):
    """A JSON value does not fit the type it should become; the message says where, and what is the matter."""


def to_plain(value: object, hint: Any, keep: Callable[[bytes], str]) -> Any:
    """The value, whose type is `hint`, as JSON knows it. `keep` puts bytes away and returns their name.

    Raises `TypeError` for a type that this module does not know: a bug in the dataclass or here.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, bytes):
        return {OBJECT: keep(value)}
    if is_dataclass(value) and not isinstance(value, type):
        kinds = hints_of(type(value))
        entries = {name: to_plain(getattr(value, name), kind, keep) for name, kind in kinds.items()}
        return {TYPE: type(value).__name__, **entries} if len(_dataclasses_in(hint)) > 1 else entries
    hint = _choice(hint, value)
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in _MAPPINGS and isinstance(value, collections.abc.Mapping) and arguments[:1] == (str,):
        return {key: to_plain(one, arguments[1], keep) for key, one in value.items()}
    if origin in _SEQUENCES and isinstance(value, collections.abc.Collection):
        # A set has no order of its own; the same set must give the same text.
        listed = sorted(value) if isinstance(value, (set, frozenset)) else list(value)
        return [to_plain(one, inner, keep) for one, inner in zip(listed, _inner(hint, len(listed)), strict=True)]
    raise TypeError(f"a generation cannot hold {type(value).__name__} as {hint}")


def from_plain(plain: Any, hint: Any, read: Callable[[str], bytes], where: str) -> Any:
    """The value of type `hint` that `to_plain` made `plain` of; `read` returns the bytes of a name.

    Raises `ValueMismatchError` where it does not fit; `where` is the place in its message.
    """
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return _from_union(plain, hint, read, where)
    if isinstance(hint, type) and is_dataclass(hint):
        return _from_fields(plain, hint, read, where)
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin is typing.Literal:
        return _expect(plain, plain in arguments, where, f"one of {arguments}")
    if origin is bytes:
        named = isinstance(plain, dict) and isinstance(plain.get(OBJECT), str)
        return read(_expect(plain, named, where, "an object's name")[OBJECT])
    if origin in _MAPPINGS:
        entries = _expect(plain, isinstance(plain, dict), where, "a mapping")
        return {key: from_plain(one, arguments[1], read, f"{where}.{key}") for key, one in entries.items()}
    if origin in _SEQUENCES:
        return _from_list(plain, hint, read, where)
    return _expect(plain, _is_plain(plain, origin), where, getattr(origin, "__name__", str(origin)))


@lru_cache(maxsize=256)
def hints_of(kind: type) -> dict[str, Any]:
    """The type of each field that the dataclass is made with, in the order of the fields."""
    hints = typing.get_type_hints(kind, localns={**_NAMES, **vars(sys.modules[kind.__module__])})
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


def _from_fields(plain: Any, kind: type, read: Callable[[str], bytes], where: str) -> Any:
    entries = dict(_expect(plain, isinstance(plain, dict), where, "an object with fields"))
    entries.pop(TYPE, None)
    hints = hints_of(kind)
    if unknown := sorted(entries.keys() - hints.keys()):
        raise ValueMismatchError(f"{where} has a field that this version does not know: {unknown[0]}")
    needed = {field.name for field in fields(kind) if field.init and field.default is field.default_factory is MISSING}
    if missing := sorted(needed - entries.keys()):
        raise ValueMismatchError(f"{where} has no field {missing[0]}")
    return kind(**{name: from_plain(one, hints[name], read, f"{where}.{name}") for name, one in entries.items()})


def _from_list(plain: Any, hint: Any, read: Callable[[str], bytes], where: str) -> Any:
    listed = _expect(plain, isinstance(plain, list), where, "a list")
    inner = _inner(hint, len(listed))
    _expect(plain, len(inner) == len(listed), where, f"a list of {len(inner)}")
    made = (from_plain(one, kind, read, f"{where}[{number}]") for number, (one, kind) in enumerate(zip(listed, inner)))  # noqa: B905 - just compared
    origin = typing.get_origin(hint) or hint
    return tuple(made) if origin is collections.abc.Sequence else origin(made)


def _from_union(plain: Any, hint: Any, read: Callable[[str], bytes], where: str) -> Any:
    kinds = _dataclasses_in(hint)
    if len(kinds) > 1 and isinstance(plain, dict):
        named = {kind.__name__: kind for kind in kinds}.get(plain.get(TYPE, ""))
        if named is None:
            raise ValueMismatchError(f"{where} is of a kind that this version does not know: {plain.get(TYPE)}")
        return from_plain(plain, named, read, where)
    if plain is None and type(None) in typing.get_args(hint):
        return None
    return _first_fit(plain, [kind for kind in typing.get_args(hint) if kind is not type(None)], read, where)


def _first_fit(plain: Any, kinds: list[Any], read: Callable[[str], bytes], where: str) -> Any:
    for kind in kinds[:-1]:
        try:
            return from_plain(plain, kind, read, where)
        except ValueMismatchError:
            continue
    return from_plain(plain, kinds[-1], read, where)


def _inner(hint: Any, length: int) -> list[Any]:
    """The types of a sequence's entries."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and arguments[-1:] != (Ellipsis,):
        return list(arguments)
    return [arguments[0] if arguments else str] * length


def _choice(hint: Any, value: object) -> Any:
    """Of a union's types the first that the value, a collection, can have; any other hint as it is."""
    if not isinstance(hint, types.UnionType) and typing.get_origin(hint) is not typing.Union:
        return hint
    collections_in = [one for one in typing.get_args(hint) if (typing.get_origin(one) or one) in _SEQUENCES + _MAPPINGS]
    return next((one for one in collections_in if isinstance(value, typing.get_origin(one) or one)), hint)


def _dataclasses_in(hint: Any) -> list[type]:
    return [kind for kind in typing.get_args(hint) if is_dataclass(kind) and isinstance(kind, type)]


def _is_plain(plain: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(plain, (int, float)) and not isinstance(plain, bool)
    if kind is int:
        return isinstance(plain, int) and not isinstance(plain, bool)
    return kind in _PLAIN and isinstance(plain, kind)


def _expect(plain: Any, holds: bool, where: str, what: str) -> Any:
    if not holds:
        raise ValueMismatchError(f"{where} is not {what}")
    return plain
