"""The lab's own mirror: package editions get their digest by being pushed into it, and are pulled from it by digest.

A registry on 127.0.0.1 needs no certificate and no setting of the engine: Docker takes registries in 127.0.0.0/8 over
HTTP (Docker Engine API, RegistryServiceConfig.InsecureRegistryCIDRs).
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError, PrerequisiteError
from ez_homelab.hosts.protocol import Command, command, run_checked
from ez_homelab.images import resolve
from ez_homelab.images.causes import PULL_CAUSES, recognise
from ez_homelab.images.reference import OWN_MIRROR, Reference, mirrored
from ez_homelab.images.registry import PULL_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from ez_homelab.hosts.protocol import Completed, Host
    from ez_homelab.images.lock import ImageLock

    Say = Callable[[str], None]

PAUSES = (0.25,) * 8 + (0.5,) * 16 + (1.0,) * 10
"""Seconds between two tries while the mirror is coming up: 20 in all."""

_COMING_UP = re.compile(
    r"connection refused|connection reset|unexpected eof|: eof$|unexpected http status: 50[23]",
    re.IGNORECASE | re.MULTILINE,
)
_NO_MANIFEST = re.compile("no such manifest|manifest unknown|name unknown|not found", re.IGNORECASE)
_PUSHED = re.compile(r"\bdigest: (sha256:[0-9a-f]{64})\b")
_LOOPBACK = re.compile(r"(127(\.[0-9]+){3}|localhost)(:[0-9]+)?")


async def push_edition(host: Host, edition_tag: str, mirror: str, say: Say) -> tuple[str, str]:
    """See that the mirror has the image that the server built, and return its repository there and its digest.

    Nothing is sent where the mirror has it already. Waits while the mirror comes up. Raises `CommandError`.
    """
    edition = Reference.parse(edition_tag)
    repository = f"{mirror}/{edition.name}"
    for digest in await resolve.digests(host, edition_tag, repository):
        if await holds(host, repository, digest):
            return repository, digest
    remote = f"{repository}:{edition.tag}"
    await run_checked(host, command("docker", "tag", edition_tag, remote), what=f"{edition_tag} could not be named")
    say(f"pushing {edition_tag} to {mirror}")
    completed = await _patiently(host, Command(("docker", "push", remote), timeout=PULL_TIMEOUT), say)
    told = _PUSHED.findall(completed.stdout)
    if not completed.ok or not told:
        raise _refused(f"the package edition {edition_tag} could not be put into the mirror {mirror}", completed)
    return repository, str(told[-1])


async def holds(host: Host, repository: str, digest: str) -> bool:
    """Whether a registry, asked from the server, has that image. Raises `CommandError` where it does not answer."""
    unsigned = ["--insecure"] if _is_loopback(repository) else []
    asked = command("docker", "manifest", "inspect", *unsigned, f"{repository}@{digest}", changes=False)
    completed = await _patiently(host, asked)
    if completed.ok or _NO_MANIFEST.search(completed.stderr):
        return completed.ok
    raise _refused(f"the registry of {repository} could not be asked from {host.name}", completed)


async def fetch(host: Host, pinned: str, say: Say) -> None:
    """See that the server has the image with that digest; waits while the mirror comes up. Raises `CommandError`."""
    for pause in (*PAUSES, None):
        try:
            await resolve.pull(host, pinned, say)
        except CommandError as error:
            if pause is None or not _COMING_UP.search(error.evidence):
                raise
            await asyncio.sleep(pause)
        else:
            return


async def copy_all(host: Host, lock: ImageLock, target: str, say: Say, mirror: str | None = None) -> tuple[str, ...]:
    """Copy every locked image, for all its platforms and with its digest, into another registry; the names there.

    They come from where this lab pulls them: from `mirror`, if it names one. `target` is what a lab that pulls from
    there writes as `images.mirror`. Sign in with `docker login` before, where it asks for that. Raises
    `PrerequisiteError` where skopeo is missing, `CommandError` where one is refused.
    """
    await _require_skopeo(host)
    copied = []
    for name, image in sorted(lock.images.items()):
        there = Reference.parse(mirrored(f"{image.repository}:{Reference.parse(name).tag}", target))
        here = mirrored(image.repository, mirror) if image.source == "registry" else image.repository
        say(f"copying {name} to {there}")
        wanted = Command(
            (
                *("skopeo", "copy", "--all", "--preserve-digests"),
                *_tls("src", here),
                *_tls("dest", there.repository),
                *(f"docker://{here}@{image.digest}", f"docker://{there}"),
            ),
            timeout=PULL_TIMEOUT,
        )
        completed = await host.run(wanted, on_line=say)
        if not completed.ok:
            raise _refused(f"{name} could not be copied to {target}", completed)
        copied.append(str(there))
    return tuple(copied)


async def _require_skopeo(host: Host) -> None:
    asked = await host.run(command("skopeo", "--version", changes=False))
    if not asked.ok:
        raise PrerequisiteError(
            f"images cannot be copied from {host.name}: skopeo is not installed",
            evidence=asked.last_line,
            cause="docker push keeps one platform only and can change a digest, so another program copies",
            fix="apt-get install skopeo",
        )


def _tls(side: str, repository: str) -> list[str]:
    return [f"--{side}-tls-verify=false"] if _is_loopback(repository) else []


def _is_loopback(repository: str) -> bool:
    return bool(_LOOPBACK.fullmatch(Reference.parse(repository).registry))


async def _patiently(host: Host, wanted: Command, say: Say | None = None) -> Completed:
    """Run it, and again while the registry is only coming up."""
    completed = await host.run(wanted, on_line=say)
    for pause in PAUSES:
        if completed.ok or not _COMING_UP.search(completed.stderr):
            break
        await asyncio.sleep(pause)
        completed = await host.run(wanted, on_line=say)
    return completed


def _refused(what: str, completed: Completed) -> CommandError:
    finding = recognise(f"{completed.stdout}\n{completed.stderr}", PULL_CAUSES)
    return CommandError(
        what,
        evidence=finding.evidence,
        cause=finding.meaning,
        fix="docker logs mirror"
        if OWN_MIRROR in what
        else finding.fix or f"run it by hand to see more: {completed.command}",
    )
