"""From the lab file and the catalog to everything every server should have. Pure: text in, values out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.render import compose, core, env
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
from ez_homelab.render.files import config_files
from ez_homelab.render.instance import Instance
from ez_homelab.render.override import override_volumes
from ez_homelab.render.routes import make_routes
from ez_homelab.render.support import require_distinct_names, require_support
from ez_homelab.render.text import yaml_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ez_homelab.catalog.app import App
    from ez_homelab.config.model import Lab, Server, Stack
    from ez_homelab.route import Route

__all__ = ["Desired", "render"]


def render(
    lab: Lab,
    find_app: Callable[[str], App],
    editions: Mapping[str, str],
    overrides: Mapping[str, Mapping[str, object]] | None = None,
) -> Desired:
    """Everything every server should have.

    `editions` maps an app's id to the reference of its package edition, for the apps that take it. Raises `UsageError`
    where the lab asks for what cannot be, such as two apps under one name.
    """
    instances = list(_instances(lab, find_app, editions, overrides or {}))
    for instance in instances:
        require_support(instance)
    require_distinct_names(instances)
    routes = make_routes(lab.domain, instances)
    servers = {server.name: _server(lab, server, instances, routes) for server in lab.servers}
    return Desired(lab.domain, servers, routes)


def stacks_of(lab: Lab, server: Server) -> tuple[Stack, ...]:
    """All stacks of a server, ours first."""
    return (core.core_stack(server.name), *lab.stacks_on(server.name))


def _instances(
    lab: Lab,
    find_app: Callable[[str], App],
    editions: Mapping[str, str],
    overrides: Mapping[str, Mapping[str, object]],
) -> Iterator[Instance]:
    for server in lab.servers:
        for stack in stacks_of(lab, server):
            for settings in stack.apps:
                override = overrides.get(settings.name, {})
                image = editions.get(settings.app)
                yield Instance(server.name, stack.name, settings, find_app(settings.app), image, override)


def _server(lab: Lab, server: Server, instances: Sequence[Instance], routes: Sequence[Route]) -> DesiredServer:
    own = [instance for instance in instances if instance.server == server.name]
    writer = _StackWriter(lab, server, own, routes)
    stacks = [writer.write(stack.name) for stack in stacks_of(lab, server)]
    return DesiredServer(
        name=server.name,
        files=tuple(file for _, files in stacks for file in files),
        images=_images(own),
        networks=core.networks(own, routes),
        volumes=tuple(_volumes(own)),
        stacks=tuple(stack for stack, _ in stacks),
        certificate=core.certificate(lab),
    )


def _images(instances: Sequence[Instance]) -> tuple[DesiredImage, ...]:
    wanted = {
        instance.image_of(service): DesiredImage(
            instance.image_of(service), instance.app.id, instance.source_of(service)
        )
        for instance in instances
        for service in instance.app.compose.services
    }
    return tuple(wanted.values())


def _volumes(instances: Sequence[Instance]) -> Iterator[DesiredVolume]:
    for instance in instances:
        for volume in instance.app.manifest.volumes:
            yield DesiredVolume(instance.volume(volume.name), volume.owner or "")
        yield from (DesiredVolume(name, "") for name in override_volumes(instance))


class _StackWriter:
    """Writes the stacks of one server."""

    def __init__(self, lab: Lab, server: Server, instances: Sequence[Instance], routes: Sequence[Route]) -> None:
        self._lab = lab
        self._server = server
        self._instances = instances
        self._routes = {route.name: route for route in routes}
        self._variables = env.variables(lab)

    def write(self, name: str) -> tuple[DesiredStack, list[DesiredFile]]:
        """The stack and its files."""
        folder = f"{STACKS_FOLDER}/{name}"
        instances = [instance for instance in self._instances if instance.stack == name]
        files = {instance.name: config_files(self._lab, instance, self._instances) for instance in instances}
        writers = [writer for instance in instances for writer in self._writers(instance, files[instance.name])]
        services = {writer.container: writer.compose() for writer in writers}
        volumes = [volume.name for volume in _volumes(instances)]
        document = compose.project(name, services, volumes)
        written = [
            DesiredFile(f"{folder}/{MARKER}", b"This folder is kept by EZ-Homelab.\n"),
            DesiredFile(f"{folder}/compose.yaml", yaml_file(document, f"the stack `{name}`")),
            DesiredFile(f"{folder}/.env", env.env_file(self._variables), mode=0o600),
            *(file for group in files.values() for mounted in group.values() for file in mounted),
        ]
        return DesiredStack(name, tuple(writer.desired() for writer in writers)), written

    def _writers(
        self, instance: Instance, files: Mapping[str, Sequence[DesiredFile]]
    ) -> Iterator[compose.ServiceWriter]:
        extras = core.extras(instance, self._server, self._routes.values())
        for service in instance.app.compose.services:
            route = self._routes.get(instance.name)
            yield compose.ServiceWriter(
                instance, service, route=route, extras=extras, files=files, variables=self._variables
            )
