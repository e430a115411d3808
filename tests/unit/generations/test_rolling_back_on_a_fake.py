"""A generation that comes back on a server in memory: the lab's own files with it, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine_in_memory import ONE_APP

from ez_homelab.config.files import write_all
from ez_homelab.images.lock import FILE

if TYPE_CHECKING:
    from engine_in_memory import LabOnFakeServer

MORE = ONE_APP.replace("[dokuwiki]", "[dokuwiki, glances]")


async def go_back(there: LabOnFakeServer, number: int, *, keep_lab_file: bool = False) -> None:
    async with there.lab.changing(unasked=True) as held:
        edits, before = await held.rolling_back(number)
        plan = await before.plan()
        if not keep_lab_file:
            write_all(edits)
        await before.apply(plan)


async def test_servers_and_lab_are_as_they_were_and_it_is_a_new_generation(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    await there.apply()
    lock = (there.folder / FILE).read_bytes()
    there.write(MORE)
    await there.apply()
    await go_back(there, 1)
    assert (there.folder / "homelab.yaml").read_text() == ONE_APP
    assert (there.folder / FILE).read_bytes() == lock
    assert "glances" not in there.host.containers
    assert not await there.lab.plan()
    newest = there.lab.history()[0]
    assert (newest.number, newest.why) == (3, "rollback to 1")
    assert (await there.lab.generation(3)).desired == (await there.lab.generation(1)).desired


async def test_what_a_lab_file_included_then_comes_back_with_it(there: LabOnFakeServer) -> None:
    there.write(f"{ONE_APP}include: [more.yaml]\n")
    (there.folder / "more.yaml").write_text("stacks: {monitoring: [glances]}\n")
    await there.apply()
    there.write(ONE_APP)
    (there.folder / "more.yaml").unlink()
    await there.apply()
    assert "glances" not in there.host.containers
    await go_back(there, 1)
    assert (there.folder / "more.yaml").exists()
    assert "glances" in there.host.containers
    assert not await there.lab.plan()


async def test_the_labs_own_files_can_stay_and_the_next_apply_goes_by_them(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    await there.apply()
    there.write(MORE)
    await there.apply()
    kept = {path: path.read_bytes() for path in there.folder.iterdir() if path.is_file()}
    await go_back(there, 1, keep_lab_file=True)
    assert "glances" not in there.host.containers
    assert {path: path.read_bytes() for path in kept} == kept
    await there.apply()
    assert "glances" in there.host.containers
    assert {path: path.read_bytes() for path in kept} == kept
