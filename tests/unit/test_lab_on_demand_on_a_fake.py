"""Waking apps and putting them to sleep by hand, and what the status of a lab tells of those that sleep."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ez_homelab.errors import CommandError, HealthError, UsageError
from ez_homelab.hosts.protocol import Completed
from ez_homelab.lab.on_demand import OnDemandError
from ez_homelab.observe.states import ASLEEP, AppStatus, Wakes, memory_saved
from ez_homelab.waker_admin import ASK_WAKER, AppInUseError, WakerError

if TYPE_CHECKING:
    from engine_in_memory import LabOnFakeServer

    from ez_homelab.hosts import Command

LAB = """\
version: 1
domain: lab.localhost
on_demand: {engine: builtin}
stacks:
  all:
    apps:
      wiki: {app: dokuwiki, lazy: stop}
      glances: {lazy: {mode: stop, group: looking}}
      calendar: {app: radicale, lazy: {mode: stop, group: looking}}
      prometheus: {}
      notes: {app: dokuwiki}
"""
QUIET = {
    "title": "", "state": "asleep", "since": 60.5, "unused": None, "leads_to": "waker", "trouble": "", "reason": "",
    "retry_in": None, "held": None, "failures": 0, "in_flight": 0, "scheduled": False, "memory": 1,
    "wakes": {"count": 3, "p50": 1.25, "p95": 2.5},
}  # fmt: skip


class Waker:
    """Answers in the waker's place; `says` is by verb and group, what it is not told of it does."""

    def __init__(self, there: LabOnFakeServer) -> None:
        self.groups: dict[str, dict[str, Any]] = {"wiki": {**QUIET}, "looking": {**QUIET}}
        self.says: dict[tuple[str, str], dict[str, Any]] = {}
        self.told: list[str] = []
        self.limits: dict[str, float] = {}
        there.host.answer(lambda command: command.argv[: len(ASK_WAKER)] == ASK_WAKER, does=self._answer)

    def _answer(self, command: Command) -> Completed:
        verb, *group = command.argv[len(ASK_WAKER) :]
        if verb == "status":
            return Completed(command, 0, json.dumps({"apps": self.groups, "memory_saved": 0}), "")
        self.told.append(f"{verb} {group[0]}")
        self.limits[group[0]] = command.timeout
        said = self.says.get((verb, group[0]), {"app": group[0], "state": "awake", "seconds": 1.5})
        return Completed(command, 1 if "error" in said else 0, json.dumps(said), "")


@pytest.fixture
async def applied(there: LabOnFakeServer) -> LabOnFakeServer:
    there.write(LAB)
    await there.apply()
    return there


@pytest.fixture
def waker(applied: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch) -> Waker:
    monkeypatch.setattr("ez_homelab.waker_admin.ASKED_AGAIN", (0.0, 0.0))
    return Waker(applied)


async def status_of(there: LabOnFakeServer, name: str) -> AppStatus:
    return next(app for app in await there.lab.status() if app.name == name)


# --- wake and sleep --------------------------------------------------------------------------------------------


async def test_several_are_woken_together_and_each_group_once(applied: LabOnFakeServer, waker: Waker) -> None:
    moved = await applied.lab.wake(["wiki", "glances", "wiki"])
    assert [(one.app, one.group, one.server, one.state) for one in moved] == [
        ("wiki", "wiki", "core", "awake"),
        ("glances", "looking", "core", "awake"),
    ]
    assert sorted(waker.told) == ["wake looking", "wake wiki"]


async def test_a_group_is_named_by_its_own_name_too(applied: LabOnFakeServer, waker: Waker) -> None:
    moved = await applied.lab.wake(["calendar", "looking"])
    assert [(one.app, one.group) for one in moved] == [("calendar", "looking"), ("glances", "looking")]
    assert waker.told == ["wake looking"]


async def test_a_start_is_waited_for_as_long_as_its_group_may_take(applied: LabOnFakeServer, waker: Waker) -> None:
    applied.write(LAB.replace("group: looking}}", "group: looking, timeout: 1h}}"))
    await applied.lab.wake(["wiki", "glances"])
    assert waker.limits["looking"] - waker.limits["wiki"] == 2 * 3600 - 60


async def test_one_is_put_to_sleep(applied: LabOnFakeServer, waker: Waker) -> None:
    (moved,) = await applied.lab.sleep(["glances"])
    assert (moved.state, waker.told) == ("asleep", ["sleep looking"])


@pytest.mark.parametrize(
    ("name", "what", "cause", "fix"),
    [
        ("wiky", "there is no app called wiky in the lab", "", "did you mean wiki?"),
        ("prometheus", "prometheus never sleeps", "", ""),
        ("notes", "notes never sleeps", "homelab.yaml does not let it", "say `lazy: stop` for notes"),
    ],
)
async def test_what_cannot_be_woken_is_told_before_anything_is(
    applied: LabOnFakeServer, waker: Waker, name: str, what: str, cause: str, fix: str
) -> None:
    with pytest.raises(UsageError) as raised:
        await applied.lab.wake(["wiki", name])
    assert raised.value.what == what
    assert cause in raised.value.cause
    assert fix in raised.value.fix
    assert raised.value.cause or raised.value.fix
    assert waker.told == []


