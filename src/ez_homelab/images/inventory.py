"""Which images there are, what each is for, and which of them nobody needs. Pure; contents.py looks, prune.py removes.

An image counts as ours where this tool built it, or where its repository is one that the lock, the lab or a kept
generation names. Whatever else is on the server belongs to somebody else and is neither shown nor touched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ez_homelab.images.recipe import BASE_TAG
from ez_homelab.images.reference import Reference, is_base, is_edition, short

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ez_homelab.images.lock import ImageLock


@dataclass(frozen=True)
class EngineImage:
    """An image of the server's engine: `names` are `name:tag`, `pins` `name@digest`, `size` is in bytes.

    `containers` are the containers, running or not, that were made from it. `pulled_from` is the lab's `images.mirror`,
    which plans leave out of names.
    """

    id: str
    names: tuple[str, ...]
    pins: tuple[str, ...]
    size: int
    containers: tuple[str, ...] = ()
    pulled_from: str | None = None

    @cached_property
    def digests(self) -> frozenset[str]:
        """The digests it is known by, wherever."""
        return frozenset(pin.rpartition("@")[2] for pin in self.pins)

    @cached_property
    def short_names(self) -> tuple[str, ...]:
        """Its names as plans have them; its repositories where it has lost its tags."""
        return tuple(sorted({short(name, self.pulled_from) for name in self.names or self.pins}))


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image, or one platform of it, in the lab's own mirror: its path there, its digest, tags that ever named it.

    `parts` are the digests that it is made of where it is an index of several platforms.
    """

    path: str
    digest: str
    tags: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is, for people."""
        return f"{self.path}:{self.tags[0]}" if self.tags else f"{self.path}@{self.digest[:19]}"


@dataclass(frozen=True)
class Contents:
    """What one server has. `mirror` is None where it could not be asked, or there is none."""

    images: tuple[EngineImage, ...]
    mirror: tuple[Manifest, ...] | None = None


class _Names:
    """References, sorted by how they can be met: by a digest, or by a name alone."""

    def __init__(self, references: Iterable[str], mirror: str | None) -> None:
        parsed = [(Reference.parse(text), short(text, mirror)) for text in references]
        self.digests = {reference.digest for reference, _ in parsed if reference.digest}
        self.names = {name for _, name in parsed}
        self.plain = {name for reference, name in parsed if not reference.digest}

    def meets(self, image: EngineImage) -> bool:
        """Whether one of them names the image; one that has no digest yet is met by its name."""
        names = set(image.short_names)
        return bool(image.digests & self.digests or names & self.plain or (not image.digests and names & self.names))


@dataclass(frozen=True)
class Needs:
    """References that have to stay: of the lab as it is rendered now, and of every kept generation by its number.

    `mirror` is the lab's `images.mirror`, which references may begin with.
    """

    wanted: frozenset[str]
    generations: Mapping[int, frozenset[str]] = field(default_factory=dict)
    mirror: str | None = None

    @cached_property
    def all(self) -> frozenset[str]:
        """All of them."""
        return self.wanted.union(*self.generations.values())

    @cached_property
    def of_lab(self) -> _Names:
        """Those of the lab, to be asked whether they name an image."""
        return _Names(self.wanted, self.mirror)

    @cached_property
    def by_generation(self) -> Mapping[int, _Names]:
        """Those of each generation, by number."""
        return {number: _Names(references, self.mirror) for number, references in sorted(self.generations.items())}


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image for `images list`. `digest` is empty where it has none, `id` where the server lacks it.

    `wanted`: the lab as it stands uses it. `moved`: its tag names another image than the lock does. `in_mirror` is
    None where there is no mirror to ask.
    """

    name: str
    digest: str
    id: str
    size: int
    wanted: bool
    containers: tuple[str, ...]
    generations: tuple[int, ...]
    in_mirror: bool | None
    moved: bool

    @property
    def used_by(self) -> str:
        """Who needs it, in words; empty where nobody does."""
        numbers = ", ".join(map(str, self.generations))
        words = [*self.containers, *(["the lab"] if self.wanted and not self.containers else [])]
        return ", ".join([*words, *([f"generation {numbers}"] if numbers else [])])


@dataclass(frozen=True, slots=True)
class StaleImage:
    """An image of the engine that nobody needs, with every name it has."""

    name: str
    id: str
    names: tuple[str, ...]
    pins: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Prunable:
    """What can go: images of the engine, and manifests of the mirror."""

    images: tuple[StaleImage, ...] = ()
    manifests: tuple[Manifest, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.images or self.manifests)

    def lines(self) -> tuple[str, ...]:
        """One line each, for people."""
        return (
            *(f"image {image.name} ({image.size / 1e6:.0f} MB, {image.id[7:19]})" for image in self.images),
            *(f"in the mirror: {manifest.name} ({manifest.digest[:19]})" for manifest in self.manifests),
        )

    def to_dict(self) -> dict[str, object]:
        """As `--json` prints it."""
        images = [{"name": image.name, "id": image.id, "size": image.size} for image in self.images]
        manifests = [{"name": manifest.name, "digest": manifest.digest} for manifest in self.manifests]
        return {"images": images, "manifests": manifests}


