"""Removing images that inventory.py found to be needed by nobody. Decides nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError
from ez_homelab.hosts.protocol import command, run_checked
from ez_homelab.images.contents import MIRROR_CONTAINER, mirror_manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ez_homelab.hosts.protocol import Host
    from ez_homelab.images.inventory import Manifest, Prunable, StaleImage

    Say = Callable[[str], None]

_SETTINGS = "/etc/docker/registry/config.yml"
_REMOVE_TIMEOUT = 300.0
_GONE = re.compile("no such image", re.IGNORECASE)


async def prune(host: Host, stale: Prunable, say: Say, container: str = MIRROR_CONTAINER) -> tuple[str, ...]:
    """Remove it, and return what went, one line each. Under the lab's lock: nothing may be pushed meanwhile.

    Nothing is forced, so an image that a container has come to use meanwhile stays, and that is an error. Raises
    `CommandError`; what went before stays gone, and another run goes on.
    """
    for image in stale.images:
        say(f"removing {image.name}")
        await _remove_image(host, image)
    if stale.manifests:
        await _remove_manifests(host, stale.manifests, say, container)
    return stale.lines()


async def _remove_image(host: Host, image: StaleImage) -> None:
    """Take every name from it; with the last one the image goes."""
    for names in (image.names, image.pins):
        for name in names:
            completed = await host.run(command("docker", "image", "rm", name, timeout=_REMOVE_TIMEOUT))
            # With the last tag of a repository its digests there go too.
            if not completed.ok and not _GONE.search(completed.stderr):
                raise CommandError(
                    f"the image {name} could not be removed on {host.name}",
                    evidence=completed.last_line,
                    cause="something has come to use it meanwhile" if "in use" in completed.stderr else "",
                    fix="ez-homelab images list",
                )


async def _remove_manifests(host: Host, stale: Iterable[Manifest], say: Say, container: str) -> None:
    """Ask the registry to forget them, then let it free what no manifest names any more.

    Collecting keeps manifests without a tag, because generations name images by digest alone.
    """
    wanted = {(manifest.path, manifest.digest) for manifest in stale}
    for path, digest in sorted(wanted):
        say(f"removing {path}@{digest[:19]} from the mirror")
        address = f"http://127.0.0.1:5000/v2/{path}/manifests/{digest}"
        # How it ended shows below, in what is left.
        await host.run(command("docker", "exec", container, "wget", "-q", "-O", "-", "--method=DELETE", address))
    left = {(manifest.path, manifest.digest) for manifest in await mirror_manifests(host, container) or ()} & wanted
    if left:
        raise CommandError(
            f"the mirror on {host.name} did not remove all that nobody needs",
            evidence=", ".join(f"{path}@{digest}" for path, digest in sorted(left)),
            fix=f"docker logs {container}",
        )
    collect = ("registry", "garbage-collect", _SETTINGS)
    await run_checked(
        host,
        command("docker", "exec", container, *collect, timeout=_REMOVE_TIMEOUT),
        what="the mirror could not free what it does not need",
        fix=f"docker logs {container}",
    )
