"""Which files to write, replace or remove, and whether a person changed them since the last apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.plan.action import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.hosts import FileState
    from ez_homelab.observe.observed import ObservedServer
    from ez_homelab.plan.action import Verb
    from ez_homelab.render.desired import DesiredFile, DesiredServer

EDITED = "edited on the server since the last apply; that text is kept aside"


def file_actions(server: DesiredServer, found: ObservedServer) -> Iterator[Action]:
    """One action per file that differs, sorted by path."""
    for file in sorted(server.files, key=lambda file: file.path):
        cause = _difference(file, found.files.get(file.path), found.applied.files.get(file.path, ()))
        if cause:
            verb: Verb = "write" if found.files.get(file.path) is None else "replace"
            settings = {"keep": "yes"} if cause == EDITED else {}
            yield Action(server.name, "file", file.path, verb, cause, settings=settings)
    wanted = {file.path for file in server.files}
    for path in sorted(found.applied.files.keys() - wanted):
        if found.files.get(path) is not None:
            yield Action(server.name, "file", path, "remove", "nothing in the lab uses it")


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
