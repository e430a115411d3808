"""Which files to write, replace or remove, and whether a person changed them since the last apply."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.plan.action import Action
from ez_homelab.render.desired import MARKER, stack_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ez_homelab.hosts import FileState
    from ez_homelab.observe.observed import ObservedServer
    from ez_homelab.plan.action import Verb
    from ez_homelab.render.desired import DesiredFile, DesiredServer

EDITED = "edited on the server since the last apply; that text is kept aside"


def file_actions(server: DesiredServer, found: ObservedServer) -> list[Action]:
    """One action per file that differs, sorted by path; the first file of a new stack folder is its marker.

    A folder with files and without the marker would count as somebody else's after a run that was cut off.
    """
    written = list(_written(server, found))
    return [replace(action, waits_for=marker_of(written, action.name)) for action in written] + list(
        _removed(server, found)
    )


def marker_of(actions: Iterable[Action], path: str) -> tuple[str, ...]:
    """What a file has to wait for: the action that writes the marker of its stack's folder, if there is one."""
    marker = f"{stack_folder(path)}/{MARKER}"
    return tuple(action.id for action in actions if action.name == marker and action.verb == "write" and path != marker)


def _written(server: DesiredServer, found: ObservedServer) -> Iterator[Action]:
    for file in sorted(server.files, key=lambda file: file.path):
        cause = _difference(file, found.files.get(file.path), found.applied.files.get(file.path, ()))
        if cause:
            verb: Verb = "write" if found.files.get(file.path) is None else "replace"
            settings = {"keep": "yes"} if cause == EDITED else {}
            yield Action(server.name, "file", file.path, verb, cause, settings=settings)


def _removed(server: DesiredServer, found: ObservedServer) -> Iterator[Action]:
    wanted = {file.path for file in server.files}
    for path in sorted(found.applied.files.keys() - wanted):
        state = found.files.get(path)
        if state is not None:
            edited = state.sha256 not in found.applied.files[path]
            cause = f"nothing in the lab uses it; {EDITED}" if edited else "nothing in the lab uses it"
            settings = {"keep": "yes"} if edited else {}
            yield Action(server.name, "file", path, "remove", cause, settings=settings)


def _difference(file: DesiredFile, state: FileState | None, known: tuple[str, ...]) -> str:
    if state is None:
        return "deleted since the last apply" if known else "missing"
    if state.sha256 != file.sha256:
        return "content changed" if state.sha256 in known else EDITED
    if state.mode != file.mode:
        return f"mode is {state.mode:04o}, should be {file.mode:04o}"
    if (state.uid, state.gid) != (file.uid, file.gid):
        return f"owner is {state.uid}:{state.gid}, should be {file.uid}:{file.gid}"
    return ""
