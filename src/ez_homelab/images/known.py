"""The digests of images that a server's engine knows already. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ez_homelab.config.model import MIRROR
from ez_homelab.images.lock import LockedImage
from ez_homelab.images.reference import OWN_MIRROR, Reference, as_listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ez_homelab.images.lock import ImageSource


def known_images(
    wanted: Iterable[tuple[str, str, ImageSource]], found: Mapping[str, str]
) -> dict[str, LockedImage]:
    """What these images are, of those that are there and known by exactly one digest in their repository.

    `wanted` are name, app and source of images that are not locked; `found` maps `name:tag` and `name@digest` to the
    image's id, as the engine lists them.
    """
    known = {}
    for name, app, source in wanted:
        identifier = found.get(as_listed(name))
        if identifier is None or app == MIRROR:
            continue
        repository = Reference.parse(name).repository if source == "registry" else f"{OWN_MIRROR}/{name.rpartition(':')[0]}"
        listed = Reference.parse(repository).name
        digests = [key.rpartition("@")[2] for key, one in found.items()
                   if one == identifier and key.startswith(f"{listed}@")]  # fmt: skip
        if len(digests) == 1:
            known[name] = LockedImage(digests[0], repository, source, datetime.now(UTC).date().isoformat())
    return known
