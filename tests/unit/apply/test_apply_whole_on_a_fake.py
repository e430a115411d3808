"""A whole apply through the one door, on a server whose Docker engine is in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from engine_in_memory import ONE_APP, LabOnFakeServer

from ez_homelab.apply.failures import ApplyFailedError, NotSettledError
from ez_homelab.apply.journal import Journal
from ez_homelab.apply.way_back import GoBackFailedError, WentBackError
from ez_homelab.errors import EzError, HealthError, LockedError, PlanStaleError, PrerequisiteError
from ez_homelab.hosts import Command
from ez_homelab.hosts.memory import MemoryFile
from ez_homelab.lab import LOCK
from ez_homelab.observe.look import APPLIED_RECORD, AUTHORITY_CERTIFICATE
from ez_homelab.testing.fake_host import Killed
from ez_homelab.tls.authority import read_authority
from ez_homelab.tls.certificate import CertificateFacts
from ez_homelab.tls.served import read_served

if TYPE_CHECKING:
    from ez_homelab.hosts.protocol import Completed

COMPOSE = "/opt/stacks/wiki/compose.yaml"
KEY = "/var/lib/ez-homelab/tls/ca.key"
CERTIFICATE = "/opt/stacks/core/config/traefik/dynamic/certificate.yml"


async def test_from_nothing_to_nothing_left_to_do(there: LabOnFakeServer) -> None:
    await there.apply()
    host = there.host
    assert sorted(host.containers) == [
        "docker-socket-proxy", "dokuwiki", "gate", "glances", "node-exporter", "prometheus", "traefik", "waker",
        "waker-control",
    ]  # fmt: skip
    assert not await there.lab.plan()
    assert there.runs() == ["done"]
    assert set(there.record()) == {file.path for file in there.lab.desired.servers["core"].files}
    assert host.files[APPLIED_RECORD].mode == 0o600
    assert host.files["/opt/stacks/wiki/.env"].mode == 0o600
    before = len(host.commands)
    plan = await there.lab.plan()
    assert not plan
    assert not [command for command in host.commands[before:] if command.changes]


async def test_the_lab_certificate_is_signed_by_its_own_authority(there: LabOnFakeServer) -> None:
    await there.apply()
    host = there.host
    served = read_served(host.files[CERTIFICATE].content)
    authority = read_authority(host.files[AUTHORITY_CERTIFICATE].content)
    assert isinstance(served, CertificateFacts)
    assert served.issuer_key_id == authority.key_id
    assert set(served.names) == {"lab.localhost", "*.lab.localhost", "*.core.lab.localhost"}
    assert (host.files[CERTIFICATE].mode, host.files[CERTIFICATE].uid) == (0o600, 65532)
    assert host.files[KEY].mode == 0o600
    assert (await there.lab.authority_pem()).startswith("-----BEGIN CERTIFICATE-----")


async def test_commands_for_networks_volumes_and_images(there: LabOnFakeServer) -> None:
    await there.apply()
    orders = there.host.orders()
    label = "--label ez-homelab.managed=true"
    assert f"docker network create --driver bridge --subnet 10.201.0.0/26 --internal {label} socket-proxy" in orders
    assert f"docker network create --driver bridge --subnet 10.201.0.64/26 {label} traefik-network" in orders
    assert f"docker volume create {label} dokuwiki-storage" in orders
    assert "chown 1000:1000 -- /volumes/dokuwiki-storage" in orders
    assert "docker pull traefik:v3.7.15" in orders
    assert len(orders) == len(set(orders))


async def test_an_app_that_is_taken_out_goes_and_its_data_stays(there: LabOnFakeServer) -> None:
    await there.apply()
    there.write(ONE_APP)
    await there.apply()
    host = there.host
    assert sorted(host.containers) == ["docker-socket-proxy", "dokuwiki", "gate", "traefik"]
    assert sorted(host.networks) == [
        "edge-dokuwiki", "edge-gate", "homelab-network", "media-network", "socket-proxy", "traefik-network",
    ]  # fmt: skip
    assert set(host.containers["traefik"]["NetworkSettings"]["Networks"]) == {
        "traefik-network", "socket-proxy", "edge-dokuwiki", "edge-gate",
    }  # fmt: skip
    assert set(host.volumes) == {
        "dokuwiki-storage", "gate-data", "prometheus-data", "traefik-routes", "waker-control", "waker-data",
        "waker-metrics",
    }  # fmt: skip
    assert not [path for path in host.files if path.startswith("/opt/stacks/monitoring")]
    assert "/opt/stacks/monitoring" not in host.folders
    assert not [path for path in there.record() if "monitoring" in path]


async def test_an_app_that_moves_to_another_stack_keeps_its_data(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    await there.apply()
    there.write(ONE_APP.replace("wiki:", "notes:"))
    await there.apply()
    labels = there.host.containers["dokuwiki"]["Config"]["Labels"]
    assert labels["com.docker.compose.project"] == "notes"
    assert set(there.host.volumes) == {"dokuwiki-storage", "gate-data", "traefik-routes"}
    assert COMPOSE not in there.host.files


# --- files that a person changed -------------------------------------------------------------------------------


def kept(there: LabOnFakeServer) -> dict[str, MemoryFile]:
    folder = "/var/lib/ez-homelab/edited/"
    return {path.removeprefix(folder).split("/", 1)[1]: file for path, file in there.host.files.items()
            if path.startswith(folder)}  # fmt: skip


async def test_what_a_person_wrote_is_kept_aside_before_it_is_replaced(there: LabOnFakeServer) -> None:
    await there.apply()
    ours = there.host.files[COMPOSE]
    there.host.files[COMPOSE] = MemoryFile(b"my own text\n")
    await there.apply()
    assert there.host.files[COMPOSE] == ours
    assert kept(there) == {COMPOSE[1:]: MemoryFile(b"my own text\n", 0o600)}


async def test_a_container_that_a_person_made_of_an_edited_file_is_made_anew(there: LabOnFakeServer) -> None:
    await there.apply()
    host = there.host
    ours = host.files[COMPOSE].content
    await host.write(COMPOSE, ours.replace(b"hostname: dokuwiki", b"hostname: another"))
    await host.run(Command(("docker", "compose", "up", "--detach", "dokuwiki"), "/opt/stacks/wiki"))
    by_hand = host.containers["dokuwiki"]["Id"]
    await there.apply()
    assert host.files[COMPOSE].content == ours
    assert host.containers["dokuwiki"]["Id"] != by_hand
    assert not await there.lab.plan()
    # Made by hand of what the lab says: that is nobody's business.
    await host.run(Command(("docker", "compose", "up", "--detach", "dokuwiki"), "/opt/stacks/wiki"))
    assert not await there.lab.plan()


async def test_what_a_person_wrote_is_kept_aside_before_it_is_removed(there: LabOnFakeServer) -> None:
    await there.apply()
    path = "/opt/stacks/monitoring/config/prometheus/prometheus.yml"
    there.host.files[path] = MemoryFile(b"my own text\n")
    there.write(ONE_APP)
    await there.apply()
    assert path not in there.host.files
    assert kept(there)[path[1:]].content == b"my own text\n"


# --- what can go wrong -----------------------------------------------------------------------------------------


async def test_a_world_that_changed_since_the_plan_is_left_alone(there: LabOnFakeServer) -> None:
    plan = await there.lab.plan()
    there.host.images.append("traefik:v3.7.15")
    with pytest.raises(PlanStaleError) as error:
        await there.lab.apply(plan)
    assert error.value.fix == "ez-homelab apply"
    assert there.host.orders() == []
    assert there.runs() == []
    assert APPLIED_RECORD not in there.host.files


async def test_a_failed_action_is_told_and_the_rest_is_done(there: LabOnFakeServer) -> None:
    there.host.without = {"prom/prometheus:v3.14.0"}
    there.host.ill = {"glances"}
    with pytest.raises(ApplyFailedError) as failed:
        await there.apply()
    error = failed.value
    assert error.what.startswith("2 of ")
    assert "actions failed; 1 that wait for them were not tried: " in error.what
    assert {type(one) for one in error.errors} >= {HealthError}
    codes = [one["code"] for one in error.to_dict()["errors"]]  # type: ignore[attr-defined]
    assert sorted(codes) == ["command-failed", "unhealthy"]
    assert sorted(there.host.containers) == [
        "docker-socket-proxy", "dokuwiki", "gate", "glances", "node-exporter", "traefik", "waker", "waker-control",
    ]  # fmt: skip
    assert there.runs() == ["failed"]


async def test_after_a_failure_the_record_still_knows_what_was_ours_before(there: LabOnFakeServer) -> None:
    await there.apply()
    before = there.record()[COMPOSE]
    there.write(ONE_APP.replace("[dokuwiki]", "[{dokuwiki: {limits: {memory: 600M}}}]"))
    there.host.ill = {"dokuwiki"}
    with pytest.raises(GoBackFailedError):
        await there.apply()
    assert set(before) < set(there.record()[COMPOSE])
    there.host.ill = set()
    await there.apply()
    assert len(there.record()[COMPOSE]) == 1
    assert kept(there) == {}


async def test_what_does_not_stay_as_it_was_made_is_no_success(there: LabOnFakeServer) -> None:
    await there.apply()
    there.host.containers.clear()
    plan = await there.lab.plan()
    compose = there.host._compose

    def forgetful(command: Any, words: tuple[str, ...]) -> tuple[int, str]:
        done = compose(command, words)
        if words[-1] == "glances":
            there.host.networks["edge-glances"]["Id"] = "of somebody else"
        return done

    there.host._compose = forgetful  # type: ignore[method-assign]
    with pytest.raises(NotSettledError) as error:
        await there.lab.apply(plan)
    assert "a network it was made with is gone" in error.value.evidence
    assert there.runs()[0] == "done"


async def test_one_apply_at_a_time(there: LabOnFakeServer) -> None:
    plan = await there.lab.plan()
    async with there.host.lock(LOCK, "ben runs `ez up`"):
        with pytest.raises(LockedError) as error:
            await there.lab.apply(plan)
    assert error.value.evidence == "ben runs `ez up`"
    assert there.host.orders() == []


@pytest.mark.parametrize("number", [8, 14, 20, 30, 45, 60, 80])
async def test_a_process_killed_at_any_point_is_gone_on_from_by_the_next(there: LabOnFakeServer, number: int) -> None:
    plan = await there.lab.plan()
    there.host.fail_at(len(there.host.operations) + number, Killed(), after=True)
    with pytest.raises((Killed, BaseExceptionGroup)):
        await there.lab.apply(plan)
    there.host.revive()
    await there.apply()
    assert not await there.lab.plan()
    assert kept(there) == {}
    assert there.runs()[0] == "done"


async def test_a_run_that_was_cut_off_can_be_seen(there: LabOnFakeServer) -> None:
    plan = await there.lab.plan()
    there.host.fail_at(len(there.host.operations) + 40, Killed())
    with pytest.raises((Killed, BaseExceptionGroup)):
        await there.lab.apply(plan)
    (run,) = Journal(there.journal_path).runs()
    assert (run.who, run.command, run.plan, run.outcome) == ("ann", "ez apply", plan.hash, None)


# --- the authority ---------------------------------------------------------------------------------------------


async def test_another_domain_makes_a_new_authority_and_keeps_the_old_one(there: LabOnFakeServer) -> None:
    await there.apply()
    old = {path: there.host.files[path].content for path in (AUTHORITY_CERTIFICATE, KEY)}
    there.write(ONE_APP.replace("lab.localhost", "home.localhost"))
    plan = await there.lab.plan()
    assert [action.destructive for action in plan.actions if action.kind == "authority"] == [True]
    await there.apply()
    assert read_authority(there.host.files[AUTHORITY_CERTIFICATE].content).domain == "home.localhost"
    aside = {path.rsplit(".")[-1]: file for path, file in there.host.files.items() if "/ca-until-" in path}
    assert aside["crt"].content == old[AUTHORITY_CERTIFICATE]
    assert (aside["key"].content, aside["key"].mode) == (old[KEY], 0o600)


async def test_a_key_whose_certificate_was_lost_is_kept(there: LabOnFakeServer) -> None:
    await there.apply()
    old = there.host.files[KEY].content
    del there.host.files[AUTHORITY_CERTIFICATE]
    await there.apply()
    assert [file.content for path, file in there.host.files.items() if "/ca-until-" in path] == [old]


# --- down and purge --------------------------------------------------------------------------------------------


async def test_down_keeps_all_data_and_up_brings_it_back(there: LabOnFakeServer) -> None:
    await there.apply()
    there.host.by_hand("somebody-elses")
    files, volumes, networks = dict(there.host.files), dict(there.host.volumes), dict(there.host.networks)
    assert await there.lab.down() == ("monitoring", "wiki", "core")
    assert list(there.host.containers) == ["somebody-elses"]
    assert (there.host.files, there.host.volumes, there.host.networks) == (files, volumes, networks)
    await there.apply()
    assert len(there.host.containers) == 10
    assert await there.lab.down() == ("monitoring", "wiki", "core")


async def test_down_takes_along_what_the_lab_file_names_no_longer(there: LabOnFakeServer) -> None:
    await there.apply()
    there.write(ONE_APP)
    taken = await there.lab.down()
    assert there.host.containers == {}
    assert set(taken) == {"wiki", "core", "prometheus", "node-exporter", "glances"}


async def test_down_removes_first_what_would_start_an_app_again(there: LabOnFakeServer) -> None:
    await there.apply()
    before = len(there.host.orders())
    await there.lab.down()
    orders = [order for order in there.host.orders()[before:] if order.startswith("docker co")]
    assert orders[0] == "docker container rm --force waker waker-control"
    assert "compose" in orders[1]


async def test_down_removes_first_what_wakes_apps_now_and_not_what_is_to_do_so_after_the_next_apply(
    there: LabOnFakeServer,
) -> None:
    there.write(SLEEPER)
    await there.apply()
    there.write(f"on_demand: {{engine: sablier}}\n{SLEEPER}")
    before = len(there.host.orders())
    await there.lab.down()
    orders = [order for order in there.host.orders()[before:] if order.startswith("docker co")]
    assert orders[0] == "docker container rm --force waker waker-control"


async def test_down_kills_nothing_but_the_core_stacks_own(there: LabOnFakeServer) -> None:
    there.write(ONE_APP.replace("dokuwiki", "{waker-notes: {app: dokuwiki}}"))
    await there.apply()
    await there.lab.down()
    assert not [order for order in there.host.orders() if "--force" in order.split()]


# --- apps that sleep -------------------------------------------------------------------------------------------

SLEEPER = "version: 1\ndomain: lab.localhost\nstacks: {wiki: [{dokuwiki: {lazy: {mode: stop}}}]}\n"
HELD = "/var/lib/ez-homelab/held/dokuwiki"


def waker_was_told(there: LabOnFakeServer) -> list[str]:
    asked = (order.partition("waker.admin ") for order in there.host.orders())
    return [verb for _, asked_it, verb in asked if asked_it]


async def test_what_sleeps_is_changed_in_quiet_and_sleeps_again(there: LabOnFakeServer) -> None:
    there.write(SLEEPER)
    await there.apply()
    assert waker_was_told(there) == ["hold dokuwiki 300", "release dokuwiki"]
    assert there.host.containers["dokuwiki"]["State"]["Status"] == "exited"
    assert not await there.lab.plan(start_held=True)
    there.write(SLEEPER.replace("mode: stop}", "mode: stop}, limits: {memory: 600M}"))
    await there.apply()
    assert waker_was_told(there)[2:] == ["hold dokuwiki 300", "release dokuwiki"]
    assert there.host.containers["dokuwiki"]["State"]["Status"] == "exited"
    assert HELD not in there.host.files


async def test_what_sleeps_no_longer_runs_and_is_nobodys_to_stop(there: LabOnFakeServer) -> None:
    there.write(SLEEPER)
    await there.apply()
    there.write(ONE_APP)
    await there.apply()
    assert there.host.containers["dokuwiki"]["State"]["Status"] == "running"
    assert "waker" not in there.host.containers
    assert not there.host.routes, "its routes went with it"


@pytest.mark.parametrize("by_hand", [False, True])
async def test_routes_that_outlived_their_waker_are_cleared_by_the_next_apply(
    there: LabOnFakeServer, by_hand: bool
) -> None:
    there.write(SLEEPER)
    await there.apply()
    assert there.host.routes == ["app-dokuwiki.yml"]
    if by_hand:
        del there.host.containers["waker"], there.host.containers["waker-control"]
    else:
        await there.lab.down()
    there.write(ONE_APP)
    await there.apply()
    assert not there.host.routes
    assert "touch --no-create -- /opt/stacks/core/config/traefik/dynamic/nudge.yml" in there.host.orders()


async def test_a_waker_that_is_taken_back_takes_its_routes_along(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    await there.apply()
    there.write(SLEEPER)
    there.host.ill = {"waker"}
    with pytest.raises(EzError):
        await there.apply()
    assert "waker" not in there.host.containers
    assert not there.host.routes


async def test_what_a_failed_run_held_is_released_when_all_is_taken_back(there: LabOnFakeServer) -> None:
    there.write(SLEEPER)
    await there.apply()
    there.write(SLEEPER.replace("mode: stop}", "mode: stop}, limits: {memory: 600M}"))
    there.host.ill = {"dokuwiki"}
    with pytest.raises(GoBackFailedError):
        await there.apply()
    assert waker_was_told(there)[2:] == ["hold dokuwiki 300", "hold dokuwiki 3600", "release dokuwiki"]
    assert HELD not in there.host.files


def always_on(name: str, service: dict[str, Any]) -> bool:
    """The wiki does not get well where it is not to sleep any longer."""
    return name == "dokuwiki" and service.get("restart") != "no"


def known_to_the_waker(there: LabOnFakeServer) -> list[str]:
    return [app["name"] for app in there.host._lazy()["apps"]]


@pytest.mark.parametrize("engine", ["builtin", "sablier"])
async def test_what_is_taken_back_to_sleep_has_its_waker_back(there: LabOnFakeServer, engine: str) -> None:
    there.write(SLEEPER)
    await there.apply()
    other = f"on_demand: {{engine: sablier}}\n{SLEEPER}"
    there.write(ONE_APP if engine == "builtin" else other)
    there.host.fails = lambda name, service: always_on(name, service) or "sablier.enable" in service["labels"]
    with pytest.raises(WentBackError) as error:
        await there.apply()
    assert error.value.stack == "wiki"
    assert {"waker", "waker-control"} <= there.host.containers.keys()
    assert "sablier" not in there.host.containers
    assert known_to_the_waker(there) == ["dokuwiki"]
    assert there.host.routes == ["app-dokuwiki.yml"]
    assert await there.lab.plan()
    there.host.fails = lambda _name, _service: False
    await there.apply()
    assert "waker" not in there.host.containers


TWO = SLEEPER.replace("}}}]", "}}}], other: [{notes: {app: dokuwiki, lazy: {mode: MODE}}}]")


async def test_a_waker_that_stays_knows_again_what_is_taken_back(there: LabOnFakeServer) -> None:
    there.write(TWO.replace("MODE", "stop"))
    await there.apply()
    there.write(TWO.replace("stop", "off").replace("MODE", "stop"))
    there.host.fails = always_on
    with pytest.raises(WentBackError):
        await there.apply()
    assert known_to_the_waker(there) == ["dokuwiki", "notes"]


@pytest.mark.parametrize(("before", "after"), [("off", "stop"), ("stop", "off"), ("stop", "stop, idle: 5m")])
async def test_where_the_waker_of_before_would_harm_others_it_is_told_what_cannot_be_opened(
    there: LabOnFakeServer, before: str, after: str
) -> None:
    there.write(TWO.replace("MODE", before))
    await there.apply()
    there.write(TWO.replace("stop", "off").replace("MODE", after))
    there.host.fails = always_on
    with pytest.raises(WentBackError) as error:
        await there.apply()
    assert "dokuwiki cannot be opened" in error.value.what
    assert "lazy" in error.value.fix
    assert after == "off" or known_to_the_waker(there) == ["notes"]


async def test_what_a_killed_run_held_is_released_by_the_next(there: LabOnFakeServer) -> None:
    there.write(SLEEPER)
    await there.apply()
    there.write(SLEEPER.replace("mode: stop}", "mode: stop}, limits: {memory: 600M}"))
    plan = await there.lab.plan()

    def killed(_command: Command) -> Completed:
        raise Killed

    there.host.answer(lambda command: command.argv[:2] == ("docker", "compose"), does=killed)
    with pytest.raises(BaseException):  # noqa: B017 - as a group
        await there.lab.apply(plan)
    assert HELD in there.host.files
    there.host.revive()
    await there.lab.recover()
    assert waker_was_told(there)[2:] == ["hold dokuwiki 300", "release dokuwiki"]
    assert HELD not in there.host.files


async def test_down_on_a_bare_server_has_nothing_to_do(there: LabOnFakeServer) -> None:
    assert await there.lab.down() == ()
    assert await there.lab.purgeable() == ()


async def test_purge_lists_what_goes_and_takes_nothing_else(there: LabOnFakeServer) -> None:
    await there.apply()
    host = there.host
    host.images += ["ez-homelab/dokuwiki:1-abc", "somebody/else:1"]
    host.volumes["somebody-elses"] = {"com.docker.compose.project": "other"}
    host.networks["by-hand"] = {**host.networks["edge-glances"], "Name": "by-hand", "Labels": {}}
    host.files["/opt/stacks/other/compose.yaml"] = MemoryFile(b"services: {}")
    host.by_hand("somebody-elses")
    lines = await there.lab.purgeable()
    assert lines == (
        "volume dokuwiki-storage with all data in it",
        "volume gate-data with all data in it",
        "volume prometheus-data with all data in it",
        "volume traefik-routes with all data in it",
        "volume waker-control with all data in it",
        "volume waker-data with all data in it",
        "volume waker-metrics with all data in it",
        "folder /opt/stacks/core",
        "folder /opt/stacks/wiki",
        "folder /opt/stacks/monitoring",
        "folder /var/lib/ez-homelab",
        "network edge-dokuwiki",
        "network edge-gate",
        "network edge-glances",
        "network edge-prometheus",
        "network homelab-network",
        "network media-network",
        "network socket-proxy",
        "network traefik-network",
        "image ez-homelab/dokuwiki:1-abc",
    )
    assert await there.lab.purge() == lines
    assert set(host.volumes) == {"somebody-elses"}
    assert set(host.networks) == {"by-hand"}
    assert set(host.containers) == {"somebody-elses"}
    assert "somebody/else:1" in host.images
    assert set(host.files) == {"/opt/stacks/other/compose.yaml"}
    assert await there.lab.purgeable() == ()
    assert (there.folder / "homelab.yaml").exists()


async def test_purge_finds_stacks_that_the_lab_file_names_no_longer(there: LabOnFakeServer) -> None:
    await there.apply()
    there.write(ONE_APP)
    assert "folder /opt/stacks/monitoring" in await there.lab.purgeable()


async def test_nothing_of_somebody_elses_is_written_over(there: LabOnFakeServer) -> None:
    there.host._put("/opt/stacks/wiki/compose.yaml", MemoryFile(b"services: {}"))
    with pytest.raises(PrerequisiteError, match="was not made by EZ-Homelab"):
        await there.lab.plan()
    await there.lab.down()
    assert there.host.files["/opt/stacks/wiki/compose.yaml"].content == b"services: {}"
    assert there.host.orders() == []
