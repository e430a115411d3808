"""Which public names the lab has, and what answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.errors import UsageError
from ez_homelab.route import BypassPath, ContainerTarget, Expectation, Route, SignOn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ez_homelab.catalog.access import Web
    from ez_homelab.render.instance import Instance
    from ez_homelab.route import Lazy


def make_routes(domain: str, instances: Iterable[Instance], lazy: Mapping[str, Lazy]) -> tuple[Route, ...]:
    """One Route per app that answers browsers; `lazy` is by app (see `find_asleep`).

    Raises `UsageError` where two apps want the same name.
    """
    routes = tuple(route for instance in instances if (route := _route(domain, instance, lazy.get(instance.name))))
    taken: dict[str, Route] = {}
    for route in routes:
        if other := taken.get(route.host):
            raise UsageError(
                f"{route.name} and {other.name} both want the name {route.host}",
                cause="both have the same sub-domain",
                fix=f"give one of them a `subdomain` of its own in homelab.yaml, under stacks: {route.stack}",
            )
        taken[route.host] = route
    return routes


def _route(domain: str, instance: Instance, lazy: Lazy | None) -> Route | None:
    web = instance.app.manifest.web
    if web is None or web.exposure == "none":
        return None
    health = instance.app.manifest.health
    return Route(
        name=instance.name,
        title=instance.app.manifest.name,
        host=public_name(domain, instance),
        server=instance.server,
        stack=instance.stack,
        target=ContainerTarget(instance.container(web.service), web.port, web.scheme),
        expectation=Expectation(health.path, health.expect_status),
        sign_on=_sign_on(instance, web),
        lazy=lazy,
    )


def _sign_on(instance: Instance, web: Web) -> SignOn:
    """What the lab file says about the app; where it says nothing, what the catalog does."""
    own, auth = instance.settings, instance.app.manifest.auth
    policy, access = own.policy or auth.policy, own.access or ("lan" if web.exposure == "lan" else "public")
    if policy in ("bypass", "deny"):
        return SignOn(policy, access=access)
    groups = auth.groups if own.groups is None else own.groups
    usual = {bypass.path: bypass.reason for bypass in auth.bypass}
    paths = usual if own.bypass is None else own.bypass
    return SignOn(policy, groups, tuple(BypassPath(*item) for item in sorted(paths.items())), access)


def public_name(domain: str, instance: Instance) -> str:
    """The name under which browsers ask for the instance, if anything of it answers them."""
    return f"{_subdomain(instance)}.{domain}"


def _subdomain(instance: Instance) -> str:
    web = instance.app.manifest.web
    # The app's usual name belongs to the instance that carries the app's own name; a second one goes by its own.
    usual = web.subdomain if web and instance.name == instance.app.id else None
    return instance.settings.subdomain or usual or instance.name