async def test_one_in_use_stays_awake(applied: LabOnFakeServer, waker: Waker) -> None:
    refusal = {"error": "wiki is in use: it stays awake", "kind": "in use", "fix": "try again when nobody uses it"}
    waker.says["sleep", "wiki"] = refusal
    with pytest.raises(AppInUseError, match="in use"):
        await applied.lab.sleep(["wiki"])


async def test_one_that_does_not_start_is_told_with_its_last_words(applied: LabOnFakeServer, waker: Waker) -> None:
    waker.says["wake", "wiki"] = {
        "error": "wiki has not started: wiki ended with exit status 1", "kind": "failed", "fix": "ez-homelab logs wiki",
    }  # fmt: skip
    with pytest.raises(WakerError) as raised:
        await applied.lab.wake(["wiki"])
    error = raised.value
    assert (error.what, error.fix) == ("wiki has not started: wiki ended with exit status 1", "ez-homelab logs wiki")
    assert error.evidence == "wiki: wiki says something"


async def test_where_one_fails_the_others_are_told_with_it(applied: LabOnFakeServer, waker: Waker) -> None:
    waker.says["wake", "wiki"] = {"error": "wiki has not started: it ended", "kind": "failed", "fix": "logs"}
    with pytest.raises(OnDemandError) as raised:
        await applied.lab.wake(["wiki", "glances", "calendar"])
    assert raised.value.what == "1 of 2 did not do as they were told: wiki has not started: it ended"
    assert [(one.app, one.state) for one in raised.value.done] == [("glances", "awake"), ("calendar", "awake")]
    told: Any = raised.value.to_dict()
    assert [one["app"] for one in told["done"]] == ["glances", "calendar"]
    assert [one["what"] for one in told["errors"]] == ["wiki has not started: it ended"]
    assert sorted(waker.told) == ["wake looking", "wake wiki"]


async def test_the_logs_of_each_app_of_a_group_that_does_not_start_are_named(
    applied: LabOnFakeServer, waker: Waker
) -> None:
    waker.says["wake", "looking"] = {"error": "looking has not started: it ended", "kind": "failed", "fix": "logs"}
    with pytest.raises(WakerError) as raised:
        await applied.lab.wake(["looking"])
    assert raised.value.fix == "ez-homelab logs glances, ez-homelab logs calendar"


async def test_every_one_that_fails_is_told(applied: LabOnFakeServer, waker: Waker) -> None:
    for group in waker.groups:
        waker.says["sleep", group] = {"error": f"{group} is kept awake at this hour", "kind": "hours", "fix": "wait"}
    with pytest.raises(OnDemandError) as raised:
        await applied.lab.sleep(["wiki", "glances"])
    assert raised.value.what.startswith("2 of 2 did not do as they were told: ")
    assert len(raised.value.to_dict()["errors"]) == 2  # type: ignore[arg-type]


