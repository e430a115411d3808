"""Which image a name means: its digest, as the server's own Docker learns it when it pulls.

`docker pull` is asked, because every Docker has it and goes through the settings (mirrors, sign-ins, proxies) that the
server's other pulls go through; `docker manifest` and `docker buildx imagetools` do not, or are not there. The digest
that a pull by tag tells is that of the index where an image has several platforms, so it holds on any processor.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError
from ez_homelab.hosts.protocol import command, run_checked
from ez_homelab.images import registry
from ez_homelab.images.build import present
from ez_homelab.images.reference import Reference, as_listed, is_edition, short

if TYPE_CHECKING:
    from collections.abc import Callable

    from ez_homelab.hosts.protocol import Host

    Say = Callable[[str], None]

_TOLD = re.compile(r"^Digest: (sha256:[0-9a-f]{64})$")
_NOT_THERE = re.compile("no such image|no such object", re.IGNORECASE)


async def digests(host: Host, reference: str, repository: str) -> tuple[str, ...]:
    """The digests that the engine knows the image by in that repository; empty where it lacks the image."""
    asked = command("docker", "image", "inspect", "--format", "{{json .RepoDigests}}", reference, changes=False)
    completed = await host.run(asked)
    if not completed.ok:
        if _NOT_THERE.search(completed.stderr):
            return ()
        raise CommandError(
            f"the image {short(reference)} could not be looked at on {host.name}",
            evidence=completed.last_line,
            fix="ez-homelab doctor",
        )
    name = Reference.parse(repository).name
    known = [text.rpartition("@") for text in json.loads(completed.stdout) or ()]
    return tuple(digest for listed, _, digest in known if listed == name)


async def pull(host: Host, reference: str, say: Say) -> str:
    """See that the server has the image, and return its digest; nothing is fetched where it has it already.

    A reference with a digest gets its tag too, so that people see what it is and nothing tidies it away; the tag moves
    where it named another image. Without one, an image of that name that came from its registry is taken as it is.
    Raises `CommandError` as `registry.pull` does.
    """
    wanted = Reference.parse(reference)
    if wanted.digest:
        if not await present(host, [reference]):
            await registry.pull(host, reference, say)
        await _tag(host, wanted)
        return wanted.digest
    held = await digests(host, reference, wanted.repository)
    return held[0] if len(held) == 1 else await newest(host, reference, say)


async def newest(host: Host, reference: str, say: Say) -> str:
    """Ask the registry which image the tag names now, pull that one, and return its digest."""
    told: list[str] = []

    def hear(line: str) -> None:
        told.extend(_TOLD.findall(line))
        say(line)

    await registry.pull(host, reference, hear)
    known = await digests(host, reference, Reference.parse(reference).repository)
    if told and told[-1] in known:
        return told[-1]
    raise CommandError(
        f"the digest of {short(reference)} could not be found out on {host.name}",
        evidence=f"docker pull said {told[-1] if told else 'none'}; the engine knows {', '.join(known) or 'none'}",
        cause="the engine is older than 20.10, or the tag moved while it was pulled",
        fix="run it again; see `docker version`",
    )


async def _tag(host: Host, wanted: Reference) -> None:
    if not wanted.tag:
        return
    listed = as_listed(str(wanted))
    names = [f"{wanted.name}:{wanted.tag}"]
    # What is built here is known by its plain name: with it, nobody builds again what the mirror still had.
    names += [short(str(wanted))] if is_edition(str(wanted)) else []
    for name in dict.fromkeys(names):
        await run_checked(host, command("docker", "tag", listed, name), what=f"the image {name} could not be named")
