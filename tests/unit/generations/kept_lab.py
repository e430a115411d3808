"""A lab that can be kept, and servers to keep it on."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.generations import keep
from ez_homelab.hosts.local import LocalHost
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.testing.make_lab import desired_of, make_lab

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.generations.index import Generation, Generations, StackOutcome
    from ez_homelab.hosts import Host
    from ez_homelab.render.desired import Desired

SECRET = "canary-7f3a9b2c4d"
LAB_FILES = {"homelab.yaml": b"version: 1\n", "overrides/dokuwiki.yaml": b"a: 1\n"}
IMAGES = {"core": {"traefik:v3.7.15": "sha256:" + "1" * 64}}


def fake_server(name: str = "core") -> FakeHost:
    """A server in memory that can make folders."""
    host = FakeHost(name)
    host.answer(lambda command: command.argv[0] == "install")
    return host


class OwnLocalHost(LocalHost):
    """This machine, for whoever runs the tests: files belong to that one, not to root."""

    async def write(self, path: str, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        await super().write(path, content, mode=mode, uid=uid or os.getuid(), gid=gid or os.getgid())


def a_lab(text: str = "", *, servers: int = 1) -> Desired:
    """The starter lab on core, or web apps over several servers; `text` is what the first stack's `.env` holds."""
    lab = make_lab() if servers == 1 else make_lab(servers=servers, apps=10)
    desired = desired_of(lab)
    core = desired.servers["core"]
    place = next(place for place, file in enumerate(core.files) if file.path.endswith("/.env"))
    changed = replace(core.files[place], content=f"PASSWORD={SECRET}{text}\n".encode())
    files = (*core.files[:place], changed, *core.files[place + 1 :])
    return replace(desired, servers={**desired.servers, "core": replace(core, files=files)})


async def keep_it(
    index: Generations,
    hosts: Mapping[str, Host],
    desired: Desired,
    *,
    outcome: StackOutcome = "done",
    outcomes: Mapping[str, StackOutcome] | None = None,
) -> Generation:
    """The lab as a new generation."""
    return await keep.record(
        hosts, index, desired, LAB_FILES, IMAGES, who="ann", command="ez-homelab apply", why="", plan="abc",
        outcome=outcome, outcomes=outcomes,
    )  # fmt: skip
