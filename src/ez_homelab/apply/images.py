"""Images of an apply: pulled or built, and known by their digest afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ez_homelab.config.model import MIRROR
from ez_homelab.images import resolve
from ez_homelab.images.build import build_base, build_edition
from ez_homelab.images.editions import BASE_TAG
from ez_homelab.images.lock import LockedImage
from ez_homelab.images.mirror import fetch, holds, push_edition
from ez_homelab.images.reference import OWN_MIRROR, Reference, mirrored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ez_homelab.hosts import Host
    from ez_homelab.images.editions import PackageEdition
    from ez_homelab.images.lock import ImageLock
    from ez_homelab.plan.action import Action

    Say = Callable[[str], None]


@dataclass(frozen=True)
class ImageWork:
    """Brings images to a server. `found` fills with what each turned out to be.

    `editions` are those that the lab builds, by tag; `mirror` is where others are pulled from instead of their own
    registry.
    """

    host: Host
    editions: Mapping[str, PackageEdition]
    lock: ImageLock
    mirror: str | None = None
    found: dict[str, LockedImage] = field(default_factory=dict)

    async def perform(self, action: Action, say: Say) -> None:
        """Build, pull or lock the image that the action names. Raises `CommandError`, `PrerequisiteError`."""
        if action.name == BASE_TAG:
            await build_base(self.host, say)
        elif (edition := self.editions.get(action.name)) is None:
            self.found[action.name] = await self._pulled(action.name, say)
        elif edition.app_id == MIRROR:
            await build_edition(self.host, edition, say)
        else:
            self.found[action.name] = await self._mirrored(edition, say)

    async def renew(self, name: str, say: Say) -> None:
        """Lock the image that the tag names now in its registry. Raises `CommandError`."""
        digest = await resolve.newest(self.host, mirrored(name, self.mirror), say)
        self.found[name] = LockedImage(digest, Reference.parse(name).repository, "registry", _today())

    async def _pulled(self, name: str, say: Say) -> LockedImage:
        digest = await resolve.pull(self.host, mirrored(self.lock.pinned(name), self.mirror), say)
        return LockedImage(digest, Reference.parse(name).repository, "registry", _today())

    async def _mirrored(self, edition: PackageEdition, say: Say) -> LockedImage:
        """An edition that the mirror holds is fetched from there; any other is built and put into it."""
        locked = self.lock.image(edition.tag)
        if locked and await holds(self.host, locked.repository, locked.digest):
            await fetch(self.host, self.lock.pinned(edition.tag), say)
            return locked
        await build_edition(self.host, edition, say)
        repository, digest = await push_edition(self.host, edition.tag, OWN_MIRROR, say)
        return LockedImage(digest, repository, "packages", _today())


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
