"""The digests of images that a server's engine knows already. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ez_homelab.config.model import MIRROR
from ez_homelab.images.lock import LockedImage
from ez_homelab.images.reference import OWN_MIRROR, Reference, as_listed, mirrored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ez_homelab.config.model import ImageSource


def known_images(
    wanted: Iterable[tuple[str, str, ImageSource]], found: Mapping[str, str], mirror: str | None = None
) -> dict[str, LockedImage]:
    """What these images are, of those that are there and known by exactly one digest in their repository.

    `wanted` are name, app and source of images that are not locked; `found` maps `name:tag` and `name@digest` to the
    image's id, as the engine lists them; `mirror` is where images of registries were pulled from.
    """
    known = {}
    for name, app, source in wanted:
        identifier = found.get(as_listed(name if source == "packages" else mirrored(name, mirror)))
        if identifier is None or app == MIRROR:
            continue
        own = f"{OWN_MIRROR}/{name.rpartition(':')[0]}"
        repository = own if source == "packages" else Reference.parse(name).repository
        listed = Reference.parse(mirrored(repository, mirror) if source == "registry" else repository).name
        digests = [key.rpartition("@")[2] for key, one in found.items()
                   if one == identifier and key.startswith(f"{listed}@")]  # fmt: skip
        if len(digests) == 1:
            known[name] = LockedImage(digests[0], repository, source, datetime.now(UTC).date().isoformat())
    return known
