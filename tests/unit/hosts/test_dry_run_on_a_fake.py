from __future__ import annotations

import pytest

from ez_homelab.errors import UnreachableError
from ez_homelab.hosts import command
from ez_homelab.hosts.dry_run import DryRunHost
from ez_homelab.testing.fake_host import FakeHost


@pytest.fixture
def inner() -> FakeHost:
    fake = FakeHost("core", files={"/opt/stacks/media/old.conf": b"old", "/opt/stacks/media/kept.conf": b"kept"})
    fake.answer(lambda _command: True, stdout="from the server")
    return fake


async def test_nothing_reaches_the_server(inner: FakeHost) -> None:
    before = dict(inner.files)
    host = DryRunHost(inner)
    async with host.lock("/run/lock", "me"):
        await host.run(command("docker", "compose", "up", directory="/opt/stacks/media"))
        await host.write("/opt/stacks/media/new.conf", b"a secret", mode=0o600, uid=1, gid=2)
        await host.write("/opt/stacks/media/kept.conf", b"changed")
        await host.remove("/opt/stacks/media/old.conf", prune_below="/opt/stacks")
        await host.remove("/opt/stacks/media/nothing")
    assert inner.files == before
    assert inner.commands == []
    assert {operation.split()[0] for operation in inner.operations} <= {"read", "states", "list_files"}
    assert [str(each) for each in host.recorded] == [
        "run docker compose up (in /opt/stacks/media)",
        "write /opt/stacks/media/new.conf (8 bytes, mode 0600, owner 1:2)",
        "write /opt/stacks/media/kept.conf (7 bytes, mode 0644, owner 0:0)",
        "remove /opt/stacks/media/old.conf",
    ]


async def test_a_changing_command_is_answered_as_done(inner: FakeHost) -> None:
    lines: list[str] = []
    done = await DryRunHost(inner).run(command("rm", "x"), on_line=lines.append)
    assert (done.status, done.stdout, lines) == (0, "", [])


async def test_a_command_that_looks_is_run(inner: FakeHost) -> None:
    host = DryRunHost(inner)
    assert (await host.run(command("docker", "info", changes=False))).stdout == "from the server"
    assert host.recorded == []


async def test_reads_see_the_server_and_what_was_written(inner: FakeHost) -> None:
    host = DryRunHost(inner)
    await host.write("/opt/stacks/media/new.conf", b"new")
    await host.remove("/opt/stacks/media/old.conf")
    assert await host.read("/opt/stacks/media/kept.conf") == b"kept"
    assert await host.read("/opt/stacks/media/new.conf") == b"new"
    assert await host.read("/opt/stacks/media/old.conf") is None
    assert await host.list_files("/opt/stacks") == ["/opt/stacks/media/kept.conf", "/opt/stacks/media/new.conf"]


async def test_a_server_that_is_out_of_reach_stays_so(inner: FakeHost) -> None:
    inner.unreachable = "no route to host"
    with pytest.raises(UnreachableError):
        await DryRunHost(inner).read("/opt/stacks/media/kept.conf")
