"""Fetch a release of Docker Compose, prove that it is the one that was meant, and put it on a server."""

from __future__ import annotations

import hashlib
import io
import ssl
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from ez_homelab.errors import PrerequisiteError
from ez_homelab.prerequisites.compose_release import COMPOSE_VERSION, PLUGIN_PATH, RELEASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ez_homelab.hosts.protocol import Host
    from ez_homelab.prerequisites.compose_release import Release

SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
MOST_BYTES = 200_000_000


async def install_compose(host: Host, architecture: str, say: Callable[[str], None]) -> None:
    """Put the released Compose binary onto the server, where `docker compose` finds it.

    It is fetched here and handed over, so the server itself needs no way out. Raises `PrerequisiteError` where it
    cannot be fetched or is not the file that was meant; nothing was changed then.
    """
    release = RELEASES[architecture]
    say(f"fetching Docker Compose {COMPOSE_VERSION} ({release.megabytes} MB) from {httpx.URL(release.url).host}")
    program = await fetch(release)
    await host.write(PLUGIN_PATH, program, mode=0o755)
    say(f"Docker Compose {COMPOSE_VERSION} is at {PLUGIN_PATH}")


async def fetch(release: Release) -> bytes:
    """The program, checked against its digest. Raises `PrerequisiteError`."""
    content = await _download(release.url)
    _check(content, release.sha256, release.url)
    program = _extract(content, release.member) if release.member else content
    _check(program, release.program_sha256, f"{release.member or release.url}")
    return program


def trust() -> ssl.SSLContext:
    """TLS that trusts what the system trusts, so that a network that inspects HTTPS works once its CA is installed."""
    context = ssl.create_default_context()
    if SYSTEM_CERTIFICATES.exists():
        context.load_verify_locations(cafile=SYSTEM_CERTIFICATES)
    return context


async def _download(url: str) -> bytes:
    content = bytearray()
    try:
        async with (
            httpx.AsyncClient(verify=trust(), follow_redirects=True, timeout=60) as client,
            client.stream("GET", url) as answer,
        ):
            answer.raise_for_status()
            async for chunk in answer.aiter_bytes():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise _refusal(url, f"more than {MOST_BYTES // 1_000_000} MB")
    except httpx.HTTPError as error:
        raise PrerequisiteError(
            "Docker Compose could not be fetched",
            evidence=f"{url}: {error or type(error).__name__}",
            cause="this machine cannot reach that address, or a proxy between says no",
            fix="see that this machine reaches the internet and run this again; "
            f"or put Docker Compose {COMPOSE_VERSION} at {PLUGIN_PATH} by hand (mode 0755)",
        ) from error
    return bytes(content)


def _extract(archive: bytes, member: str) -> bytes:
    """That one member, read in memory: no path inside the archive is ever used as a path on disk."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
            entry = opened.getmember(member)
            stream = opened.extractfile(entry) if entry.isreg() and entry.size <= MOST_BYTES else None
            if stream is None:
                raise _refusal(member, "not a plain file of a believable size")
            return stream.read()
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        raise _refusal(member, str(error)) from error


def _check(content: bytes, sha256: str, source: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise _refusal(source, f"its SHA-256 is {found}, not {sha256}")


def _refusal(source: str, evidence: str) -> PrerequisiteError:
    return PrerequisiteError(
        "what was fetched is not the Docker Compose that was meant; it was thrown away",
        evidence=f"{source}: {evidence}",
        cause="something between here and there changed it, or cut it short",
        fix="run this again; if it stays so, find out what on your network rewrites downloads",
    )
