"""Which apps sleep while nobody uses them, how, and which may not: each refusal with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ez_homelab.catalog.base import parse_duration
from ez_homelab.errors import UsageError
from ez_homelab.route import Lazy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ez_homelab.catalog.app import App
    from ez_homelab.config.model import AppInstance
    from ez_homelab.render.instance import Instance
    from ez_homelab.route import Clients

ROUTER_ENDINGS = ("page", "monitor", "waker")
"""What comes behind a route's name in those of the routers and services that belong to its sleep."""

NEVER = "say `lazy: off` for {name} in homelab.yaml"


@dataclass(frozen=True)
class Asleep:
    """How each app sleeps that does, by its name in the lab; what the person should know of it besides."""

    lazy: Mapping[str, Lazy]
    warnings: tuple[str, ...] = ()


def sleeps(settings: AppInstance, app: App) -> bool:
    """Whether the app is to sleep: what the lab file says, and where it says nothing, what the catalog does."""
    return (settings.lazy.mode or app.manifest.lazy.mode) == "stop"


def find_asleep(instances: Sequence[Instance]) -> Asleep:
    """What sleeps, and how. Raises `UsageError` for an app that may not."""
    sleeping = [instance for instance in instances if sleeps(instance.settings, instance.app)]
    groups: dict[tuple[str, str], list[Instance]] = {}
    for instance in sleeping:
        groups.setdefault((instance.server, _group(instance)), []).append(instance)
    needed = _needed_by(instances)
    for members in groups.values():
        for instance in members:
            _require_leave(instance, members, needed.get(instance.app.id, ()))
    _require_distinct_routers(sleeping)
    lazy = {instance.name: one for members in groups.values() for one in [_lazy(members)] for instance in members}
    return Asleep(lazy, tuple(_warnings(instances, lazy)))


def _require_distinct_routers(sleeping: Sequence[Instance]) -> None:
    """Raises `UsageError` where what leads to one app would be called as what leads to another one that sleeps."""
    names = {instance.name for instance in sleeping}
    for name in sorted(names):
        if taken := [other for ending in ROUTER_ENDINGS if (other := f"{name}-{ending}") in names]:
            raise UsageError(
                f"{name} and {taken[0]} cannot both sleep under these names",
                cause=f"while {name} sleeps Traefik leads to what wakes it by routers called {name}-..., "
                f"and {taken[0]} is one of them",
                fix=f"give {taken[0]} another name in homelab.yaml",
            )


def _needed_by(instances: Iterable[Instance]) -> dict[str, list[Instance]]:
    """By the id of an app, who cannot do without it."""
    needed: dict[str, list[Instance]] = {}
    for instance in instances:
        for app in instance.app.manifest.requires.services:
            needed.setdefault(app, []).append(instance)
    return needed


def _group(instance: Instance) -> str:
    return instance.settings.lazy.group or instance.app.manifest.lazy.group or instance.name


def _lazy(members: Sequence[Instance]) -> Lazy:
    """What holds for all of a group: the longest idle time, all hours, and what one of them says of programs.

    One app starts after the other, so the group has the time of each.
    """
    pairs = [(member.settings.lazy, member.app.manifest.lazy) for member in members]
    return Lazy(
        group=_group(members[0]),
        idle=max(_seconds(said.idle, usual.idle_after) for said, usual in pairs),
        timeout=sum(_seconds(said.timeout, usual.ready_timeout) for said, usual in pairs),
        awake=tuple(dict.fromkeys(hours for said, _ in pairs for hours in said.awake or ())),
        clients=_clients(members),
    )


def _clients(members: Sequence[Instance]) -> Clients:
    said = {clients: member.name for member in members if (clients := member.settings.lazy.clients)}
    if len(said) > 1:
        raise UsageError(
            f"{' and '.join(sorted(said.values()))} sleep as one group, and say different `lazy.clients`",
            cause="a program that asks for one of them wakes all of them",
            fix="say the same for each of them in homelab.yaml, or give them groups of their own",
        )
    return next(iter(said), "hold")


def _seconds(written: str | None, usual: int) -> float:
    return float(parse_duration(written) if written else usual)


def _require_leave(instance: Instance, members: Sequence[Instance], needed_by: Iterable[Instance]) -> None:
    """Raises `UsageError` where the app may not sleep with the others of its group."""
    for reason, fix in _reasons(instance, members, needed_by):
        raise UsageError(
            f"{instance.name} may not sleep: {reason}",
            cause="it is to sleep by `lazy` in homelab.yaml, or by its folder in the catalog",
            fix=fix.format(name=instance.name),
        )


def _reasons(
    instance: Instance, members: Sequence[Instance], needed_by: Iterable[Instance]
) -> Iterator[tuple[str, str]]:
    """Why not, and what to do instead."""
    manifest = instance.app.manifest
    if manifest.lazy.suitable is False:
        yield manifest.lazy.reason or "its folder in the catalog says so", NEVER
    if ports := manifest.network.publish:
        yield f"port {ports[0].port} of the server leads to it past Traefik, so nobody would wake it there", NEVER
    if not any(_has_page(member) for member in members):
        yield (
            "nobody asks for it by a name of its own, so nothing would wake it",
            "give {name} the `lazy.group` of an app that people open, or " + NEVER,
        )
    if manifest.web and manifest.web.scheme != "http":
        yield f"it answers by {manifest.web.scheme}, and what wakes apps speaks plain HTTP/1.1 to them", NEVER
    yield from _reasons_of_containers(instance)
    together = {member.name for member in members}
    for other in needed_by:
        if other.name not in together:
            how = "sleeps apart from it" if sleeps(other.settings, other.app) else "does not sleep"
            fix = f"let {other.name} sleep in the same `lazy.group`, or {NEVER}"
            yield f"{other.name} needs it and {how}", fix


def _has_page(instance: Instance) -> bool:
    web = instance.app.manifest.web
    return web is not None and web.exposure != "none"


def _reasons_of_containers(instance: Instance) -> Iterator[tuple[str, str]]:
    written: Any = instance.override.get("services", {})
    for name, service in instance.app.compose.services.items():
        policy = (written.get(name) or {}).get("restart")
        if policy not in (None, "no"):
            fix = f"remove `restart` from overrides/{instance.name}.yaml, or {NEVER}"
            yield f"its override says `restart: {policy}`, by which Docker would start what sleeps", fix
        for other, condition in service.depends_on.items():
            if condition == "service_completed_successfully":
                yield f"its container {instance.container(other)} ends by itself, so it never all runs", NEVER


def _warnings(instances: Iterable[Instance], lazy: Mapping[str, Lazy]) -> Iterator[str]:
    for instance in instances:
        if instance.name in lazy and instance.app.manifest.lazy.suitable == "unknown":
            yield (
                f"{instance.name} is to sleep, and nobody has found out whether that suits it: "
                "what it does in the background ends with it"
            )
        if instance.name not in lazy and _says_how(instance.settings):
            yield f"{instance.name} never sleeps, so its `lazy` settings mean nothing: `mode: stop` lets it sleep"


def _says_how(settings: AppInstance) -> bool:
    lazy = settings.lazy
    return any(one is not None for one in (lazy.idle, lazy.timeout, lazy.group, lazy.awake, lazy.clients))
