"""Copies and the way back, cut off at every single step: no data is lost, nothing is left half done."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from server_with_data import ServerWithData

from ez_homelab.apply import containers, copies, files
from ez_homelab.apply.executor import Outcome
from ez_homelab.apply.pending import make_pending, read_pending
from ez_homelab.apply.way_back import GoBackFailedError, WentBackError, finish_pending, go_back, start_stopped
from ez_homelab.errors import CommandError, EzError, HealthError, PrerequisiteError
from ez_homelab.observe import AppliedRecord, ObservedVolume
from ez_homelab.plan import Action
from ez_homelab.plan.copies import copy_actions
from ez_homelab.render.desired import DesiredFile, DesiredServer, DesiredService, DesiredStack, DesiredVolume
from ez_homelab.testing.fake_host import Killed
from ez_homelab.testing.make_lab import desired_of, make_lab, observed_bare

if TYPE_CHECKING:
    from ez_homelab.observe import ObservedServer

BASE = 7
COMPOSE = "/opt/stacks/wiki/compose.yaml"
BARE = observed_bare(desired_of(make_lab()))["core"]


def version(number: int) -> DesiredServer:
    image = f"wiki:{number}"
    service = DesiredService("wiki", "wiki", "wiki", image, image, image, (), volumes=("wiki-db",), ready_within=5.0)
    added = (DesiredFile("/opt/stacks/wiki/new.conf", b"x"),) if number > 1 else ()
    return replace(
        desired_of(make_lab()).servers["core"],
        files=(DesiredFile(COMPOSE, image.encode()), *added),
        networks=(),
        volumes=(DesiredVolume("wiki-db", "", "database"),),
        stacks=(DesiredStack("wiki", (service,)),),
    )


OLD, NEW = version(1), version(2)


@pytest.fixture
def host() -> ServerWithData:
    made = ServerWithData()
    made.ill = {"wiki:2"}
    return made


async def seen(host: ServerWithData) -> ObservedServer:
    shown = await containers.present(host, ["wiki"])
    volumes = (ObservedVolume("wiki-db", "0:0", managed=True),)
    return replace(BARE, containers=shown, volumes=volumes, applied=AppliedRecord(images={"wiki": "wiki:1"}))


async def update(host: ServerWithData, wanted: DesiredServer = NEW) -> EzError | None:
    """One run: finish what an earlier one began, then copy, write, recreate; go back where that fails."""
    for pending in await read_pending(host):
        await finish_pending(host, pending, OLD, lambda _line: None)
    await start_stopped(host)
    found = await seen(host)
    outcomes: list[Outcome] = []
    try:
        for action in copy_actions(wanted, found):
            await copies.copy_volume(host, action, BASE)
            outcomes.append(Outcome(action, "done"))
        for file in wanted.files:
            outcomes.append(Outcome(Action("core", "file", file.path, "replace", ""), "done"))
            await files.perform(host, wanted, outcomes[-1].action)
        service = Action("core", "service", "wiki/wiki", "recreate", "")
        outcomes.append(Outcome(service, "failed"))
        await containers.perform(host, wanted, service, lambda _line: None)
    except EzError as error:
        pending = await make_pending(host, "wiki", BASE, OLD, wanted, found, outcomes)
        if pending is None:
            return error
        return await go_back(host, pending, OLD, error, lambda _line: None)
    return None


async def prepared(host: ServerWithData) -> ServerWithData:
    await host.write(COMPOSE, b"wiki:1")
    host.operations.clear()
    return host


def assert_as_before(host: ServerWithData, data: str = "written by 1") -> None:
    assert host.running == "wiki:1"
    assert host.data == data
    assert host.files.keys() == {COMPOSE}
    assert host.files[COMPOSE].content == b"wiki:1"
    assert host.trees == {}


async def test_a_version_that_fails_goes_back_with_its_data(host: ServerWithData) -> None:
    error = await update(await prepared(host))
    assert isinstance(error, WentBackError)
    assert error.evidence == "cannot upgrade"
    told = error.to_dict()
    assert (told["code"], told["stack"], told["generation"]) == ("went-back", "wiki", BASE)
    assert told["now_runs"] == {"wiki": "wiki:1"}
    assert_as_before(host)


async def test_it_can_be_cut_off_at_every_step_and_the_next_run_goes_back_all_the_same() -> None:
    whole = await prepared(ServerWithData())
    whole.ill = {"wiki:2"}
    await update(whole)
    for number in range(1, len(whole.operations) + 1):
        for after in (False, True):
            host = await prepared(ServerWithData())
            host.ill = {"wiki:2"}
            host.fail_at(number, Killed(), after=after)
            with pytest.raises(Killed):
                await update(host)
            host.revive()
            error = await update(host)
            assert isinstance(error, WentBackError), f"{host.operations[number - 1]}: {error}"
            assert_as_before(host)


@pytest.mark.parametrize("after", [False, True])
async def test_the_engine_can_die_at_every_order_and_the_next_run_goes_back_all_the_same(after: bool) -> None:
    whole = await prepared(ServerWithData())
    whole.ill = {"wiki:2"}
    await update(whole)
    for number in range(1, whole.asked + 1):
        host = await prepared(ServerWithData())
        host.ill = {"wiki:2"}
        host.engine_dies_at, host.dies_after = number, after
        with suppress(EzError):
            await update(host)
        host.engine_dies_at = None
        error = await update(host)
        assert isinstance(error, WentBackError), f"{number}: {error}"
        assert_as_before(host)


async def test_what_is_written_after_going_back_is_kept_by_the_next_try(host: ServerWithData) -> None:
    await update(await prepared(host))
    host.write_something("written later")
    await update(host)
    assert_as_before(host, "written later")


async def test_after_a_run_killed_while_it_copied_the_old_version_goes_on_and_its_new_data_count() -> None:
    whole = await prepared(ServerWithData())
    (action,) = copy_actions(NEW, await seen(whole))
    whole.operations.clear()
    await copies.copy_volume(whole, action, BASE)
    for number in range(1, len(whole.operations) + 1):
        host = await prepared(ServerWithData())
        host.ill = {"wiki:2"}
        host.fail_at(number, Killed(), after=True)
        with pytest.raises(Killed):
            await copies.copy_volume(host, action, BASE)
        host.revive()
        await start_stopped(host)
        host.write_something("written later")
        assert isinstance(await update(host), WentBackError), host.operations[number - 1]
        assert_as_before(host, "written later")


async def test_a_version_that_gets_well_keeps_its_copy_until_it_is_pruned(host: ServerWithData) -> None:
    host.ill = set()
    assert await update(await prepared(host)) is None
    assert await start_stopped(host) == ()
    assert await copies.complete_copies(host, "wiki-db") == {BASE}
    assert host.trees == {f"{copies.copy_folder('wiki-db', BASE)}/data": "written by 1"}
    await copies.prune_copies(host, {BASE})
    assert await copies.copied_bases(host) == {BASE}
    await copies.prune_copies(host, ())
    assert host.trees == {}
    assert await copies.copied_bases(host) == frozenset()


async def test_without_space_nothing_is_touched(host: ServerWithData) -> None:
    host.free = copies.SPARE_BYTES + 999
    (action,) = copy_actions(NEW, await seen(await prepared(host)))
    with pytest.raises(PrerequisiteError) as refused:
        await copies.copy_volume(host, action, BASE)
    assert refused.value.evidence == f"67 MB needed, 67 MB free in {copies.COPIES}"
    assert not [order for order in host.operations if "container stop" in order]


@pytest.mark.parametrize("step", ["container stop", "cp --archive", "sync --file-system", "mv --no-target"])
async def test_where_copying_fails_the_app_runs_again_and_there_is_no_copy(host: ServerWithData, step: str) -> None:
    host.fails = step
    error = await update(await prepared(host))
    assert isinstance(error, CommandError)
    assert error.evidence == "No space left on device"
    assert (host.running, host.data) == ("wiki:1", "written by 1")
    assert await copies.complete_copies(host, "wiki-db") == frozenset()
    assert await start_stopped(host) == ()


@pytest.mark.parametrize("step", ["-mindepth 1 -delete", "copies/7/wiki-db/data/."])
async def test_where_data_cannot_be_put_back_the_next_run_goes_on_with_it(host: ServerWithData, step: str) -> None:
    host.fails = step
    error = await update(await prepared(host))
    assert isinstance(error, GoBackFailedError)
    assert error.what.startswith(
        "wiki did not get well with its new version, and not when taken back to generation 7: "
        "the data of wiki-db could not be put back"
    )
    assert error.to_dict()["now_runs"] == {}
    (pending,) = await read_pending(host)
    assert isinstance(await finish_pending(host, pending, OLD, lambda _line: None), WentBackError)
    assert_as_before(host)


async def test_where_the_version_before_is_not_well_either_its_data_are_back_and_the_next_run_plans_anew(
    host: ServerWithData,
) -> None:
    host.ill = {"wiki:1", "wiki:2"}
    error = await update(await prepared(host))
    assert isinstance(error, GoBackFailedError)
    assert isinstance(error.problem, HealthError)
    assert (error.failure.code, error.problem.code) == ("unhealthy", "unhealthy")
    assert host.data == "written by 1"
    assert await read_pending(host) == ()


async def test_a_copy_removed_by_hand_is_told_with_a_way_out(host: ServerWithData) -> None:
    with pytest.raises(CommandError) as error:
        await copies.restore_volume(host, "wiki-db", BASE)
    assert error.value.fix == f"put the data back from a backup, then: rm {copies.PENDING}"
    assert host.data == "written by 1"


async def test_data_that_another_version_may_have_changed_is_not_copied(host: ServerWithData) -> None:
    host.containers["wiki"] = ("id5", "wiki:5", True)
    error = await update(await prepared(host))
    assert isinstance(error, PrerequisiteError)
    assert error.what.startswith("wiki:5 may have changed the data of wiki-db")
    assert host.running == "wiki:5"


async def test_nothing_goes_back_where_nothing_was_changed(host: ServerWithData) -> None:
    found = await seen(host)
    skipped = [Outcome(Action("core", "service", "wiki/wiki", "recreate", ""), "skipped")]
    assert await make_pending(host, "wiki", BASE, OLD, NEW, found, skipped) is None
    tried = [replace(skipped[0], state="failed")]
    assert await make_pending(host, "wiki", BASE, OLD, OLD, found, tried) is None
    nothing = replace(OLD, stacks=(), files=())
    assert await make_pending(host, "wiki", BASE, nothing, NEW, found, tried) is None


async def test_a_file_that_could_not_be_written_is_no_change(host: ServerWithData) -> None:
    found = await seen(host)
    path = next(file.path for file in NEW.files if file not in OLD.files)
    unwritten = Outcome(Action("core", "file", path, "replace", ""), "failed")
    skipped = Outcome(Action("core", "service", "wiki/wiki", "recreate", ""), "skipped")
    assert await make_pending(host, "wiki", BASE, OLD, NEW, found, [unwritten, skipped]) is None


async def test_a_database_beside_the_app_goes_back_with_it(host: ServerWithData) -> None:
    def beside(server: DesiredServer) -> DesiredServer:
        (wiki,) = server.services
        database = replace(wiki, name="wiki-database", image="db:1", fingerprint="db:1")
        return replace(server, stacks=(DesiredStack("wiki", (replace(wiki, volumes=()), database)),))

    old, new, found = beside(OLD), beside(NEW), await seen(host)
    (copy,) = copy_actions(new, found)
    await copies.copy_volume(host, copy, BASE)
    tried = Outcome(Action("core", "service", "wiki/wiki", "recreate", ""), "failed")
    pending = await make_pending(host, "wiki", BASE, old, new, found, [Outcome(copy, "done"), tried])
    assert pending is not None
    assert (pending.containers, pending.copies) == (("wiki", "wiki-database"), ("wiki-db",))
    # The run that changed the wiki was cut off, and the next one fails.
    after = replace(found.containers[0], image="wiki:2", image_id="sha256:wiki:2")
    pending = await make_pending(host, "wiki", BASE, old, new, replace(found, containers=(after,)), [tried])
    assert pending is not None
    assert (pending.containers, pending.copies) == (("wiki", "wiki-database"), ("wiki-db",))


async def test_what_is_paused_goes_back_too_where_the_rest_of_its_wake_group_was_changed(host: ServerWithData) -> None:
    def beside(server: DesiredServer, wake_group: str) -> DesiredServer:
        wiki = replace(server.services[0], wake_group=wake_group, fingerprint="wiki:1")
        database = replace(wiki, name="wiki-database", image="db:1", fingerprint="db:1")
        return replace(server, stacks=(DesiredStack("wiki", (wiki, database)),))

    found = await seen(host)
    # An earlier run had changed the wiki when it was cut off, and somebody paused it then.
    paused = replace(found.containers[0], labels={"ez-homelab.fingerprint": "wiki:2"}, state="paused")
    tried = Outcome(Action("core", "service", "wiki/wiki-database", "recreate", ""), "failed")
    for group, expected in (("wiki", ("wiki", "wiki-database")), ("", ("wiki-database",))):
        old, new = beside(OLD, group), beside(NEW, group)
        pending = await make_pending(host, "wiki", BASE, old, new, replace(found, containers=(paused,)), [tried])
        assert pending is not None
        assert pending.containers == expected


async def test_a_text_that_a_person_chose_to_keep_stays(host: ServerWithData) -> None:
    found = replace(await seen(host), applied=AppliedRecord(kept={COMPOSE: "00"}))
    tried = [Outcome(Action("core", "service", "wiki/wiki", "recreate", ""), "failed")]
    pending = await make_pending(host, "wiki", BASE, OLD, NEW, found, tried)
    assert pending is not None
    assert (pending.files, pending.added_files) == ((), ("/opt/stacks/wiki/new.conf",))


async def test_files_that_say_who_may_open_what_stay(host: ServerWithData) -> None:
    # Another stack's app stands behind this stack's files, as apps stand behind those of core.
    (stack,) = NEW.stacks
    behind = replace(stack.services[0], stack="tools", name="tool", guarded_by=(COMPOSE,))
    new = replace(NEW, stacks=(stack, DesiredStack("tools", (behind,))))
    tried = [Outcome(Action("core", "service", "wiki/wiki", "recreate", ""), "failed")]
    pending = await make_pending(host, "wiki", BASE, OLD, new, await seen(host), tried)
    assert pending is not None
    assert (pending.containers, pending.files) == (("wiki",), ())
    assert pending.added_files == ("/opt/stacks/wiki/new.conf",)


async def test_secrets_that_the_app_was_told_stay(host: ServerWithData) -> None:
    env = DesiredFile("/opt/stacks/wiki/.env", b"old")
    old = replace(OLD, files=(*OLD.files, env))
    new = replace(NEW, files=(*NEW.files, replace(env, content=b"new")))
    tried = [
        Outcome(Action("core", "file", env.path, "replace", ""), "done"),
        Outcome(Action("core", "service", "wiki/wiki", "recreate", ""), "failed"),
    ]
    pending = await make_pending(host, "wiki", BASE, old, new, await seen(host), tried)
    assert pending is not None
    assert env.path in pending.files
    told = Outcome(Action("core", "secret", "wiki/key", "rotate", "", settings={"stack": "wiki"}), "done")
    pending = await make_pending(host, "wiki", BASE, old, new, await seen(host), [told, *tried])
    assert pending is not None
    assert env.path not in pending.files


async def test_a_damaged_note_is_an_error_with_a_way_out(host: ServerWithData) -> None:
    for content in (b"{", b'[{"nonsense": 1}]', b"[1]"):
        await host.write(copies.PENDING, content)
        with pytest.raises(CommandError) as error:
            await read_pending(host)
        assert copies.PENDING in error.value.fix
