"""What a server has of images: its engine's, and those in its own mirror."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ez_homelab.errors import CommandError
from ez_homelab.hosts.protocol import command, run_checked
from ez_homelab.images.inventory import Contents, EngineImage, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ez_homelab.hosts.protocol import Host

MIRROR_CONTAINER = "mirror"
# How the registry lays out its volume (distribution, registry/storage/paths.go). Its API lists tags, but not the
# manifests whose tag has moved on, which are just what has to be known here.
_STORE = "/var/lib/registry/docker/registry/v2"
_REPOSITORIES = f"{_STORE}/repositories/"
_REVISION = re.compile(r"(?P<path>.+)/_manifests/revisions/sha256/(?P<digest>[0-9a-f]{64})/link")
_TAGGED = re.compile(r"(?P<path>.+)/_manifests/tags/(?P<tag>[^/]+)/index/sha256/(?P<digest>[0-9a-f]{64})/link")
_NO_MIRROR = re.compile("no such container|is not running|is restarting|is paused", re.IGNORECASE)
_VANISHED = re.compile("no such (image|object|container)", re.IGNORECASE)


async def look(host: Host, mirror: str | None = MIRROR_CONTAINER, *, pulled_from: str | None = None) -> Contents:
    """What is there now. `mirror` names the mirror's container, None where the lab has none.

    `pulled_from` is the lab's `images.mirror`. Raises `CommandError` where the engine does not answer. A mirror that
    does not run is not known.
    """
    used = await _containers(host)
    listed = await _ids(host, "image", "ls", "--all")
    found = await _inspect(host, "image", listed)
    # Steps of a build that are parts of a later image have neither name nor digest, and go with it.
    images = [_image(item, used, pulled_from) for item in found if item["RepoTags"] or item["RepoDigests"]]
    return Contents(tuple(images), await mirror_manifests(host, mirror) if mirror else None)


async def mirror_manifests(host: Host, container: str = MIRROR_CONTAINER) -> tuple[Manifest, ...] | None:
    """Every manifest in the mirror, also those that no tag names any more; None where the mirror does not run."""
    find = ("find", _REPOSITORIES, "-path", "*/_manifests/*", "-name", "link")
    completed = await host.run(command("docker", "exec", container, *find, changes=False))
    if completed.ok:
        found = parse_store(completed.stdout)
        parts = await _parts(host, container, [manifest.digest for manifest in found])
        return tuple(Manifest(item.path, item.digest, item.tags, parts.get(item.digest, ())) for item in found)
    if _NO_MIRROR.search(completed.stderr):
        return None
    if "No such file or directory" in completed.stderr:
        return ()
    raise CommandError(
        f"the mirror on {host.name} could not be looked into",
        evidence=completed.last_line,
        fix=f"docker logs {container}",
    )


def parse_store(listing: str) -> tuple[Manifest, ...]:
    """The manifests in a listing of the registry's files, by path and digest."""
    tags: dict[tuple[str, str], set[str]] = {}
    there = set()
    for line in listing.splitlines():
        name = line.removeprefix(_REPOSITORIES)
        if found := _REVISION.fullmatch(name):
            there.add((found["path"], found["digest"]))
        elif found := _TAGGED.fullmatch(name):
            tags.setdefault((found["path"], found["digest"]), set()).add(found["tag"])
    return tuple(Manifest(key[0], f"sha256:{key[1]}", tuple(sorted(tags.get(key, ())))) for key in sorted(there))


async def _parts(host: Host, container: str, digests: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What each index among these manifests is made of."""
    wanted = [*dict.fromkeys(digests)]
    if not wanted:
        return {}
    # One after the other without anything between them, as JSON documents may stand.
    paths = [f"{_STORE}/blobs/sha256/{digest[7:9]}/{digest[7:]}/data" for digest in wanted]
    read = command("docker", "exec", container, "cat", *paths, changes=False)
    texts = (await run_checked(host, read, what="the mirror's manifests could not be read")).stdout
    return dict(zip(wanted, map(_members, _documents(texts)), strict=True))


def _documents(text: str) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text.rstrip()):
        at += len(text[at:]) - len(text[at:].lstrip())
        document, at = decoder.raw_decode(text, at)
        yield document


def _members(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(member["digest"] for member in manifest.get("manifests", ()))


async def _containers(host: Host) -> dict[str, list[str]]:
    """Container names by the id of their image."""
    used: dict[str, list[str]] = {}
    for item in await _inspect(host, "container", await _ids(host, "container", "ls", "--all")):
        used.setdefault(item["Image"], []).append(item["Name"].removeprefix("/"))
    return used


async def _ids(host: Host, *words: str) -> list[str]:
    asked = command("docker", *words, "--quiet", "--no-trunc", changes=False)
    completed = await run_checked(host, asked, what="the server's images could not be listed", fix="ez-homelab doctor")
    return [*dict.fromkeys(completed.stdout.split())]


async def _inspect(host: Host, kind: str, ids: list[str]) -> list[dict[str, Any]]:
    """Docker's own description of each; one that went away meanwhile is left out."""
    if not ids:
        return []
    completed = await host.run(command("docker", kind, "inspect", *ids, changes=False))
    if completed.ok or _VANISHED.search(completed.stderr):
        return list(json.loads(completed.stdout or "[]"))
    raise CommandError(
        f"the server's images could not be looked at on {host.name}",
        evidence=completed.last_line,
        fix="ez-homelab doctor",
    )


def _image(item: Mapping[str, Any], used: Mapping[str, list[str]], pulled_from: str | None) -> EngineImage:
    names = (name for name in item["RepoTags"] or () if not name.endswith(":<none>"))
    pins = (pin for pin in item["RepoDigests"] or () if not pin.startswith("<none>@"))
    containers = tuple(sorted(used.get(item["Id"], ())))
    return EngineImage(item["Id"], tuple(sorted(names)), tuple(sorted(pins)), item["Size"], containers, pulled_from)
