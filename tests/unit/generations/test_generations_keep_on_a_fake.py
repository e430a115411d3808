"""Generations on servers in memory: kept, had again, let go of, and our process killed between any two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kept_lab import IMAGES, LAB_FILES, a_lab, fake_server, keep_it

from ez_homelab.errors import CommandError, UnreachableError, UsageError
from ez_homelab.generations import keep
from ez_homelab.generations.document import encode
from ez_homelab.generations.errors import GenerationError
from ez_homelab.generations.index import Generations
from ez_homelab.generations.objects import Objects
from ez_homelab.testing.fake_host import FakeHost, Killed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def index(tmp_path: Path) -> Generations:
    return Generations(str(tmp_path / "journal.db"), "/opt/homelab")


@pytest.fixture
def core() -> FakeHost:
    return fake_server()


async def objects_of(host: FakeHost) -> frozenset[str]:
    return await Objects(host).list()


async def test_what_was_kept_is_had_again(index: Generations, core: FakeHost) -> None:
    labs = [a_lab(), a_lab("two")]
    for lab in labs:
        await keep_it(index, {"core": core}, lab)
    for number, lab in enumerate(labs, start=1):
        found = await keep.load(index, number, {"core": core})
        assert (found.desired, found.lab_files, found.images) == (lab, LAB_FILES, IMAGES)
    assert index.get(2).changes_since(index.get(1)) == ("~core",)
    assert await keep.check(index, {"core": core}) == ()


async def test_each_server_keeps_its_own_files(index: Generations) -> None:
    hosts = {name: fake_server(name) for name in ("core", "server1", "server2")}
    lab = a_lab(servers=3)
    await keep_it(index, hosts, lab)
    assert (await keep.load(index, 1, hosts)).desired == lab
    for name, server in lab.servers.items():
        assert {file.sha256 for file in server.files} <= await objects_of(hosts[name])
    own = {file.sha256 for file in lab.servers["server1"].files} - {file.sha256 for file in lab.servers["core"].files}
    assert own
    assert not own & await objects_of(hosts["core"])


async def test_what_two_generations_have_in_common_is_kept_once(index: Generations, core: FakeHost) -> None:
    await keep_it(index, {"core": core}, a_lab())
    before = await objects_of(core)
    await keep_it(index, {"core": core}, a_lab())
    assert await objects_of(core) == before
    await keep_it(index, {"core": core}, a_lab("one file"))
    assert len(await objects_of(core) - before) == 2  # the file and the document


async def operations_of_a_second_record(index: Generations) -> int:
    core = fake_server()
    await keep_it(index, {"core": core}, a_lab())
    core.operations.clear()
    await keep_it(index, {"core": core}, a_lab("two"))
    return len(core.operations)


@pytest.mark.parametrize("after", [False, True])
async def test_killed_at_any_step_of_keeping(tmp_path: Path, after: bool) -> None:
    steps = await operations_of_a_second_record(Generations(":memory:", "x"))
    assert steps >= 5
    for step in range(1, steps + 1):
        core, index = fake_server(), Generations(str(tmp_path / f"{step}.db"), "/opt/homelab")
        await keep_it(index, {"core": core}, a_lab())
        core.fail_at(len(core.operations) + step, Killed(), after=after)
        with pytest.raises(Killed):
            await keep_it(index, {"core": core}, a_lab("two"))
        core.revive()
        assert [one.number for one in index.all()] == [1]
        assert (await keep.load(index, 1, {"core": core})).desired == a_lab()
        assert await keep.check(index, {"core": core}) == ()
        assert (await keep_it(index, {"core": core}, a_lab("three"))).number == 2
        await keep.prune(index, {"core": core}, 1)
        assert await objects_of(core) == names_of("three"), "what was left over is gone"


def names_of(*texts: str) -> frozenset[str]:
    """The objects that labs with these texts need, and no other."""
    encoded = [encode(a_lab(text), LAB_FILES, IMAGES) for text in texts]
    return frozenset(name for one in encoded for name in (one.tree, *one.objects["core"]))


@pytest.mark.parametrize("after", [False, True])
async def test_killed_at_any_step_of_letting_go(tmp_path: Path, after: bool) -> None:
    for step in range(1, 30):
        core, index = fake_server(), Generations(str(tmp_path / f"{step}.db"), "/opt/homelab")
        for text in ("one", "two", "three"):
            await keep_it(index, {"core": core}, a_lab(text))
        begun = len(core.operations)
        core.fail_at(begun + step, Killed(), after=after)
        try:
            await keep.prune(index, {"core": core}, 1)
        except Killed:
            core.revive()
            assert (await keep.load(index, 3, {"core": core})).desired == a_lab("three")
            assert await keep.check(index, {"core": core}) == ()
            await keep.prune(index, {"core": core}, 1)
            assert await objects_of(core) == names_of("three")
        else:
            assert step > 4, "it was killed at every step"
            return
    raise AssertionError("letting go never came to its end")


async def test_letting_go_keeps_what_others_still_refer_to(index: Generations, core: FakeHost) -> None:
    for text in ("one", "two", "three", "four"):
        await keep_it(index, {"core": core}, a_lab(text))
    pruned = await keep.prune(index, {"core": core}, 2, pinned={1})
    assert ([one.number for one in pruned.generations], pruned.objects, pruned.blocked) == ([2], 2, "")
    assert await objects_of(core) == names_of("one", "three", "four")
    for number in (1, 3, 4):
        await keep.load(index, number, {"core": core})
    with pytest.raises(UsageError):
        await keep.load(index, 2, {"core": core})


async def test_letting_go_spares_other_labs_on_the_server(index: Generations, core: FakeHost, tmp_path: Path) -> None:
    other = Generations(str(tmp_path / "journal.db"), "/srv/other")
    await keep_it(other, {"core": core}, a_lab("other"))
    await keep_it(index, {"core": core}, a_lab("one"))
    await keep_it(index, {"core": core}, a_lab("two"))
    await keep.prune(index, {"core": core}, 1)
    assert (await keep.load(other, 1, {"core": core})).desired == a_lab("other")


async def test_letting_go_never_takes_what_runs(index: Generations, core: FakeHost) -> None:
    await keep_it(index, {"core": core}, a_lab("well"))
    for text in ("ill", "worse"):
        await keep_it(index, {"core": core}, a_lab(text), outcome="went-back")
    await keep.prune(index, {"core": core}, 1)
    assert [one.number for one in index.all()] == [3, 1]
    assert (await keep.load(index, 1, {"core": core})).desired == a_lab("well")


async def test_without_a_kept_document_nothing_is_removed(index: Generations, core: FakeHost) -> None:
    for text in ("one", "two", "three"):
        await keep_it(index, {"core": core}, a_lab(text))
    await core.remove(Objects(core).path(index.get(2).tree))
    before = await objects_of(core)
    pruned = await keep.prune(index, {"core": core}, 2)
    assert [one.number for one in pruned.generations] == [1]
    assert "missing" in pruned.blocked
    assert await objects_of(core) == before
    healed = await keep.prune(index, {"core": core}, 1)
    assert (healed.blocked, await objects_of(core)) == ("", names_of("three"))


async def test_check_names_what_is_wrong_and_who_needs_it(index: Generations, core: FakeHost) -> None:
    for text in ("one", "two"):
        await keep_it(index, {"core": core}, a_lab(text))
    shared, own = a_lab().servers["core"].files[0].sha256, index.get(2).tree
    await core.write(Objects(core).path(shared), b"something else", mode=0o600)
    assert await keep.check(index, {"core": core}) == (keep.KeptFault("core", shared, "damaged", (1, 2)),)
    await core.remove(Objects(core).path(own))
    found = {(fault.name, fault.fault, fault.generations) for fault in await keep.check(index, {"core": core})}
    assert found == {(shared, "damaged", (1,)), (own, "missing", (2,))}


async def test_a_server_that_cannot_be_reached(index: Generations) -> None:
    hosts = {name: fake_server(name) for name in ("core", "server1")}
    await keep_it(index, hosts, a_lab(servers=2))
    hosts["server1"].unreachable = "no route to host"
    (fault,) = await keep.check(index, hosts)
    assert (fault.server, fault.name, fault.generations) == ("server1", "", (1,))
    assert "could not be reached" in fault.fault
    with pytest.raises(UnreachableError):
        await keep.load(index, 1, hosts)
    with pytest.raises(UnreachableError):
        await keep_it(index, hosts, a_lab(servers=2))
    assert (await keep.prune(index, hosts, 1)).objects == 0
    assert len(index.all()) == 1


async def test_a_server_that_the_lab_no_longer_has(index: Generations) -> None:
    hosts = {name: fake_server(name) for name in ("core", "server1")}
    await keep_it(index, hosts, a_lab(servers=2))
    with pytest.raises(GenerationError, match="files on the server server1, which the lab no longer has"):
        await keep.load(index, 1, {"core": hosts["core"]})
    (fault,) = await keep.check(index, {"core": hosts["core"]})
    assert (fault.server, fault.fault) == ("server1", "the lab no longer has this server")


async def test_a_full_disk_leaves_no_generation(index: Generations, core: FakeHost) -> None:
    core.fail_at(4, CommandError("no space"))
    with pytest.raises(CommandError, match="no space"):
        await keep_it(index, {"core": core}, a_lab())
    assert index.all() == ()
