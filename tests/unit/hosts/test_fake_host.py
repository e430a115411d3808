from __future__ import annotations

import asyncio

import pytest

from ez_homelab.errors import CommandError, LockedError, UnreachableError
from ez_homelab.hosts import Command, Completed, command
from ez_homelab.testing.fake_host import FakeHost, Killed


async def test_answers_exact_before_matching_and_later_before_earlier() -> None:
    fake = FakeHost()
    fake.answer(lambda asked: asked.argv[0] == "docker", stdout="matching")
    fake.answer(lambda asked: asked.argv[1:] == ("ps",), stdout="later")
    fake.answer(("docker", "info"), stdout="exact")
    wanted = {("docker", "info"): "exact", ("docker", "ps"): "later", ("docker", "run"): "matching", ("ls", "-l"): ""}
    for argv, stdout in wanted.items():
        assert (await fake.run(command(*argv))).stdout == stdout
    assert [asked.argv for asked in fake.commands] == list(wanted)


async def test_an_answer_may_change_the_host() -> None:
    fake = FakeHost()

    def up(asked: Command) -> Completed:
        fake.answer(("docker", "ps"), stdout="running")
        return Completed(asked, 0, "", "")

    fake.answer(("docker", "up"), does=up)
    await fake.run(command("docker", "up"))
    assert (await fake.run(command("docker", "ps"))).stdout == "running"


async def test_unreachable_for_everything() -> None:
    fake = FakeHost(files={"/a/file": b""})
    fake.unreachable = "no route to host"
    for attempt in (fake.run(command("ls")), fake.read("/a/file"), fake.states([]), fake.list_files("/a")):
        with pytest.raises(UnreachableError) as raised:
            await attempt
        assert raised.value.evidence == "no route to host"
    assert fake.operations == []


@pytest.mark.parametrize(("after", "written"), [(False, ["/a/1"]), (True, ["/a/1", "/a/2"])])
async def test_fails_at_the_operation_it_was_told(after: bool, written: list[str]) -> None:
    fake = FakeHost()
    fake.fail_at(2, CommandError("the disk is full"), after=after)
    await fake.write("/a/1", b"")
    with pytest.raises(CommandError, match="full"):
        await fake.write("/a/2", b"")
    assert sorted(fake.files) == written
    await fake.write("/a/3", b"")
    assert fake.operations == ["write /a/1", "write /a/2", "write /a/3"]


async def test_a_killed_process_cleans_nothing_up() -> None:
    fake = FakeHost(files={"/a/journal": b"begun"})
    fake.fail_at(2, Killed())

    async def work() -> None:
        async with fake.lock("/a/lock", "a run"):
            try:
                await fake.write("/a/file", b"")
            finally:
                await fake.remove("/a/journal")

    with pytest.raises(Killed):
        await work()
    assert list(fake.files) == ["/a/journal"]
    with pytest.raises(Killed):
        await fake.read("/a/journal")
    fake.revive()
    async with fake.lock("/a/lock", "the next run") as left:
        assert await fake.read("/a/journal") == b"begun"
    assert left == "a run"
    async with fake.lock("/a/lock", "the one after it") as left:
        assert left == ""


async def test_two_runs_interleave() -> None:
    fake = FakeHost()

    async def run() -> None:
        async with fake.lock("/a/lock", "a run"):
            await fake.write("/a/file", b"")

    outcomes = await asyncio.gather(run(), run(), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), LockedError]
