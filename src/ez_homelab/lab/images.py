"""What can be done with a lab's images; the door to it is the class in this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ez_homelab.images.inventory import Contents, ImageRow, Needs, Prunable
    from ez_homelab.images.lock import ImageLock
    from ez_homelab.lab import Homelab
    from ez_homelab.plan import Action
    from ez_homelab.render.desired import DesiredImage


async def rows(lab: Homelab) -> tuple[ImageRow, ...]:
    """Every image of the lab, and who needs it."""
    from ez_homelab.images import inventory

    return inventory.rows(await _contents(lab), lab.image_lock, await _needs(lab))


async def prunable(lab: Homelab) -> Prunable:
    """What no container, not the lab and no kept generation needs."""
    from ez_homelab.images import inventory

    return inventory.prunable(await _contents(lab), lab.image_lock, await _needs(lab))


async def prune(lab: Homelab) -> tuple[str, ...]:
    """Remove it; returns what went, one line each."""
    from ez_homelab.images.prune import prune as remove

    async with lab.locked():
        stale = await prunable(lab)
        with lab.progress.step("remove images that nobody needs") as say:
            return await remove(lab.core, stale, say)


async def build(lab: Homelab) -> tuple[str, ...]:
    """Build the package editions that the server lacks; returns their tags."""
    from ez_homelab.images.build import build_missing

    async with lab.locked():
        with lab.progress.step("build package editions") as say:
            return tuple(await build_missing(lab.core, lab.editions_by_tag.values(), say))


async def copy(lab: Homelab, target: str) -> tuple[str, ...]:
    """Copy every locked image into another registry; returns the names there."""
    from ez_homelab.images.mirror import copy_all

    with lab.progress.step(f"copy images to {target}") as say:
        return await copy_all(lab.core, lab.image_lock, target, say, lab.lab.images.mirror)


async def lock(lab: Homelab, update: Iterable[str]) -> ImageLock:
    """Settle the digest of every image that has none, and the newest of these apps' tags; running apps stay.

    Raises `UsageError` for an app that the lab has not, or whose images are built here, where a tag has one digest.
    """
    newest = _images_of(lab, update)
    async with lab.locked():
        images = [image for server in lab.desired.servers.values() for image in server.images]
        await lab.look_and_plan()  # what the servers know already is settled by looking
        for image in images:
            if image.reference in newest or (lab.image_lock.image(image.reference) is None and _needs_digest(image)):
                await _settle(lab, image, newest=image.reference in newest)
        lab.save_lock()
    return lab.image_lock


async def _settle(lab: Homelab, image: DesiredImage, *, newest: bool) -> None:
    from ez_homelab.apply.images import ImageWork

    work = ImageWork(lab.core, lab.editions_by_tag, lab.image_lock, lab.lab.images.mirror)
    with lab.progress.step(f"lock {image.reference}") as say:
        await (work.renew(image.reference, say) if newest else work.perform(_lock_action(lab, image), say))
    lab.settle_images(work.found)


def _lock_action(lab: Homelab, image: DesiredImage) -> Action:
    from ez_homelab.plan import Action

    return Action(lab.core.name, "image", image.reference, "lock", "asked for")


def _needs_digest(image: DesiredImage) -> bool:
    from ez_homelab.config.model import MIRROR

    return image.app != MIRROR


def _images_of(lab: Homelab, names: Iterable[str]) -> set[str]:
    apps = {item.name: item.app for item in lab.lab.instances}
    found: set[str] = set()
    for name in names:
        if name not in apps:
            raise UsageError(f"there is no app called {name} in the lab", fix=f"the lab has: {', '.join(apps)}")
        if lab.lab.images.source == "packages":
            raise UsageError(
                f"{name} is built here: its image changes with its recipe and not by itself",
                fix=f"remove the image, then build it anew: docker image rm, ez-homelab images build ({name})",
            )
        found |= {image.reference for server in lab.desired.servers.values() for image in server.images
                  if image.app == apps[name]}  # fmt: skip
    return found


async def _contents(lab: Homelab) -> Contents:
    from ez_homelab.config.model import MIRROR
    from ez_homelab.images.contents import look

    mirror = MIRROR if lab.lab.images.source == "packages" else None
    return await look(lab.core, mirror, pulled_from=lab.lab.images.mirror)


async def _needs(lab: Homelab) -> Needs:
    from ez_homelab.images.inventory import Needs

    wanted = {image.pinned for server in lab.desired.servers.values() for image in server.images}
    generations = {}
    for one in lab.history():
        servers = (await lab.generation(one.number)).desired.servers.values()
        generations[one.number] = frozenset(image.pinned for server in servers for image in server.images)
    return Needs(frozenset(wanted), generations, mirror=lab.lab.images.mirror)
