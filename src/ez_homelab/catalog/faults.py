"""From what pydantic says about plain data to faults that a person can act on: position, sentence, suggestion."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

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
    """The faults of one document, one for each place in it."""
    found: dict[Path, dict[str, Any]] = {}
    in_union: set[Path] = set()
    for detail in error.errors(include_url=False, include_context=True):
        path, skipped = _path_in_data(detail["loc"], document.data, missing=detail["type"] == "missing")
        if skipped:
            in_union.add(path)
        found.setdefault(path, dict(detail))
    for path, detail in found.items():
        explained_deeper = path in in_union and any(other[: len(path)] == path for other in found if other != path)
        if not explained_deeper:
            yield _fault(path, detail, model, document)


def _path_in_data(location: tuple[str | int, ...], data: Any, *, missing: bool) -> tuple[Path, bool]:
    """The part of pydantic's location that is there in the file, and whether names of union branches were left out."""
    path: list[str | int] = []
    skipped = False
    for step in location[:-1] if missing else location:
        if isinstance(data, dict) and isinstance(step, str) and step in data:
            data = data[step]
        elif isinstance(data, list | tuple) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            skipped = True
            continue
        path.append(step)
    return (*path, location[-1]) if missing else tuple(path), skipped


def _fault(path: Path, detail: Mapping[str, Any], model: type[BaseModel], document: Document) -> Fault:
    if not path:
        return document.fault((), "the file must be a mapping of keys and values")
    subject = f"`{_dotted(path)}`"
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return document.fault(path, f"{subject} is missing", "add it")
    if kind == "extra_forbidden":
        return _unknown_key(path, model, document)
    if kind == "literal_error":
        return _not_a_choice(path, subject, detail, document)
    if kind == "string_pattern_mismatch":
        return document.fault(path, *_wrong_pattern(path, subject, context["pattern"], detail["input"]))
    if kind in _CUSTOM:
        return document.fault(path, f"{subject} {detail['msg']}")
    if kind == "string_type" and (written := document.written(path)):
        return document.fault(path, f"{subject} must be text", f'write "{written}" in quotes')
    if kind in _TYPES:
        return document.fault(path, f"{subject} must be {_TYPES[kind]}")
    if kind in _BOUNDS:
        return document.fault(path, f"{subject} {_BOUNDS[kind].format(**context)}")
    return document.fault(path, f"{subject}: {detail['msg']}")


def _dotted(path: Path) -> str:
    return ".".join(str(step) for step in path)


def _unknown_key(path: Path, model: type[BaseModel], document: Document) -> Fault:
    key = str(path[-1])
    owner = _model_at(model, path[:-1])
    if owner is ComposeService and key in WRITTEN_BY_RENDERING:
        return document.fault(path, f"`{_dotted(path)}` does not belong into an app", WRITTEN_BY_RENDERING[key])
    known = tuple(field.alias or name for name, field in owner.model_fields.items()) if owner else ()
    return document.fault(path, f"unknown key `{_dotted(path)}`", did_you_mean(key, known))


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


def _not_a_choice(path: Path, subject: str, detail: Mapping[str, Any], document: Document) -> Fault:
    choices = detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
    suggestion = did_you_mean(str(detail["input"]), tuple(choices.split(", ")))
    return document.fault(path, f"{subject} must be one of: {choices}", suggestion)


def _wrong_pattern(path: Path, subject: str, pattern: str, value: object) -> tuple[str, str]:
    text = value if isinstance(value, str) and value.isprintable() and len(value) <= 60 else "this"
    if pattern == IMAGE:
        if "@" in str(value):
            return f"{subject} carries a digest", "remove it: digests are kept in the lab's lock file"
        return f"{subject} must be an image with a tag", "write NAME:TAG"
    if path[-1] == "[key]":
        return f"{subject}: a key is not a valid name", ""
    return f"{subject}: `{text}` is not of the form {pattern}", ""
