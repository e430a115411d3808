"""What a stack's way back takes, written down on the server until it is done."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ez_homelab.apply.copies import PENDING, complete_copies
from ez_homelab.errors import CommandError
from ez_homelab.observe.states import held
from ez_homelab.plan.copies import is_of, volumes_of_apps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ez_homelab.apply.executor import Outcome
    from ez_homelab.hosts import Host
    from ez_homelab.observe.observed import ObservedServer
    from ez_homelab.render.desired import DesiredServer, DesiredService, DesiredStack


@dataclass(frozen=True, slots=True)
class Pending:
    """One stack's way back to generation `base`, as it lies on the server until it is done.

    `containers` are made anew as that generation has them, `added` only the new version has; `files` are written as
    that generation has them, `added_files` go. `copies` are the volumes whose copy is still to be put back, `restored`
    those that hold the generation's data again. `failure` is what failed, why, and its fix; no app's log is kept here.
    """

    stack: str
    base: int
    containers: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    added_files: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    failure: tuple[str, str, str] = ("", "", "")


async def make_pending(
    host: Host,
    stack: str,
    base: int,
    before: DesiredServer,
    now: DesiredServer,
    found: ObservedServer,
    outcomes: Iterable[Outcome],
    unguarded: Collection[str] = (),
) -> Pending | None:
    """What going back with the stack takes; None where nothing of it was changed, or nothing was there before.

    `before` is the server in generation `base`, `found` what the look before the run found, `outcomes` the run's. What
    an earlier run changed that was cut off goes back too; a text that a person chose to keep stays, and so does what
    says who may open what, but for the files that are `unguarded`.
    """
    old, new = _stack(before, stack), _stack(now, stack)
    done = [outcome for outcome in outcomes if outcome.state != "skipped"]
    tried = {outcome.action.name.partition("/")[2] for outcome in done
             if outcome.action.kind == "service" and outcome.action.name.startswith(f"{stack}/")}  # fmt: skip
    if old is None or (old == new and not _differing(old, before, now)):
        return None
    touched_groups = {service.wake_group for service in old.services if service.name in tried} - {""}
    changed = tried | {service.name for service in old.services if _altered(service, found, touched_groups)}
    files = _differing(old, before, now) - found.applied.kept.keys() - _told(old, done) - (_guards(now) - {*unguarded})
    written = {outcome.action.name for outcome in done if outcome.action.kind == "file" and outcome.state == "done"}
    if not tried and not files & written:
        return None
    own = {service.name: service for service in (*(new.services if new else ()), *before.services)}
    volumes = volumes_of_apps(own.values(), [service for name, service in own.items() if name in changed])
    copied = await _copied(host, base, done, old)
    touched = volumes & (copied | await _copied_earlier(host, base, changed & own.keys(), before, found))
    # A copy has also stopped those of the app that only write into it over the network.
    users = _of_apps_with(copied | touched, own.values())
    known = {service.name for service in before.services}
    wanted = {file.path for file in before.files}
    return Pending(
        stack,
        base,
        containers=tuple(sorted((changed | users) & known)),
        added=tuple(sorted((changed | users) - known)),
        files=tuple(sorted(files & wanted)),
        added_files=tuple(sorted(files - wanted)),
        copies=tuple(sorted(touched)),
        restored=tuple(sorted(copied - touched)),
    )


async def read_pending(host: Host) -> tuple[Pending, ...]:
    """The ways back that an earlier run began and did not finish. Raises `CommandError` where that cannot be read."""
    content = await host.read(PENDING)
    try:
        entries = json.loads(content or b"[]")
        return tuple(Pending(**{name: _frozen(value) for name, value in entry.items()}) for entry in entries)
    except (ValueError, TypeError, AttributeError) as error:
        raise CommandError(
            f"{PENDING} on {host.name} cannot be read",
            evidence=str(error),
            cause="it was changed by hand",
            fix=f"look at the containers, then: rm {PENDING}",
        ) from error


async def save_pending(host: Host, pending: Pending) -> None:
    """Write it down, in place of what was written down for its stack before."""
    others = [one for one in await read_pending(host) if one.stack != pending.stack]
    await _write(host, [*others, pending])


async def forget_pending(host: Host, stack: str) -> None:
    """The stack's way back is done."""
    await _write(host, [one for one in await read_pending(host) if one.stack != stack])


def _stack(server: DesiredServer, name: str) -> DesiredStack | None:
    return next((stack for stack in server.stacks if stack.name == name), None)


def _differing(stack: DesiredStack, before: DesiredServer, now: DesiredServer) -> set[str]:
    """The stack's files that are otherwise in the two, or only in one of them."""
    old, new = ({file for file in server.files if file.path.startswith(f"{stack.folder}/")} for server in (before, now))
    return {file.path for file in old ^ new}


def _told(stack: DesiredStack, done: Iterable[Outcome]) -> set[str]:
    """Files of secrets that stay: the app was told their new values, and the copies of its data know those too."""
    told = any(one.action.kind == "secret" and one.action.settings["stack"] == stack.name for one in done)
    paths = (one.action.name for one in done if one.action.kind == "file")
    secret = (f"{stack.folder}/.env", f"{stack.folder}/secrets/")
    return {path for path in paths if path.startswith(secret)} if told else set()


def _guards(now: DesiredServer) -> set[str]:
    """Files that say who may open what, which stay: an app that is new since would stand under no rule of its own, and
    whoever was locked out would be let in again."""
    return {path for service in now.services for path in service.guarded_by}


def _altered(service: DesiredService, found: ObservedServer, touched_groups: Collection[str]) -> bool:
    """Whether the container was no longer the generation's own when the run began: an earlier one was cut off.

    What a person stopped is left alone, unless the run has changed other parts of its wake group.
    """
    container = found.container(service.name)
    if container is None or not container.fingerprint or container.fingerprint == service.fingerprint:
        return False
    return service.wake_group in touched_groups or not held(service, container)


async def _copied(host: Host, base: int, done: Iterable[Outcome], stack: DesiredStack) -> set[str]:
    """The volumes of the stack that were copied in this run."""
    own = {volume for service in stack.services for volume in service.volumes}
    names = {outcome.action.name for outcome in done if outcome.action.verb == "copy" and outcome.action.name in own}
    return {volume for volume in names if base in await complete_copies(host, volume)}


async def _copied_earlier(
    host: Host, base: int, changed: Iterable[str], before: DesiredServer, found: ObservedServer
) -> set[str]:
    """The volumes copied in an earlier run that was cut off after it had left another version on them."""
    names: set[str] = set()
    for service in before.services:
        container = found.container(service.name)
        if service.name in changed and container is not None and not is_of(container, service.image, found):
            names |= volumes_of_apps(before.services, [service])
    return {volume for volume in names if base in await complete_copies(host, volume)}


def _of_apps_with(volumes: set[str], services: Collection[DesiredService]) -> set[str]:
    """The services that use one of the volumes, and all others of their apps."""
    apps = {service.app for service in services if volumes & {*service.volumes}}
    return {service.name for service in services if service.app in apps}


async def _write(host: Host, entries: Sequence[Pending]) -> None:
    if entries:
        await host.write(PENDING, json.dumps([asdict(entry) for entry in entries], indent=1).encode(), mode=0o600)
    else:
        await host.remove(PENDING)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
