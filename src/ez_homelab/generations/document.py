"""A lab as one JSON document: everything `render` made of it, the images it ran, and the lab's own files.

The document's name is the SHA-256 of its text. Contents of files are no part of it but objects of their own, named
alike, so that what two generations have in common is kept once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ez_homelab.config.model import CORE
from ez_homelab.generations.errors import GenerationError
from ez_homelab.generations.values import OBJECT, ValueMismatchError, from_plain, hints_of, to_plain
from ez_homelab.render.desired import Desired, DesiredFile, DesiredServer, DesiredStack, stack_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FORMAT = 1
"""Raised when a document of an older format could no longer be read by the rule "a missing field has its default"."""


@dataclass(frozen=True)
class Encoded:
    """A document, its name, and by server the contents that it refers to, by their names.

    The lab's own files belong to core, where the document is kept too.
    """

    document: bytes
    tree: str
    objects: Mapping[str, Mapping[str, bytes]]


@dataclass(frozen=True)
class Recorded:
    """A lab as it was: what every server should have had, the lab's files by their path in its folder, the images.

    `images` maps a server to the digest or id of each image reference that it ran.
    """

    desired: Desired
    lab_files: Mapping[str, bytes]
    images: Mapping[str, Mapping[str, str]]


def name_of(content: bytes) -> str:
    """The name under which a content is kept: its SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def encode(desired: Desired, lab_files: Mapping[str, bytes], images: Mapping[str, Mapping[str, str]]) -> Encoded:
    """The lab as a document, and the contents it refers to. The same lab gives the same bytes."""
    objects: dict[str, dict[str, bytes]] = {name: {} for name in (CORE, *desired.servers)}
    plain = {
        "format": FORMAT,
        "desired": _desired_to_plain(desired, objects),
        "files": to_plain(dict(sorted(lab_files.items())), dict[str, bytes], _keeper(objects[CORE])),
        "images": {server: dict(sorted(found.items())) for server, found in sorted(images.items())},
    }
    document = json.dumps(plain, separators=(",", ":")).encode()
    return Encoded(document, name_of(document), objects)


def decode(document: bytes, read_object: Callable[[str], bytes]) -> Recorded:
    """The lab that the document was made of; `read_object` returns the content of a name.

    Raises `GenerationError` where the document is damaged, or was written by a version that knows more than this one.
    """
    plain = _parsed(document)
    try:
        return Recorded(
            from_plain(plain["desired"], Desired, read_object, "desired"),
            from_plain(plain["files"], dict[str, bytes], read_object, "files"),
            from_plain(plain["images"], dict[str, dict[str, str]], read_object, "images"),
        )
    except ValueMismatchError as error:
        raise _unreadable(str(error)) from error


def references(document: bytes) -> dict[str, frozenset[str]]:
    """By server the names of all objects that the document refers to. Raises `GenerationError` as `decode` does."""
    plain = _parsed(document)
    servers = plain["desired"].get("servers", {})
    rest = {key: one for key, one in plain["desired"].items() if key != "servers"}
    found = {server: frozenset(_objects_in(one)) for server, one in servers.items()}
    return found | {CORE: found.get(CORE, frozenset()) | {*_objects_in(rest), *_objects_in(plain["files"])}}


def stack_hashes(desired: Desired, images: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """By stack a short hash of all that makes it up: its services, its files, what its image references stood for."""
    parts: dict[str, list[Any]] = {}
    for server in desired.servers.values():
        for stack in server.stacks:
            wanted = {service.image for service in stack.services}
            used = {name: one for name, one in images.get(server.name, {}).items() if name in wanted}
            files = tuple(file for file in server.files if stack_folder(file.path) == stack.folder)
            plain = to_plain((stack, files), tuple[DesiredStack, tuple[DesiredFile, ...]], name_of)
            parts.setdefault(stack.name, []).append([server.name, plain, used])
    return {name: name_of(json.dumps(part, sort_keys=True).encode())[:12] for name, part in parts.items()}


def _desired_to_plain(desired: Desired, objects: Mapping[str, dict[str, bytes]]) -> dict[str, Any]:
    """Field by field, because what a server's files hold is kept on that server, and everything else on core."""
    core = _keeper(objects[CORE])
    others = {name: hint for name, hint in hints_of(Desired).items() if name != "servers"}
    plain = {name: to_plain(getattr(desired, name), hint, core) for name, hint in others.items()}
    servers = desired.servers.items()
    return plain | {
        "servers": {name: to_plain(server, DesiredServer, _keeper(objects[name])) for name, server in servers}
    }


def _keeper(objects: dict[str, bytes]) -> Callable[[bytes], str]:
    def keep(content: bytes) -> str:
        name = name_of(content)
        objects[name] = content
        return name

    return keep


def _parsed(document: bytes) -> dict[str, Any]:
    try:
        plain = json.loads(document)
    except ValueError as error:
        raise _unreadable(f"it is not JSON: {error}") from error
    wanted = {"desired", "files", "images"}
    if not isinstance(plain, dict) or not isinstance(plain.get("format"), int):
        raise _unreadable("it is not a generation's document")
    if plain["format"] > FORMAT:
        raise _unreadable(f"its format is {plain['format']}, this version knows {FORMAT}")
    if plain.keys() != wanted | {"format"} or not all(isinstance(plain[key], dict) for key in wanted):
        raise _unreadable("it has other parts than this version knows")
    return plain


def _objects_in(plain: Any) -> Iterator[str]:
    if isinstance(plain, dict):
        if plain.keys() == {OBJECT} and isinstance(plain[OBJECT], str):
            yield plain[OBJECT]
            return
        plain = plain.values()
    elif not isinstance(plain, list):
        return
    for one in plain:
        yield from _objects_in(one)


def _unreadable(evidence: str) -> GenerationError:
    return GenerationError(
        "the document of a generation cannot be read",
        evidence=evidence,
        cause="it was written by a newer version of EZ-Homelab, or it is damaged",
        fix="use the version that wrote it, or another generation: ez-homelab history",
    )