async def test_a_waker_that_is_not_there(applied: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ez_homelab.waker_admin.ASKED_AGAIN", (0.0, 0.0))
    del applied.host.containers["waker"]
    with pytest.raises(WakerError, match="did not answer"):
        await applied.lab.wake(["wiki"])


@pytest.fixture
async def sablier(there: LabOnFakeServer) -> LabOnFakeServer:
    there.write(LAB.replace("builtin", "sablier"))
    await there.apply()
    return there


def started(there: LabOnFakeServer) -> list[str]:
    orders = (order for order in there.host.orders() if order.startswith("docker container st"))
    return [order.removeprefix("docker container ") for order in orders]


async def test_another_engine_takes_no_orders_so_containers_are_started_and_stopped(sablier: LabOnFakeServer) -> None:
    state = sablier.host.containers["wiki"]["State"]
    assert (await sablier.lab.sleep(["wiki"]))[0].state == "asleep"
    state |= {"Status": "exited"}
    assert (await sablier.lab.wake(["wiki"]))[0].state == "awake"
    assert started(sablier) == ["stop wiki", "start wiki"]
    assert (await sablier.lab.wake(["wiki"]))[0].state == "awake"
    assert started(sablier) == ["stop wiki", "start wiki"]


async def test_another_engine_whose_app_is_not_there_or_does_not_stop(
    sablier: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del sablier.host.containers["wiki"]
    with pytest.raises(HealthError, match="not there"):
        await sablier.lab.wake(["wiki"])
    sablier.host.answer(("docker", "container", "stop", "wiki"), status=1, stderr="No such container: wiki\n")
    with pytest.raises(CommandError, match="cannot stop wiki"):
        await sablier.lab.sleep(["wiki"])


# --- status ----------------------------------------------------------------------------------------------------


async def test_what_sleeps_is_told_with_what_the_waker_knows_of_it(applied: LabOnFakeServer, waker: Waker) -> None:
    wiki = await status_of(applied, "wiki")
    assert (wiki.state, wiki.evidence) == ("asleep", ASLEEP)
    assert wiki.on_demand is not None
    assert (wiki.on_demand.group, wiki.on_demand.since, wiki.on_demand.wakes) == ("wiki", 60.5, Wakes(3, 1.25, 2.5))
    assert (await status_of(applied, "prometheus")).on_demand is None
    statuses = await applied.lab.status()
    asleep = {app.name: app.on_demand.memory for app in statuses if app.on_demand}
    assert [*asleep] == ["wiki", "glances", "calendar"]
    assert memory_saved(statuses) == sum(asleep.values()) > 0


async def test_the_memory_saved_is_what_the_waker_tells_of_too(there: LabOnFakeServer) -> None:
    there.write(
        "version: 1\ndomain: lab.localhost\nstacks: {all: [{mediawiki: {lazy: stop}}, {dokuwiki: {lazy: stop}}]}\n"
    )
    await there.apply()
    settings = json.loads(there.host.files["/opt/stacks/core/config/waker/config/lazy.json"].content)
    told = {app["name"]: app["memory"] for app in settings["apps"]}
    statuses = [app for app in await there.lab.status() if app.on_demand]
    assert {app.name: app.on_demand.memory for app in statuses if app.on_demand} == told
    assert memory_saved(statuses) == sum(told.values()) > 0


@pytest.mark.parametrize(
    ("fields", "state", "evidence"),
    [
        ({"state": "failed", "reason": "wiki ended"}, "failed", "does not start: wiki ended"),
        ({"state": "waking"}, "starting", "it is being woken"),
        ({"state": "held"}, "asleep", f"{ASLEEP}; it is being changed"),
        ({"trouble": "the route file cannot be written"}, "asleep", f"{ASLEEP}; the route file cannot be written"),
    ],
)
async def test_what_the_waker_says_of_one_that_sleeps(
    applied: LabOnFakeServer, waker: Waker, fields: dict[str, Any], state: str, evidence: str
) -> None:
    waker.groups["wiki"] |= fields
    wiki = await status_of(applied, "wiki")
    assert (wiki.state, wiki.evidence) == (state, evidence)


async def test_one_that_runs_is_as_docker_says(applied: LabOnFakeServer, waker: Waker) -> None:
    applied.host.containers["wiki"]["State"] |= {"Status": "running", "Health": {"Status": "healthy"}}
    waker.groups["wiki"] |= {"state": "failed", "reason": "it was not ready in time"}
    wiki = await status_of(applied, "wiki")
    assert (wiki.state, wiki.evidence) == ("running", "healthy")


async def test_one_that_the_waker_has_found_ready_runs_before_docker_has_looked(
    applied: LabOnFakeServer, waker: Waker
) -> None:
    applied.host.containers["wiki"]["State"] |= {"Status": "running", "Health": {"Status": "starting"}}
    waker.groups["wiki"] |= {"state": "awake"}
    wiki = await status_of(applied, "wiki")
    assert (wiki.state, wiki.evidence) == ("running", "it was woken and answers")


async def test_a_waker_that_does_not_answer_is_evidence_and_no_failure(
    applied: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del applied.host.containers["waker"]
    wiki = await status_of(applied, "wiki")
    assert (wiki.state, wiki.evidence) == ("asleep", "stopped; the waker did not answer")
    assert wiki.on_demand is not None
    assert wiki.on_demand.wakes is None


async def test_one_that_the_waker_does_not_know(applied: LabOnFakeServer, waker: Waker) -> None:
    del waker.groups["wiki"]
    assert (await status_of(applied, "wiki")).evidence == "stopped; the waker does not know of it"


async def test_one_that_runs_does_so_whatever_the_waker_says(applied: LabOnFakeServer) -> None:
    applied.host.containers["wiki"]["State"] |= {"Status": "running", "Health": {"Status": "healthy"}}
    del applied.host.containers["waker"]
    assert (await status_of(applied, "wiki")).evidence == "healthy; the waker did not answer"


async def test_of_a_server_that_is_not_reached_nothing_is_told(applied: LabOnFakeServer, waker: Waker) -> None:
    applied.host.unreachable = "no route to host"
    assert {app.state for app in await applied.lab.status()} == {"unknown"}


async def test_another_engine_tells_nothing_but_what_docker_does(sablier: LabOnFakeServer) -> None:
    sablier.host.containers["wiki"]["State"] |= {"Status": "exited"}
    wiki = await status_of(sablier, "wiki")
    assert (wiki.state, wiki.evidence) == ("asleep", ASLEEP)
    assert wiki.on_demand is not None
    assert (wiki.on_demand.group, wiki.on_demand.since) == ("wiki", None)
    assert not [command for command in sablier.host.commands if "waker.admin" in command.argv]
