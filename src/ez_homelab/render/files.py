"""Configuration files: an app's own from the catalog (templates through jinja2), and those the platform writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ez_homelab import lazy, sso
from ez_homelab.config.model import CORE
from ez_homelab.errors import CatalogError, Fault
from ez_homelab.render import targets, traefik
from ez_homelab.render.desired import STACKS_FOLDER, DesiredFile
from ez_homelab.render.routes import public_name
from ez_homelab.sso.engine import OIDC_SECRET, Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ez_homelab.catalog.supplies import ConfigFile
    from ez_homelab.config.model import Lab
    from ez_homelab.config.people import Person
    from ez_homelab.lazy import Sleeper
    from ez_homelab.render.instance import Instance
    from ez_homelab.route import Lazy, Route

    Writer = Callable[["WholeLab", Instance], Mapping[str, bytes]]


@dataclass(frozen=True)
class WholeLab:
    """What files of the platform are written from: they tell one app about the others.

    `instances` and `sleepers` are those of the server that the files are for, `routes` and `people` the whole lab's;
    `asleep` says by app how it sleeps.
    """

    lab: Lab
    instances: Sequence[Instance]
    routes: Sequence[Route]
    people: Mapping[str, Person]
    sleepers: Sequence[Sleeper] = ()
    asleep: Mapping[str, Lazy] = field(default_factory=dict)

    @cached_property
    def sign_on(self) -> Mapping[tuple[str, str], Mapping[str, bytes]]:
        """What the lab's engine of sign-on reads, by app and source."""
        return sso.engine_of(self.lab).files(self.lab, self.routes, self.people, [*self._clients()])

    def _clients(self) -> Iterator[Client]:
        """The apps that sign people in by OpenID Connect where the engine is a provider of it."""
        by_name = {route.name: route for route in self.routes}
        for instance in self.instances:
            oidc, secret = instance.app.manifest.auth.oidc, instance.secrets.get(OIDC_SECRET)
            if oidc and secret and instance.name in by_name:
                yield Client(by_name[instance.name], oidc.redirect_uris, oidc.scopes, secret)

    @cached_property
    def sign_on_paths(self) -> tuple[str, ...]:
        """Where that lies on the core server."""
        return tuple(_paths(self.sign_on))

    @cached_property
    def on_demand(self) -> Mapping[tuple[str, str], Mapping[str, bytes]]:
        """What wakes the server's apps reads, by app and source."""
        return lazy.engine_of(self.lab).files(self.lab, self.sleepers)

    @cached_property
    def on_demand_routes(self) -> Mapping[str, bytes]:
        """What it wants in the folder that Traefik watches, by name."""
        return lazy.engine_of(self.lab).traefik_files(self.lab, self.sleepers) if self.sleepers else {}

    @cached_property
    def on_demand_paths(self) -> tuple[str, ...]:
        """Where all of that lies on the server."""
        return tuple(_paths({**self.on_demand, ("traefik", "dynamic/"): self.on_demand_routes}))


# (app, source in its service.yaml) -> what the platform writes there, by name below the mounted file or folder.
PLATFORM_FILES: Mapping[tuple[str, str], Writer] = {
    ("traefik", "traefik.yml"): lambda whole, _instance: {
        "": traefik.install_file(sso.engine_of(whole.lab).entrypoint),
    },
    ("traefik", "dynamic/"): lambda whole, _instance: {
        "middlewares.yml": traefik.middlewares_file(sso.engine_of(whole.lab).forward_auth()),
        **traefik.routes_of_sleepers(),
        **whole.on_demand_routes,
    },
    ("prometheus", "targets/"): lambda whole, instance: targets.target_files(instance, whole.instances, whole.asleep),
}
_OF_ENGINES = (engine.writes for room in (sso.ENGINES, lazy.ENGINES) for engine in room.values())
WRITTEN = frozenset(PLATFORM_FILES).union(*_OF_ENGINES)


def config_files(whole: WholeLab, instance: Instance) -> dict[str, list[DesiredFile]]:
    """The instance's files, by the name under which its compose.yaml mounts them."""
    return {file.mounted_as: list(_files(whole, instance, file)) for file in instance.app.manifest.files}


def _files(whole: WholeLab, instance: Instance, file: ConfigFile) -> Iterator[DesiredFile]:
    folder = f"{STACKS_FOLDER}/{instance.stack}/{instance.config_folder}"
    uid, gid = map(int, file.target_user.split(":")) if file.target_user else (0, 0)
    mode = 0o600 if file.target_user else 0o644
    for name, content in _contents(whole, instance, file).items():
        yield DesiredFile(_path(folder, file.mounted_as, name), content, mode, uid, gid)


def _paths(written: Mapping[tuple[str, str], Mapping[str, bytes]]) -> Iterator[str]:
    """Where files of the core stack lie, that are told by app and source."""
    folder = f"{STACKS_FOLDER}/{CORE}/config"
    for (app, source), files in written.items():
        yield from (_path(f"{folder}/{app}", source.rstrip("/"), name) for name in files)


def _path(folder: str, mounted_as: str, name: str) -> str:
    """Where a file lies; one that is mounted by itself has no name below what is mounted."""
    return "/".join(part for part in (folder, mounted_as, name) if part)


def _contents(whole: WholeLab, instance: Instance, file: ConfigFile) -> Mapping[str, bytes]:
    if file.rendered:
        writer = PLATFORM_FILES.get((instance.app.id, file.source))
        told = whole.on_demand if instance.app.id in lazy.engine_of(whole.lab).apps else whole.sign_on
        return writer(whole, instance) if writer else told[instance.app.id, file.source]
    if not file.is_folder:
        return {"": _content(whole.lab, instance, file.source)}
    names = [name for name in instance.app.files if name.startswith(file.source)]
    return {name.removeprefix(file.source).removesuffix(".j2"): _content(whole.lab, instance, name) for name in names}


def _content(lab: Lab, instance: Instance, name: str) -> bytes:
    content = instance.app.files[name]
    return _fill_in(lab, instance, name, content) if name.endswith(".j2") else content


def _fill_in(lab: Lab, instance: Instance, name: str, template: bytes) -> bytes:
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # Besides its own errors a template runs into Python's: `{{ 1 / 0 }}`, `{{ domain + 1 }}`, bytes that are no text.
    faults = (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

    # Sandboxed, because a lab's own catalog may come from somebody else.
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    values = {
        "domain": lab.domain,
        "host": public_name(lab.domain, instance),
        "timezone": lab.timezone,
        "app": instance.name,
        "server": instance.server,
    }
    try:
        return environment.from_string(template.decode()).render(values).encode()
    except faults as error:
        path = str(instance.app.folder / "files" / name)
        fault = Fault(path, getattr(error, "lineno", 0) or 0, 1, str(error) or type(error).__name__)
        known = ", ".join(values)
        raise CatalogError(
            f"a template of {instance.app.id} cannot be filled in", (fault,), fix=f"known: {known}"
        ) from None
