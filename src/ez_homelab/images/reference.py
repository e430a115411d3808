"""Names of images: which registry, which repository, which tag, which digest. Pure.

The grammar is Docker's (github.com/distribution/reference, reference.go): the first part of a name is a registry where
it holds a dot or a colon or is `localhost`; without one the registry is docker.io, and a name of one part lies in its
`library/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

DOCKER_HUB = "docker.io"
OWN_MIRROR = "127.0.0.1:20444"
"""The lab's own mirror, on every server that builds package editions; Docker takes loopback registries over HTTP."""
EDITIONS = "ez-homelab/"
"""What the paths of the images begin with that this tool builds."""
BASE = f"{EDITIONS}base"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

_PATH = re.compile(r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_REGISTRY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Reference:
    """One image by name. `tag` and `digest` are empty where the name has none."""

    registry: str
    path: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The parts of a reference in any form that Docker takes. Raises `ValueError` for what is none."""
        name, at, digest = text.partition("@")
        first, slash, rest = name.partition("/")
        registry, path = (first, rest) if slash and is_registry(first) else (DOCKER_HUB, name)
        path, colon, tag = path.partition(":")
        if registry == DOCKER_HUB and "/" not in path:
            path = f"library/{path}"
        sound = _REGISTRY.fullmatch(registry) and _PATH.fullmatch(path) and (not colon or _TAG.fullmatch(tag))
        if not sound or (at and not DIGEST.fullmatch(digest)):
            raise ValueError(f"not the name of an image: {text!r}")
        return cls(registry, path, tag, digest)

    @property
    def repository(self) -> str:
        """Where it lies, registry included: `docker.io/library/traefik`."""
        return f"{self.registry}/{self.path}"

    @property
    def name(self) -> str:
        """Its repository as Docker lists it: docker.io and its `library/` left out."""
        if self.registry != DOCKER_HUB:
            return self.repository
        return self.path.removeprefix("library/")

    def __str__(self) -> str:
        """All of it, in full."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"


def is_registry(first: str) -> bool:
    """Whether the first part of a name is a registry and not the first part of a path on Docker Hub."""
    return "." in first or ":" in first or first == "localhost"


def pinned(repository: str, tag: str, digest: str) -> str:
    """The reference that names one image for ever, and says to people which version it is."""
    return f"{repository}:{tag}@{digest}" if tag else f"{repository}@{digest}"


def short(reference: str, mirror: str | None = None) -> str:
    """The name that plans, tables and the lock file use: `name:tag` as the catalog or the edition calls it.

    Without a digest, and without the mirror (the lab's own, or the named one) that it is pulled from.
    """
    parsed = Reference.parse(reference)
    for prefix in (OWN_MIRROR, *([mirror] if mirror else [])):
        if parsed.repository.startswith(f"{prefix}/"):
            parsed = _of_path(parsed, parsed.repository.removeprefix(f"{prefix}/"))
    return f"{parsed.name}:{parsed.tag}" if parsed.tag else parsed.name


def is_edition(reference: str) -> bool:
    """Whether it is a package edition: by its local tag, or as the lab's own mirror has it."""
    name = short(reference)
    return name.startswith(EDITIONS) and not is_base(reference)


def is_base(reference: str) -> bool:
    """Whether it is the Debian base of package editions, of any recipe."""
    return short(reference).partition(":")[0] == BASE


def mirrored(reference: str, mirror: str | None) -> str:
    """The same image as the mirror has it, digest kept; the reference itself where there is no mirror.

    What is on Docker Hub lies right below the mirror, as pull-through caches have it; any other registry keeps its
    name as the first part of the path. Ports stand behind `-`, because a path may hold no colon. Images of the lab's
    own mirror keep their path.
    """
    if not mirror:
        return reference
    parsed = Reference.parse(reference)
    own = parsed.registry in (DOCKER_HUB, OWN_MIRROR)
    path = parsed.path if own else f"{parsed.registry.replace(':', '-').lower()}/{parsed.path}"
    host, _, prefix = mirror.partition("/")
    return str(replace(parsed, registry=host, path=f"{prefix}/{path}" if prefix else path))


def as_listed(reference: str) -> str:
    """The reference as the engine lists it: Docker Hub's name left out, a digest instead of a tag beside it."""
    parsed = Reference.parse(reference)
    if parsed.digest:
        return f"{parsed.name}@{parsed.digest}"
    return f"{parsed.name}:{parsed.tag}" if parsed.tag else parsed.name


def _of_path(parsed: Reference, path: str) -> Reference:
    """The image that lies at that path of a mirror."""
    first, slash, rest = path.partition("/")
    if slash and is_registry(first):
        return replace(parsed, registry=first, path=rest)
    return replace(parsed, registry=DOCKER_HUB, path=path)
