"""From the lab file and the catalog to everything every server should have. Pure: text in, values out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.config.model import MIRROR
from ez_homelab.render import compose, core, env, secrets
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
from ez_homelab.render.support import require_distinct_names, require_support
from ez_homelab.render.text import yaml_file
from ez_homelab.sso import engine_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ez_homelab.catalog.app import App
    from ez_homelab.config.model import Lab, Server, Stack
    from ez_homelab.route import Route

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
    routes = make_routes(lab.domain, instances)
    servers = {server.name: _server(lab, server, instances, routes, given) for server in lab.servers}
    return Desired(lab.domain, servers, routes)


def stacks_of(lab: Lab, server: Server) -> tuple[Stack, ...]:
    """All stacks of a server, ours first."""
    mirror = (core.mirror_stack(server.name),) if lab.images.source == "packages" else ()
    return (core.core_stack(server.name, _sign_on(lab, server)), *mirror, *lab.stacks_on(server.name))


def _sign_on(lab: Lab, server: Server) -> tuple[str, ...]:
    """The apps that ask who somebody is: every name of the lab leads to its core server, and only that one asks."""
    return engine_of(lab).apps if server == lab.core else ()


def _mails(lab: Lab, server: Server) -> bool:
    """Whether the server's sign-on sends mail."""
    return lab.sign_on.smtp is not None and server == lab.core


def make_instances(lab: Lab, find_app: Callable[[str], App], given: Given) -> Iterator[Instance]:
    """Every app of every server, those that no lab file names first."""
    for server in lab.servers:
        for stack in stacks_of(lab, server):
            for settings in stack.apps:
                yield Instance(
                    server.name, stack.name, settings, find_app(settings.app),
                    given.editions.get(settings.app, {}),
                    given.overrides.get(settings.name, {}),
                    given.secrets.get(settings.name, {}),
                )  # fmt: skip


def _server(
    lab: Lab, server: Server, instances: Sequence[Instance], routes: Sequence[Route], given: Given
) -> DesiredServer:
    own = [instance for instance in instances if instance.server == server.name]
    writer = _StackWriter(WholeLab(lab, own, routes, given.people), server, given)
    stacks = [writer.write(stack.name) for stack in stacks_of(lab, server)]
    return DesiredServer(
        name=server.name,
        files=tuple(file for _, files in stacks for file in files),
        images=_images(own, given),
        networks=core.networks(own, routes, mails=_mails(lab, server)),
        volumes=tuple(_volumes(own)),
        stacks=tuple(stack for stack, _ in stacks),
        certificate=core.certificate(lab),
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

    def __init__(self, whole: WholeLab, server: Server, given: Given) -> None:
        self._whole = whole
        self._server = server
        self._routes = {route.name: route for route in whole.routes}
        self._sign_on = _sign_on(whole.lab, server)
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
        volumes = [volume.name for volume in _volumes(instances)]
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
        mails = _mails(self._whole.lab, self._server)
        extras = core.extras(instance, self._server, self._routes.values(), self._sign_on, mails=mails)
        for service in instance.app.compose.services:
            route = self._routes.get(instance.name)
            image = _pinned(instance, instance.image_of(service), self._given)
            yield compose.ServiceWriter(
                instance, service, route=route, extras=extras, files=files, variables=variables, image=image,
                guarded_by=self._whole.sign_on_paths,
            )  # fmt: skip
