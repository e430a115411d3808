"""The `.env` beside a stack's compose.yaml: the lab's values that Compose fills in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.render.text import NOTICE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.config.model import Lab


def variables(lab: Lab) -> dict[str, str]:
    """What every app may use in its compose.yaml."""
    return {
        "TZ": lab.timezone,
        "PUID": str(lab.user.puid),
        "PGID": str(lab.user.pgid),
        "UMASK": lab.user.umask,
        "MEDIA": lab.paths.media,
        "DOWNLOADS": lab.paths.downloads,
    }


def env_file(values: Mapping[str, str]) -> bytes:
    """The file's text. Single quotes: Compose takes what stands between them literally."""
    lines = [f"{name}='{value}'" for name, value in values.items()]
    return "\n".join([f"# {NOTICE}", *lines, ""]).encode()
