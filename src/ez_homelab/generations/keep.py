"""Keep a generation, have it again, let go of old ones.

The order makes a crash harmless at any moment: contents, then the document that refers to them, then the row that
names the document; and the other way round when they go. What is left over in between is nothing anybody refers to,
and goes with the next pruning. The caller holds the lab's lock for `record` and `prune`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.config.model import CORE
from ez_homelab.errors import UnreachableError
from ez_homelab.generations.document import Recorded, decode, encode, references, stack_hashes
from ez_homelab.generations.errors import GenerationError
from ez_homelab.generations.objects import OBJECTS_FOLDER, Objects, together

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ez_homelab.generations.index import Generation, Generations, StackOutcome
    from ez_homelab.hosts import Host
    from ez_homelab.render.desired import Desired


@dataclass(frozen=True)
class Pruned:
    """What a pruning dropped: generations, and how many objects. `blocked` says why no object was removed."""

    generations: tuple[Generation, ...]
    objects: int
    blocked: str = ""


@dataclass(frozen=True)
class KeptFault:
    """Something wrong with what is kept: the object (empty: the whole server), and the generations that need it."""

    server: str
    name: str
    fault: str
    generations: tuple[int, ...]


async def record(
    hosts: Mapping[str, Host], index: Generations, desired: Desired, lab_files: Mapping[str, bytes],
    images: Mapping[str, Mapping[str, str]], *, who: str, command: str, why: str, plan: str, outcome: StackOutcome,
    outcomes: Mapping[str, StackOutcome] | None = None, run: int | None = None, folder: str = OBJECTS_FOLDER,
) -> Generation:  # fmt: skip
    """Keep the lab as a new generation; `images` maps a server to the digest or id of each image reference.

    Raises `CommandError`, `UnreachableError` or `GenerationError`; there is no new generation then.
    """
    encoded = encode(desired, lab_files, images)
    await together(_objects(hosts, name, folder).put(one) for name, one in encoded.objects.items() if one)
    await _objects(hosts, CORE, folder).put({encoded.tree: encoded.document})
    return index.record(
        who=who, command=command, why=why, plan=plan, outcome=outcome, tree=encoded.tree, outcomes=outcomes,
        contents=stack_hashes(desired, images), run=run,
    )  # fmt: skip


async def load(index: Generations, number: int, hosts: Mapping[str, Host], *, folder: str = OBJECTS_FOLDER) -> Recorded:
    """The lab as generation `number` kept it.

    Raises `UsageError` where there is no such generation, `GenerationError` where a part of it is missing or damaged.
    """
    generation = index.get(number)
    core = _objects(hosts, CORE, folder)
    document = (await core.get([generation.tree]))[generation.tree]
    wanted = references(document).items()
    found = await together(_objects(hosts, server, folder).get(names) for server, names in wanted if names)
    contents = {name: content for one in found for name, content in one.items()}
    return decode(document, contents.__getitem__)


async def prune(
    index: Generations, hosts: Mapping[str, Host], keep: int, *, pinned: Collection[int] = (),
    folder: str = OBJECTS_FOLDER,
) -> Pruned:  # fmt: skip
    """Keep the latest `keep` generations, and let go of all that only older ones refer to.

    Never lets go of one of which something runs, nor of one that is pinned because a copy of data belongs to it.
    While a kept document cannot be read no object is removed, because nobody knows what it refers to.
    """
    gone = index.prune(keep, pinned)
    try:
        needed = await _needed(index.trees(), _objects(hosts, CORE, folder))
    except GenerationError as error:
        return Pruned(gone, 0, f"{error.what}: {error.evidence}")
    counts = await together(
        _let_go(Objects(host, folder), needed.get(name, frozenset())) for name, host in hosts.items()
    )
    return Pruned(gone, sum(counts))


async def check(
    index: Generations, hosts: Mapping[str, Host], *, folder: str = OBJECTS_FOLDER
) -> tuple[KeptFault, ...]:
    """What of the lab's generations is missing, damaged, or open to others. Changes nothing."""
    core = _objects(hosts, CORE, folder)
    users: dict[tuple[str, str], set[int]] = {}
    for generation in index.all():
        users.setdefault((CORE, generation.tree), set()).add(generation.number)
        for server, name in await _readable(core, generation.tree):
            users.setdefault((server, name), set()).add(generation.number)
    servers = sorted({server for server, _ in users})
    found = await together(_faults_on(hosts.get(name), name, users, folder) for name in servers)
    return tuple(fault for one in found for fault in one)


async def _readable(core: Objects, tree: str) -> list[tuple[str, str]]:
    """What the document refers to; nothing where it cannot be read, which is a fault of its own."""
    try:
        document = (await core.get([tree]))[tree]
        return [(server, name) for server, names in references(document).items() for name in names]
    except GenerationError:
        return []


async def _faults_on(
    host: Host | None, server: str, users: Mapping[tuple[str, str], Collection[int]], folder: str
) -> list[KeptFault]:
    names = [name for where, name in users if where == server]
    everyone = tuple(sorted({number for name in names for number in users[server, name]}))
    if host is None:
        return [KeptFault(server, "", "the lab no longer has this server", everyone)]
    try:
        faults = await Objects(host, folder).faults(names)
    except UnreachableError as error:
        return [KeptFault(server, "", f"could not be looked at: {error.what}", everyone)]
    return [KeptFault(server, name, fault, tuple(sorted(users[server, name]))) for name, fault in faults.items()]


async def _needed(trees: Iterable[str], core: Objects) -> dict[str, frozenset[str]]:
    needed = {CORE: frozenset(trees)}
    for document in (await core.get(needed[CORE])).values():
        for server, names in references(document).items():
            needed[server] = needed.get(server, frozenset()) | names
    return needed


async def _let_go(objects: Objects, needed: frozenset[str]) -> int:
    """How many were removed; on a server that cannot be reached they go another time."""
    try:
        surplus = await objects.list() - needed
        await objects.remove(surplus)
    except UnreachableError:
        return 0
    return len(surplus)


def _objects(hosts: Mapping[str, Host], server: str, folder: str) -> Objects:
    if server not in hosts:
        raise GenerationError(
            f"the generation has files on the server {server}, which the lab no longer has",
            cause="the server was taken out of the lab since",
            fix="choose another generation: ez-homelab history",
        )
    return Objects(hosts[server], folder)
