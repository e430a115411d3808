"""catalog.md, from the manifests of the apps that come with EZ-Homelab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.loader import Catalog
from ez_homelab.config.rules import OWN_STACKS
from ez_homelab.reference.tables import cell, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.manifest import Manifest
    from ez_homelab.catalog.supplies import Permission

_INTRODUCTION = """\
# The apps

What `ez-homelab add APP` can add, and what comes by itself where a lab needs it. "From packages" is the version that
you get where no image registry answers ([package editions](../concepts/package-editions.md)). A right beyond those of
an ordinary container is listed with its reason. Your own: [Write an app](../guides/write-an-app.md)."""

_MEGABYTE = 1024 * 1024


def catalog_page() -> str:
    """Every shipped app."""
    catalog = Catalog.shipped()
    lines = [_INTRODUCTION]
    for app_id in catalog.ids():
        lines += ["", *_app(catalog.app(app_id).manifest)]
    return "\n".join(lines) + "\n"


def _app(manifest: Manifest) -> Iterator[str]:
    yield f"## `{manifest.id}`"
    yield ""
    yield f"{manifest.name}: {manifest.tagline[0].lower()}{manifest.tagline[1:]}. <{manifest.upstream.website}>"
    if manifest.id in OWN_STACKS:
        yield ""
        stack = OWN_STACKS[manifest.id]
        yield f"Comes by itself where a lab needs it, in the stack `{stack}`; it cannot be added or removed."
    yield ""
    yield from table(("", ""), _facts(manifest))
    if manifest.notes:
        yield ""
        yield " ".join(manifest.notes.split())


def _facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    memory = manifest.resources.memory
    architectures = manifest.architectures
    yield "Version", cell(manifest.version)
    yield "From packages", cell(_edition(manifest))
    yield "Runs on", architectures if isinstance(architectures, str) else ", ".join(architectures)
    yield "Page", f"port {manifest.web.port} of its container" if manifest.web else "none"
    for port in manifest.network.publish:
        yield f"Port {port.port}/{port.protocol} of the server", cell(port.reason)
    for volume in manifest.volumes:
        yield f"Volume `{volume.name}`", f"`{volume.path}` ({volume.volume_class})"
    yield "Memory", f"{memory.reserve // _MEGABYTE} MB reserved, {memory.limit // _MEGABYTE} MB at most"
    yield "Processors", f"{manifest.resources.cpu.limit:g} at most"
    for permission in manifest.permissions:
        yield _right(permission), cell(permission.reason)


def _edition(manifest: Manifest) -> str:
    edition = manifest.edition
    if edition is None:
        return "no"
    notes = f": {edition.notes}" if edition.notes else ""
    return f"{edition.image_version or manifest.version}{notes}"


def _right(permission: Permission) -> str:
    about = f" `{permission.what}`" if permission.what else ""
    return f"Right `{permission.permission}`{about}"
