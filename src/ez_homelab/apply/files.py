"""Files of an apply: written whole; what a person changed on the server is kept aside before it is replaced."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ez_homelab.render.desired import STACKS_FOLDER, STATE_FOLDER

if TYPE_CHECKING:
    from ez_homelab.hosts import Host
    from ez_homelab.plan.action import Action
    from ez_homelab.render.desired import DesiredServer

EDITED_FOLDER = f"{STATE_FOLDER}/edited"


async def perform(host: Host, server: DesiredServer, action: Action) -> None:
    """Write, replace or remove the file that the action names."""
    if action.settings.get("keep") == "yes":
        await _keep_aside(host, action.name)
    if action.verb == "remove":
        await host.remove(action.name, prune_below=STACKS_FOLDER)
        return
    wanted = next(file for file in server.files if file.path == action.name)
    await host.write(wanted.path, wanted.content, mode=wanted.mode, uid=wanted.uid, gid=wanted.gid)


async def _keep_aside(host: Host, path: str) -> None:
    content = await host.read(path)
    if content is not None:
        # 0600: an edited .env may hold anything.
        await host.write(f"{EDITED_FOLDER}/{datetime.now(UTC):%Y%m%dT%H%M%S}{path}", content, mode=0o600)
