"""Which files to write, replace or remove, and what becomes of a text that a person wrote on the server."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from ez_homelab.plan.action import Action, Kept
from ez_homelab.render.desired import MARKER, stack_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ez_homelab.hosts import FileState
    from ez_homelab.observe.observed import ObservedServer
    from ez_homelab.plan.action import Verb
    from ez_homelab.render.desired import DesiredFile, DesiredServer

Choice = Literal["keep", "overwrite", "adopt"]

EDITED = "edited on the server since the last apply; that text is kept aside"
KEPT = "edited on the server, and kept as you chose"
KEPT_NOW = "edited on the server; it stays as it is"
UNUSED = "nothing in the lab uses it"


@dataclass(frozen=True, slots=True)
class Choices:
    """What becomes of files that a person edited: by path, or `SERVER:PATH` where only that server's is meant.

    `keep` leaves the text. `overwrite` writes the lab's and keeps the other aside; so does `adopt`, because by then the
    lab says what the text said. `otherwise` is for the files that nothing was chosen for.
    """

    otherwise: Choice = "overwrite"
    by_path: Mapping[str, Choice] = field(default_factory=dict)

    def of(self, server: str, path: str) -> Choice:
        """What becomes of this file."""
        return self.chosen(server, path) or self.otherwise

    def chosen(self, server: str, path: str) -> Choice | None:
        """What a person chose for this very file; None where nobody did."""
        return self.by_path.get(f"{server}:{path}", self.by_path.get(path))


OVERWRITE = Choices()


def file_actions(server: DesiredServer, found: ObservedServer, choices: Choices = OVERWRITE) -> list[Action]:
    """One action per file that differs, sorted by path; the first file of a new stack folder is its marker.

    A folder with files and without the marker would count as somebody else's after a run that was cut off.
    """
    kept = {item.path for item in kept_files(server, found, choices)}
    written = list(_written(server, found, kept))
    return [replace(action, waits_for=marker_of(written, action.name)) for action in written] + list(
        _removed(server, found, kept)
    )


def kept_files(server: DesiredServer, found: ObservedServer, choices: Choices = OVERWRITE) -> tuple[Kept, ...]:
    """The edited files that stay as they are, sorted by path.

    A file that was once kept stays so without being chosen again, as long as its text and the lab's are those of then.
    """
    return tuple(
        Kept(server.name, path, reason)
        for path in edited_files(server, found)
        if (reason := _kept(server, found, path, choices))
    )


def edited_files(server: DesiredServer, found: ObservedServer) -> list[str]:
    """Paths whose text is neither the lab's now nor one that we ever left there, sorted."""
    wanted = {file.path: file.sha256 for file in server.files}
    paths = sorted(wanted.keys() | found.applied.files.keys())
    return [
        path for path in paths if _is_edited(found.files.get(path), wanted.get(path), found.applied.files.get(path, ()))
    ]


def kept_texts(kept: Iterable[Kept], found: ObservedServer) -> dict[str, str]:
    """What the applied record has to say of a server's kept files: path -> SHA-256 of the text that stays."""
    states = ((item.path, found.files.get(item.path)) for item in kept if item.server == found.name)
    return {path: state.sha256 for path, state in states if state}


def marker_of(actions: Iterable[Action], path: str) -> tuple[str, ...]:
    """What a file has to wait for: the action that writes the marker of its stack's folder, if there is one."""
    marker = f"{stack_folder(path)}/{MARKER}"
    return tuple(action.id for action in actions if action.name == marker and action.verb == "write" and path != marker)


def _kept(server: DesiredServer, found: ObservedServer, path: str, choices: Choices) -> str:
    """Why the edited file stays as it is; empty where it does not."""
    state = found.files.get(path)
    if state is None or not state.sha256:
        return ""  # a link or a folder is no text of a person's
    chosen = choices.chosen(server.name, path)
    if chosen is None and is_still_kept(server, found, path):
        return KEPT
    return KEPT_NOW if choices.of(server.name, path) == "keep" else ""


def is_still_kept(server: DesiredServer, found: ObservedServer, path: str) -> bool:
    """Whether a person chose to keep the text that is there, when the lab's text was the one that it is now."""
    state = found.files.get(path)
    wanted = next((file.sha256 for file in server.files if file.path == path), None)
    same = state is not None and bool(state.sha256) and found.applied.kept.get(path) == state.sha256
    return same and wanted in found.applied.files.get(path, ())


def _written(server: DesiredServer, found: ObservedServer, kept: set[str]) -> Iterator[Action]:
    for file in sorted(server.files, key=lambda file: file.path):
        cause = _difference(file, found.files.get(file.path), found.applied.files.get(file.path, ()))
        if cause and file.path not in kept:
            verb: Verb = "write" if found.files.get(file.path) is None else "replace"
            settings = {"keep": "yes"} if cause == EDITED else {}
            yield Action(server.name, "file", file.path, verb, cause, settings=settings)


def _removed(server: DesiredServer, found: ObservedServer, kept: set[str]) -> Iterator[Action]:
    wanted = {file.path for file in server.files}
    for path in sorted(found.applied.files.keys() - wanted - kept):
        state = found.files.get(path)
        if state is not None:
            edited = _is_edited(state, None, found.applied.files[path])
            cause = f"{UNUSED}; {EDITED}" if edited else UNUSED
            settings = {"keep": "yes"} if edited else {}
            yield Action(server.name, "file", path, "remove", cause, settings=settings)


def _difference(file: DesiredFile, state: FileState | None, known: tuple[str, ...]) -> str:
    if state is None:
        return "deleted since the last apply" if known else "missing"
    if state.sha256 != file.sha256:
        return EDITED if _is_edited(state, file.sha256, known) else "content changed"
    if state.mode != file.mode:
        return f"mode is {state.mode:04o}, should be {file.mode:04o}"
    if (state.uid, state.gid) != (file.uid, file.gid):
        return f"owner is {state.uid}:{state.gid}, should be {file.uid}:{file.gid}"
    return ""


def _is_edited(state: FileState | None, wanted: str | None, known: tuple[str, ...]) -> bool:
    return state is not None and state.sha256 not in (wanted, *known)
