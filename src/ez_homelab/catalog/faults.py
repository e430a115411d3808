"""From what pydantic says about plain data to faults that a person can act on: position, sentence, suggestion."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from ez_homelab.catalog.base import FORMS
from ez_homelab.catalog.compose_fragment import IMAGE, WRITTEN_BY_RENDERING, ComposeService

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.errors import Fault
    from ez_homelab.yaml_text import Document

Path = tuple[str | int, ...]

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "none_required": "empty",
}
_BOUNDS = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} entry",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
}
_CUSTOM = {"duration", "size", "mount", "environment", "test", "start_interval"}


def did_you_mean(wrong: str, known: tuple[str, ...]) -> str:
    """`did you mean X?` where something known is close, else nothing."""
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def model_faults(error: ValidationError, model: type[BaseModel], document: Document) -> Iterator[Fault]:
    """The faults of one document, one for each place in it.

    A wrong item also fails every branch of its union and is missing from its list: only the item is told.
    """
    found: dict[Path, dict[str, Any]] = {}
    consequences: set[Path] = set()
    for detail in error.errors(include_url=False, include_context=True):
        path, skipped = _path_in_data(detail["loc"], document.data, missing=detail["type"] == "missing")
        if skipped or detail["type"] == "too_short":
            consequences.add(path)
        found.setdefault(path, dict(detail))
    for path, first in found.items():
        explained_deeper = path in consequences and any(other[: len(path)] == path for other in found if other != path)
        if not explained_deeper:
            yield _fault(path, first, model, document)


def _path_in_data(location: tuple[str | int, ...], data: Any, *, missing: bool) -> tuple[Path, bool]:
    """The part of pydantic's location that is there in the file, and whether names of union branches were left out."""
    path: list[str | int] = []
    for step in location[:-1] if missing else location:
        is_key = isinstance(data, dict) and step in data
        if is_key or (isinstance(data, list) and isinstance(step, int) and step < len(data)):
            data = data[step]
            path.append(step)
    whole = (*path, location[-1]) if missing else tuple(path)
    return whole, len(whole) < len(location)


def _fault(path: Path, detail: Mapping[str, Any], model: type[BaseModel], document: Document) -> Fault:
    if not path:
        return document.fault((), "the file must be a mapping of keys and values")
    kind = detail["type"]
    if kind == "extra_forbidden":
        return document.fault(path, *_unknown_key(path, model))
    if kind == "string_type" and (written := document.written(path)):
        return document.fault(path, f"`{_dotted(path)}` must be text", f'write "{written}" in quotes')
    sentence, suggestion = _sentence(kind, detail)
    return document.fault(path, f"`{_dotted(path)}`{sentence}", suggestion)


def _sentence(kind: str, detail: Mapping[str, Any]) -> tuple[str, str]:
    """What is said after the name of the key, and the suggestion."""
    if kind == "missing":
        return " is missing", "add it"
    if kind == "literal_error":
        return _not_a_choice(detail)
    if kind == "string_pattern_mismatch":
        return _wrong_pattern(detail["ctx"]["pattern"], detail["input"])
    if kind in _TYPES:
        return f" must be {_TYPES[kind]}", ""
    if kind in _BOUNDS:
        return f" {_BOUNDS[kind].format(**detail['ctx'])}", ""
    return f" {detail['msg']}" if kind in _CUSTOM else f": {detail['msg']}", ""


def _dotted(path: Path) -> str:
    return ".".join(str(step) for step in path)


def _unknown_key(path: Path, model: type[BaseModel]) -> tuple[str, str]:
    key, owner = str(path[-1]), _model_at(model, path[:-1])
    if owner is ComposeService and key in WRITTEN_BY_RENDERING:
        return f"`{_dotted(path)}` does not belong into an app", WRITTEN_BY_RENDERING[key]
    known = tuple(field.alias or name for name, field in owner.model_fields.items()) if owner else ()
    return f"unknown key `{_dotted(path)}`", did_you_mean(key, known)


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model that describes the mapping at the path."""
    found: type[BaseModel] | None = model
    for step in path:
        if found is None:
            return None
        field = next((item for name, item in found.model_fields.items() if step in (name, item.alias)), None)
        if field is not None:
            found = next(_models_in(field.annotation), None)
        # A step without a field is the index or the key of a container whose content was found a step earlier.
    return found


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _not_a_choice(detail: Mapping[str, Any]) -> tuple[str, str]:
    choices = detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
    return f" must be one of: {choices}", did_you_mean(str(detail["input"]), tuple(choices.split(", ")))


def _wrong_pattern(pattern: str, value: object) -> tuple[str, str]:
    if pattern == IMAGE and "@" in str(value):
        return " carries a digest", "remove it: digests are kept in the lab's lock file"
    return f" is not {FORMS[pattern]}", ""