def rows(contents: Contents, lock: ImageLock, needs: Needs) -> tuple[ImageRow, ...]:
    """Every image of ours by name, those that are only locked or needed and not on the server last."""
    repositories = _repositories(lock, needs)
    ours = [image for image in contents.images if _is_ours(image, repositories)]
    known = {digest for image in ours for digest in image.digests}
    names = {name for image in ours for name in image.short_names}
    missing = [
        (name, digest) for name, digest in sorted(_named(lock, needs))
        if digest not in known and (digest or name not in names)
    ]  # fmt: skip
    told = {manifest.digest: manifest.name for manifest in contents.mirror or ()}
    told |= {digest: name for name, digest in sorted(_named(lock, needs)) if digest}
    there = [_row(image, contents, lock, needs, told) for image in ours]
    return (
        *sorted(there, key=lambda row: (row.name, row.digest)),
        *(_missing_row(name, digest, contents, needs) for name, digest in missing),
    )


def prunable(contents: Contents, lock: ImageLock, needs: Needs) -> Prunable:
    """What no container, not the lab as it stands and no kept generation needs.

    The base of today's recipe stays, because the next build starts from it. In the mirror every digest stays that a
    generation, the lab or an image that stays on the server has, with all that an index is made of.
    """
    repositories, needed = _repositories(lock, needs), _Names(needs.all, needs.mirror)
    gone, kept = [], set(needed.digests)
    for image in contents.images:
        if image.containers or BASE_TAG in image.names or needed.meets(image) or not _is_ours(image, repositories):
            kept |= image.digests
        else:
            gone.append(StaleImage(image.short_names[0], image.id, image.names, image.pins, image.size))
    manifests = contents.mirror or ()
    kept |= {part for manifest in manifests if manifest.digest in kept for part in manifest.parts}
    stale = [manifest for manifest in manifests if manifest.digest not in kept]
    return Prunable(
        tuple(sorted(gone, key=lambda image: (image.name, image.id))),
        tuple(sorted(stale, key=lambda manifest: (manifest.path, manifest.digest))),
    )


def _repositories(lock: ImageLock, needs: Needs) -> frozenset[str]:
    """Those that the lock, the lab or a generation names, under their plain names and as a mirror has them."""
    names = [*lock.images, *(image.repository for image in lock.images.values()), *needs.all]
    return frozenset(Reference.parse(name).name for name in names)


def _is_ours(image: EngineImage, repositories: frozenset[str]) -> bool:
    names = (*image.names, *image.pins)
    built = any(is_edition(name) or is_base(name) for name in names)
    return built or any(Reference.parse(name).name in repositories for name in names)


def _named(lock: ImageLock, needs: Needs) -> set[tuple[str, str]]:
    """Name and digest of all that is locked or needed."""
    locked = {(name, image.digest) for name, image in lock.images.items()}
    needed = {(short(text, needs.mirror), Reference.parse(text).digest) for text in needs.all}
    with_digest = {name for name, digest in locked | needed if digest}
    return {(name, digest) for name, digest in locked | needed if digest or name not in with_digest}


def _row(image: EngineImage, contents: Contents, lock: ImageLock, needs: Needs, told: Mapping[str, str]) -> ImageRow:
    """`told` says what a digest is, for an image whose tag has moved on."""
    locked = {lock.images[name].digest for name in image.short_names if name in lock.images}
    digest = next(iter(sorted(image.digests & locked) or sorted(image.digests)), "")
    own = next((name for name in image.short_names if name in lock.images), image.short_names[0])
    return ImageRow(
        name=own if image.names else told.get(digest, own),
        digest=digest,
        id=image.id,
        size=image.size,
        wanted=needs.of_lab.meets(image),
        containers=image.containers,
        generations=tuple(number for number, names in needs.by_generation.items() if names.meets(image)),
        in_mirror=_in_mirror(contents, image.digests),
        moved=bool(image.names and image.digests and locked and not image.digests & locked),
    )


def _missing_row(name: str, digest: str, contents: Contents, needs: Needs) -> ImageRow:
    def meets(names: _Names) -> bool:
        return digest in names.digests if digest else name in names.names

    numbers = tuple(number for number, names in needs.by_generation.items() if meets(names))
    in_mirror = _in_mirror(contents, {digest})
    return ImageRow(name, digest, "", 0, meets(needs.of_lab), (), numbers, in_mirror, moved=False)


def _in_mirror(contents: Contents, digests: Iterable[str]) -> bool | None:
    if contents.mirror is None:
        return None
    return bool({manifest.digest for manifest in contents.mirror}.intersection(digests))
