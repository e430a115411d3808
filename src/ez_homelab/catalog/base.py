"""What every model of the catalog shares: strictness, and the notations that are parsed at the door.

Inside, durations are whole seconds and sizes are bytes; `30s` and `512M` exist only in the files.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from ez_homelab.durations import seconds_of

Unknown = Literal["unknown"]
"""A fact that could not be established. It is never replaced by a guess."""

_SIZE = re.compile(r"([0-9]{1,9})([KMGT])")
_SIZE_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Model(BaseModel):
    """A frozen part of an app's files; unknown keys and silent conversions are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def parse_duration(value: Any) -> Any:
    """Whole seconds from `30s`, `10m`, `1h30m`, `7d`. Raises `PydanticCustomError` for anything else."""
    seconds = seconds_of(value) if isinstance(value, str) else None
    if seconds is None:
        raise PydanticCustomError("duration", "is not a duration: write it like 30s, 10m, 1h30m or 7d")
    return seconds


def parse_size(value: Any) -> Any:
    """Bytes from `512M` or `4G` (powers of 1024, as in Compose); 0 stays 0. Raises `PydanticCustomError`."""
    if value == 0 and isinstance(value, int) and not isinstance(value, bool):
        return 0
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise PydanticCustomError("size", "is not a size: write it like 64K, 512M, 4G or 1T")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def _unless_unknown(parse: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: value if value == "unknown" else parse(value))


def one_or_many(value: Any) -> Any:
    """A single item stands for a list of one."""
    return value if isinstance(value, tuple) else (value,)


_DURATION_SCHEMA = {"type": "string", "pattern": r"^(?=.)([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"}
_SIZE_SCHEMA = {"anyOf": [{"type": "string", "pattern": r"^[0-9]{1,9}[KMGT]$"}, {"const": 0}]}
_UNKNOWN_SCHEMA = {"const": "unknown"}

Seconds = Annotated[int, BeforeValidator(parse_duration), WithJsonSchema(_DURATION_SCHEMA)]
Bytes = Annotated[int, BeforeValidator(parse_size), WithJsonSchema(_SIZE_SCHEMA)]
BytesOrUnknown = Annotated[
    int | Unknown, _unless_unknown(parse_size), WithJsonSchema({"anyOf": [_SIZE_SCHEMA, _UNKNOWN_SCHEMA]})
]
Port = Annotated[int, Field(ge=1, le=65535)]
HttpStatus = Annotated[int, Field(ge=100, le=599)]
HttpStatuses = Annotated[
    tuple[HttpStatus, ...],
    BeforeValidator(one_or_many),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}),
]

FORMS: dict[str, str] = {}
"""What a pattern asks for, in words that fit after "is not"."""


def _pattern(form: str, pattern: str, max_length: int) -> StringConstraints:
    FORMS[pattern] = form
    return StringConstraints(pattern=pattern, max_length=max_length)


Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
AppId = Annotated[str, _pattern("a kebab-case id such as node-exporter", r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", 40)]
"""A kebab-case id. Apps, their containers and their volumes are called so; Docker takes all of these as names."""
FactId = Annotated[str, _pattern("a snake_case id such as db_password", r"^[a-z][a-z0-9_]*$", 60)]
"""A snake_case id of an input or a secret."""
EnvName = Annotated[str, _pattern("the name of an environment variable", r"^[A-Za-z_][A-Za-z0-9_]*$", 120)]
UrlPath = Annotated[str, _pattern("the path of an address, which starts with `/`", r"^/[!-~]*$", 400)]
FilePath = Annotated[str, _pattern("an absolute path without blanks and colons", r"^/[^\s:]*$", 400)]
Hostname = Annotated[str, _pattern("one part of a host name", r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", 63)]
Owner = Annotated[str, _pattern('a numeric "uid:gid"', r"^[0-9]{1,9}:[0-9]{1,9}$", 19)]
"""A numeric `uid:gid`: names are not the same in every image."""
Day = Annotated[str, _pattern("a day such as 2026-08-21", r"^20[0-9]{2}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])$", 10)]
FileSource = Annotated[
    str,
    _pattern(
        "a path below files/ of plain names",
        r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*/?$",
        200,
    ),
]
Request = Annotated[str, _pattern("a request such as GET /path", r"^(GET|HEAD|POST|PUT|PATCH|DELETE) /[!-~]*$", 400)]
