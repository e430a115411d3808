"""Figures of apps that no network leads to: what tells them to Prometheus sees the volumes that they lie in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.render.core import ExtraMount

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ez_homelab.render.core import Extras
    from ez_homelab.render.instance import Instance


def with_textfiles(extras: Extras, instance: Instance, service: str, others: Iterable[Instance]) -> Extras:
    """The extras of a container, and what it reads of the `others`' on its server where it reads such files.

    A server without such files leaves it as it is; so what an app wrote that is gone is not told any more.
    """
    reader = instance.app.manifest.monitoring.reads_textfiles
    if reader is None or service != instance.main_service:
        return extras
    mounts = tuple(
        ExtraMount("volume", other.volume(written.volume), f"{reader.folder}/{other.name}", read_only=True)
        for other in sorted(others, key=lambda other: other.name)
        if other.server == instance.server and (written := other.app.manifest.monitoring.textfiles)
    )
    if not mounts:
        return extras
    return replace(extras, mounts=(*extras.mounts, *mounts), arguments=(*extras.arguments, reader.argument))
