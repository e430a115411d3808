"""From the lab file and the catalog to everything every server should have. Pure: text in, values out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ez_homelab import lazy
from ez_homelab.config.model import MIRROR
from ez_homelab.render import compose, core, env, secrets
from ez_homelab.render.asleep import find_asleep, sleeps
from ez_homelab.render.desired import (
    MARKER,
    STACKS_FOLDER,
    Desired,
    DesiredFile,
    DesiredImage,
    DesiredServer,
    DesiredStack,
    DesiredVolume,
)
from ez_homelab.render.files import WholeLab, config_files
from ez_homelab.render.given import NOTHING_GIVEN, Given
from ez_homelab.render.instance import Instance
from ez_homelab.render.override import override_volumes
from ez_homelab.render.routes import make_routes
from ez_homelab.render.sleepers import make_sleepers, wake_groups
from ez_homelab.render.support import require_distinct_names, require_support
from ez_homelab.render.text import yaml_file
from ez_homelab.render.textfiles import with_textfiles
from ez_homelab.sso import engine_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ez_homelab.catalog.app import App
    from ez_homelab.config.model import Lab, Server, Stack
    from ez_homelab.route import Lazy, Route

__all__ = ["NOTHING_GIVEN", "Desired", "Given", "make_instances", "render"]


def render(
    lab: Lab,
    find_app: Callable[[str], App],
    given: Given = NOTHING_GIVEN,
) -> Desired:
    """Everything every server should have.

    Raises `UsageError` where the lab asks for what cannot be, such as two apps under one name.
    """
    instances = list(make_instances(lab, find_app, given))
    for instance in instances:
        require_support(instance)
    require_distinct_names(instances)
    asleep = find_asleep(instances)
    routes = make_routes(lab.domain, instances, asleep.lazy)
    servers = {server.name: _server(lab, server, instances, routes, asleep.lazy, given) for server in lab.servers}
    return Desired(lab.domain, servers, routes, asleep.warnings)


def stacks_of(lab: Lab, server: Server, find_app: Callable[[str], App]) -> tuple[Stack, ...]:
    """All stacks of a server, ours first."""
    mirror = (core.mirror_stack(server.name),) if lab.images.source == "packages" else ()
    own = lab.stacks_on(server.name)
    asleep = any(sleeps(settings, find_app(settings.app)) for stack in own for settings in stack.apps)
    return (core.core_stack(server.name, _parts(lab, server, asleep=asleep)), *mirror, *own)


def _parts(lab: Lab, server: Server, *, asleep: bool) -> core.Parts:
    """What the server's core stack has; `asleep`: whether any of its apps sleeps.

    Every name of the lab leads to its core server, so only that one asks who somebody is.
    """
    is_core = server == lab.core
    return core.Parts(
        sign_on=engine_of(lab).apps if is_core else (),
        mails=is_core and lab.sign_on.smtp is not None,
        on_demand=lazy.engine_of(lab) if asleep else None,
    )


def make_instances(lab: Lab, find_app: Callable[[str], App], given: Given) -> Iterator[Instance]:
    """Every app of every server, those that no lab file names first."""
    for server in lab.servers:
        for stack in stacks_of(lab, server, find_app):
            for settings in stack.apps:
                yield Instance(
                    server.name, stack.name, settings, find_app(settings.app),
                    given.editions.get(settings.app, {}),
                    given.overrides.get(settings.name, {}),
                    given.secrets.get(settings.name, {}),
                )  # fmt: skip


def _server(
    lab: Lab,
    server: Server,
    instances: Sequence[Instance],
    routes: Sequence[Route],
    asleep: Mapping[str, Lazy],
    given: Given,
) -> DesiredServer:
    own = [instance for instance in instances if instance.server == server.name]
    sleepers = make_sleepers(own, routes, asleep)
    parts = _parts(lab, server, asleep=bool(sleepers))
    writer = _StackWriter(WholeLab(lab, own, routes, given.people, sleepers, asleep), server, parts, given)
    stacks = [writer.write(name) for name in dict.fromkeys(instance.stack for instance in own)]
    return DesiredServer(
        name=server.name,
        files=tuple(file for _, files in stacks for file in files),
        images=_images(own, given),
        networks=core.networks(own, routes, parts),
        volumes=tuple(_volumes(own)),
        stacks=tuple(stack for stack, _ in stacks),
        certificate=core.certificate(lab),
        wake_groups=wake_groups(sleepers, own, asleep),
    )


def _images(instances: Sequence[Instance], given: Given) -> tuple[DesiredImage, ...]:
    wanted = {
        name: DesiredImage(name, instance.app.id, instance.source_of(service), _pinned(instance, name, given))
        for instance in instances
        for service in instance.app.compose.services
        for name in [instance.image_of(service)]
    }
    return tuple(wanted.values())


def _pinned(instance: Instance, name: str, given: Given) -> str:
    # The mirror cannot be pulled from itself.
    return name if instance.app.id == MIRROR else given.pin(name)


def _volumes(instances: Sequence[Instance]) -> Iterator[DesiredVolume]:
    for instance in instances:
        for volume in instance.app.manifest.volumes:
            yield DesiredVolume(instance.volume(volume.name), volume.owner or "", volume.volume_class)
        yield from (DesiredVolume(name, "") for name in override_volumes(instance))


class _StackWriter:
    """Writes the stacks of one server."""

    def __init__(self, whole: WholeLab, server: Server, parts: core.Parts, given: Given) -> None:
        self._whole = whole
        self._server = server
        self._parts = parts
        self._routes = {route.name: route for route in whole.routes}
        self._sleepers = {sleeper.name: sleeper for sleeper in whole.sleepers}
        self._given = given

    def write(self, name: str) -> tuple[DesiredStack, list[DesiredFile]]:
        """The stack and its files."""
        folder = f"{STACKS_FOLDER}/{name}"
        instances = [instance for instance in self._whole.instances if instance.stack == name]
        files = {instance.name: self._files(name, instance) for instance in instances}
        variables = self._variables(instances)
        writers = [
            writer for instance in instances for writer in self._writers(instance, files[instance.name], variables)
        ]
        services = {writer.container: writer.compose() for writer in writers}
        volumes = {volume.name for volume in _volumes(instances)}
        volumes |= {volume for writer in writers for volume in writer.volumes_of_others}
        document = compose.project(name, services, volumes)
        written = [
            DesiredFile(f"{folder}/{MARKER}", b"This folder is kept by EZ-Homelab.\n"),
            DesiredFile(f"{folder}/compose.yaml", yaml_file(document, f"the stack `{name}`")),
            DesiredFile(f"{folder}/.env", env.env_file(variables), mode=0o600),
            *(file for group in files.values() for mounted in group.values() for file in mounted),
            *(file for writer in writers for file in writer.secret_files()),
        ]
        return DesiredStack(name, tuple(writer.desired() for writer in writers)), written

    def _files(self, stack: str, instance: Instance) -> dict[str, list[DesiredFile]]:
        mounted = config_files(self._whole, instance)
        return {name: [self._as_adopted(stack, file) for file in files] for name, files in mounted.items()}

    def _as_adopted(self, stack: str, file: DesiredFile) -> DesiredFile:
        text = self._given.adopted.get((stack, file.path.removeprefix(f"{STACKS_FOLDER}/{stack}/")))
        return file if text is None else replace(file, content=text)

    def _variables(self, instances: Iterable[Instance]) -> dict[str, str]:
        own = {name: value for instance in instances for name, value in secrets.variables(instance).items()}
        return env.variables(self._whole.lab) | own

    def _writers(
        self, instance: Instance, files: Mapping[str, Sequence[DesiredFile]], variables: Mapping[str, str]
    ) -> Iterator[compose.ServiceWriter]:
        route, sleep = self._routes.get(instance.name), self._sleep(instance)
        for service in instance.app.compose.services:
            extras = core.extras(instance, service, self._server, self._routes.values(), self._parts)
            extras = with_textfiles(extras, instance, service, self._whole.instances)
            image = _pinned(instance, instance.image_of(service), self._given)
            yield compose.ServiceWriter(
                instance, service, route=route, extras=extras, files=files, variables=variables, image=image,
                guarded_by=self._whole.sign_on_paths, sleep=sleep,
            )  # fmt: skip

    def _sleep(self, instance: Instance) -> compose.Sleep | None:
        asleep = self._whole.asleep.get(instance.name)
        if asleep is None or self._parts.on_demand is None:
            return None
        labels = partial(self._parts.on_demand.labels, self._sleepers[asleep.group])
        return compose.Sleep(asleep.group, labels, self._whole.on_demand_paths)
