"""Contents kept on a server under the SHA-256 of what they hold, readable for root alone.

An object never changes, so what is there under the right hash needs no second write, and one that was begun and not
finished is not there at all (`Host.write`).
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ez_homelab.generations.document import name_of
from ez_homelab.generations.errors import GenerationError
from ez_homelab.hosts import command, run_checked
from ez_homelab.render.desired import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping

    from ez_homelab.hosts import FileState, Host

T = TypeVar("T")

OBJECTS_FOLDER = f"{STATE_FOLDER}/objects"
AT_ONCE = 8
"""How many objects are read or written at the same time: as many as one SSH connection carries channels."""

_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Objects:
    """The objects of one server."""

    host: Host
    folder: str = OBJECTS_FOLDER

    def path(self, name: str) -> str:
        """Where the object of this name lies. Raises `ValueError` for what is no name."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"not the name of an object: {name!r}")
        return f"{self.folder}/{name[:2]}/{name[2:]}"

    async def put(self, contents: Mapping[str, bytes]) -> int:
        """Keep the contents, each under its hash; returns how many were not there yet.

        A damaged object is written anew. Raises `CommandError` or `UnreachableError`; what was written by then is
        whole, and does no harm.
        """
        lacking = [name for name, state in (await self._states(contents)).items() if not _sound(name, state)]
        if lacking:
            await self._make_folders(lacking)
            await _each(lacking, lambda name: self.host.write(self.path(name), contents[name], mode=0o600))
        return len(lacking)

    async def get(self, names: Iterable[str]) -> dict[str, bytes]:
        """The contents by their names. Raises `GenerationError` where one is missing or damaged."""
        wanted = sorted(set(names))
        return dict(zip(wanted, await _each(wanted, self._read), strict=True))

    async def faults(self, names: Iterable[str]) -> dict[str, str]:
        """By name what is wrong with it, `missing`, `damaged` or `open to others`; whole ones are left out."""
        states = await self._states(names)
        return {name: fault for name, state in states.items() if (fault := _fault(name, state))}

    async def list(self) -> frozenset[str]:
        """The names of all objects. Other files in the folder are none of ours."""
        paths = await self.host.list_files(self.folder) or []
        names = (path.removeprefix(f"{self.folder}/").replace("/", "", 1) for path in paths)
        return frozenset(name for name, path in zip(names, paths, strict=True)
                         if _NAME.fullmatch(name) and path == self.path(name))  # fmt: skip

    async def remove(self, names: Iterable[str]) -> None:
        """Remove the objects, and the folders that are empty then; no error where one is not there."""
        await _each(sorted(names), lambda name: self.host.remove(self.path(name), prune_below=self.folder))

    async def _states(self, names: Iterable[str]) -> dict[str, FileState | None]:
        paths = {name: self.path(name) for name in sorted(set(names))}
        states = await self.host.states(paths.values())
        return {name: states[path] for name, path in paths.items()}

    async def _make_folders(self, names: Iterable[str]) -> None:
        """Before the first write, which would make folders that others may look into."""
        folders = sorted({self.path(name).rpartition("/")[0] for name in names})
        order = command("install", "--directory", "--mode=0700", "--", self.folder, *folders)
        await run_checked(self.host, order, what="cannot make the folder that generations are kept in")

    async def _read(self, name: str) -> bytes:
        content = await self.host.read(self.path(name))
        if content is not None and name_of(content) == name:
            return content
        fault, found = (
            ("missing", "is not there") if content is None else ("damaged", "does not hold what its name says")
        )
        raise GenerationError(
            f"an object of a generation is {fault} on {self.host.name}",
            evidence=f"{self.path(name)} {found}",
            cause="it was removed or changed by hand, or the disk lost it",
            fix="choose another generation: ez-homelab history",
        )


def _sound(name: str, state: FileState | None) -> bool:
    return not _fault(name, state)


def _fault(name: str, state: FileState | None) -> str:
    if state is None:
        return "missing"
    if state.sha256 != name:
        return "damaged"
    return "open to others" if state.mode & 0o077 else ""


async def _each(names: Iterable[str], work: Callable[[str], Awaitable[T]]) -> list[T]:
    """The results in the order of the names, a few at the same time; all have ended when this does."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> T:
        async with places:
            return await work(name)

    return await together(one(name) for name in names)


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, done at the same time. The first error ends the others, and is raised when all have ended."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
