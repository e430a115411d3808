"""What the doctor has to know of a lab, taken from the lab itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.config.model import Paths
from ez_homelab.config.rules import CORE_APPS, ON_DEMAND_APPS, SIGN_ON_APPS
from ez_homelab.config.users import enabled_admins
from ez_homelab.doctor import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ez_homelab.catalog.app import App
    from ez_homelab.config.model import Lab
    from ez_homelab.config.people import Person
    from ez_homelab.render.desired import Desired

NOBODY: Mapping[str, Person] = {}


def subject_of(
    lab: Lab, desired: Desired, find_app: Callable[[str], App], people: Mapping[str, Person] = NOBODY
) -> Subject:
    """The subject for the lab's core server, as if every image were there."""
    server = desired.servers[lab.core.name]
    wakers = ON_DEMAND_APPS[lab.on_demand.engine] if server.wake_groups else ()
    own = (*CORE_APPS, *SIGN_ON_APPS[lab.sign_on.engine], *wakers)
    apps = [find_app(name) for name in dict.fromkeys([*own, *(instance.app for instance in lab.instances)])]
    return Subject(
        domain=lab.domain,
        address=lab.core.address,
        ports=tuple(sorted(port.port for service in server.services for port in service.published)),
        data_paths=_data_paths(lab, apps),
        architectures={app.id: _architectures(app, lab) for app in apps},
        reserved_bytes=sum(service.reserved_memory for service in server.services),
        engine=lab.sign_on.engine,
        sign_on=SIGN_ON_APPS[lab.sign_on.engine][0],
        admins=enabled_admins(people),
        certificate=server.certificate.path,
        lan=lab.sign_on.lan,
        lan_routes=tuple(route.name for route in desired.routes if route.sign_on.access == "lan"),
        open_routes=_open_routes(lab, desired, find_app),
        registrations=_registrations(lab, desired, find_app),
        cut_off=_cut_off(lab, desired, find_app),
        sleeping=tuple(app for group in server.wake_groups for app in group.apps),
        wakers={service.name: service.app for service in server.services if service.app in wakers},
        sablier=lab.on_demand.engine == "sablier",
    )


def _open_routes(lab: Lab, desired: Desired, find_app: Callable[[str], App]) -> dict[str, str]:
    """Routes that nobody signs in to, with the reason; the portal, which has to be open, is none of them."""
    apps = {instance.name: find_app(instance.app) for instance in lab.instances}
    own = {instance.name for instance in lab.instances if instance.policy == "bypass"}
    return {
        route.name: "homelab.yaml says so" if route.name in own else _reason(apps[route.name])
        for route in desired.routes
        if route.sign_on.policy == "bypass" and route.name in apps
    }


def _registrations(lab: Lab, desired: Desired, find_app: Callable[[str], App]) -> dict[str, str]:
    """Apps with a page on which people can make accounts for themselves, and how that is closed."""
    closed_to_all = {route.name for route in desired.routes if route.sign_on.policy == "deny"}
    reachable = {route.name for route in desired.routes} - closed_to_all
    auths = {instance.name: find_app(instance.app).manifest.auth for instance in lab.instances}
    return {
        name: auth.registration_note or ""
        for name, auth in auths.items()
        if auth.registration == "open" and name in reachable
    }


def _cut_off(lab: Lab, desired: Desired, find_app: Callable[[str], App]) -> dict[str, float]:
    """Apps that sleep, and keep connections open of which the lab's engine does not know; each with its idle time."""
    if lab.on_demand.engine != "sablier":
        return {}
    webs = {instance.name: find_app(instance.app).manifest.web for instance in lab.instances}
    talking = {name for name, web in webs.items() if web and web.websockets}
    return {route.name: route.lazy.idle for route in desired.routes if route.lazy and route.name in talking}


def _reason(app: App) -> str:
    return app.manifest.auth.reason or "its folder in the catalog says so"


def _data_paths(lab: Lab, apps: Iterable[App]) -> tuple[str, ...]:
    """The folders that apps are given, and those that the lab file names although nothing uses them yet."""
    mounts = [mount.source for app in apps for service in app.compose.services.values() for mount in service.volumes]
    named = lab.paths != Paths()
    folders = {"${MEDIA}": lab.paths.media, "${DOWNLOADS}": lab.paths.downloads}
    return tuple(path for variable, path in folders.items() if named or any(m.startswith(variable) for m in mounts))


def _architectures(app: App, lab: Lab) -> tuple[str, ...]:
    manifest = app.manifest
    if lab.images.source == "packages" and manifest.edition:
        return manifest.edition.architectures
    return () if manifest.architectures == "unknown" else manifest.architectures
