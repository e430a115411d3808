"""What an app may ask for that this version does not give. It is refused with the reason, never ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.errors import UsageError
from ez_homelab.render.files import WRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ez_homelab.catalog.app import App
    from ez_homelab.render.instance import Instance


def require_support(instance: Instance) -> None:
    """Raises `UsageError` where the app needs something that this version cannot give it."""
    missing = [*_missing(instance.app), *_unwritten(instance.app)]
    if missing:
        raise UsageError(
            f"the app {instance.app.id} cannot run yet: {'; '.join(missing)}",
            cause="this version of EZ-Homelab does not give apps that",
            fix=f"remove {instance.name} from homelab.yaml",
        )


def require_distinct_names(instances: Iterable[Instance]) -> None:
    """Raises `UsageError` where two apps would share a container or a volume: `a` with `b-c`, and `a-b` with `c`."""
    taken: dict[tuple[str, str, str], str] = {}
    for instance in instances:
        names = {("container", instance.server, instance.container(name)) for name in instance.app.compose.services}
        names |= {("volume", instance.server, instance.volume(name)) for name in instance.app.compose.volumes}
        for kind, server, name in sorted(names):
            other = taken.setdefault((kind, server, name), instance.name)
            if other != instance.name:
                raise UsageError(
                    f"{other} and {instance.name} would share the {kind} {name}",
                    cause="the parts of an app are called by the app's name with their own behind it",
                    fix=f"give {instance.name} another name in homelab.yaml",
                )


def _missing(app: App) -> Iterator[str]:
    manifest = app.manifest
    if manifest.status == "disabled":
        yield f"it is disabled in the catalog ({manifest.notes or manifest.replaced_by})"
    if manifest.inputs:
        yield "it asks questions at install"
    if manifest.network.egress == "vpn":
        yield "it needs a VPN"
    if manifest.network.egress == "none" and manifest.network.join:
        yield "it wants no way out and joins networks that have one"
    if manifest.web and manifest.web.target == "host":
        yield "it answers on the server's own network"
    if manifest.web and manifest.web.extra_routes:
        yield "it has more than one public name"


def _unwritten(app: App) -> Iterator[str]:
    for file in app.manifest.files:
        if file.rendered and (app.id, file.source) not in WRITTEN:
            yield f"nothing writes its file {file.source}"
