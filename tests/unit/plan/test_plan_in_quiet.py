"""What sleeps: left alone where it is as desired, held while it is changed, and never taken for stopped by a person."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sleeping_apps import LAZY, with_service, with_sleeping

from ez_homelab.config.model import AppInstance, Stack
from ez_homelab.observe import AppliedRecord, ObservedServer
from ez_homelab.plan import Action, Plan, make_plan
from ez_homelab.plan.drift import find_drift
from ez_homelab.plan.quiet import needed_by
from ez_homelab.plan.stages import image_stage, unapproved
from ez_homelab.render.desired import DesiredService
from ez_homelab.render.secrets import DueRotation
from ez_homelab.secrets.value import Secret
from ez_homelab.testing.make_lab import desired_of, make_lab, observed_as

if TYPE_CHECKING:
    from ez_homelab.render.desired import Desired

ALWAYS_ON = desired_of(make_lab(stacks=(Stack("wiki", apps=(AppInstance("dokuwiki", "dokuwiki"),)),)))
WIKI = next(service for service in ALWAYS_ON.servers["core"].services if service.name == "dokuwiki")
DATABASE = replace(WIKI, name="dokuwiki-db", image=f"db:1@sha256:{'d' * 64}", image_name="db:1", fingerprint="d")
GROUP = {"dokuwiki": ("dokuwiki-db", "dokuwiki")}
BOTH = with_service(ALWAYS_ON, DATABASE)
DESIRED = with_sleeping(BOTH, GROUP)
ASLEEP = {"state": "exited", "health": "none", "exit_code": 143}
CLEAR = "core:volume:traefik-routes:clear"
HOLD, RELEASE = "core:on-demand:dokuwiki:hold", "core:on-demand:dokuwiki:release"


def found(desired: Desired = DESIRED, **containers: dict[str, Any]) -> ObservedServer:
    """The server as desired, with these containers otherwise; `_` stands for `-`."""
    return observed_as(desired, containers={name.replace("_", "-"): one for name, one in containers.items()})["core"]


def planned(seen: ObservedServer, desired: Desired = DESIRED, **options: Any) -> Plan:
    return make_plan(desired, {"core": seen}, **options)


def by_id(plan: Plan) -> dict[str, Action]:
    return {action.id: action for action in plan.actions}


@pytest.mark.parametrize(
    "fields",
    [ASLEEP, {"state": "created", "health": "none"}, {"state": "exited", "health": "none", "error": "no such program"}],
)
def test_what_sleeps_is_left_alone_however_it_ended(fields: dict[str, Any]) -> None:
    seen = found(dokuwiki=fields, dokuwiki_db=fields)
    for start_held in (False, True):
        plan = planned(seen, start_held=start_held)
        assert (plan.actions, plan.held) == ((), ())
    assert find_drift(DESIRED, {"core": seen}) == ()


def test_what_was_always_on_when_a_person_stopped_it_sleeps_once_the_lab_lets_it() -> None:
    plan = planned(found(dokuwiki={**ASLEEP, "restart_policy": "unless-stopped", "fingerprint": "before"}))
    assert plan.held == ()
    assert by_id(plan)["core:service:wiki/dokuwiki"].verb == "recreate"


def test_what_is_paused_is_changed_with_the_rest_of_its_group_as_the_waker_ends_the_pause() -> None:
    paused = {"state": "paused", "fingerprint": "before"}
    alone = planned(found(dokuwiki=paused))
    assert [one.name for one in alone.held] == ["wiki/dokuwiki"]
    assert not alone.actions
    both = planned(found(dokuwiki=paused, dokuwiki_db={"fingerprint": "before"}))
    assert both.held == ()
    action = by_id(both)["core:service:wiki/dokuwiki"]
    assert (action.verb, action.settings) == ("recreate", {"paused": "yes"})


def test_its_data_is_copied_before_another_version_starts_on_it_with_the_rest_of_its_group() -> None:
    server = DESIRED.servers["core"]
    volumes = tuple(replace(volume, volume_class="database") for volume in server.volumes)
    desired = replace(DESIRED, servers={"core": replace(server, volumes=volumes)})
    paused = {"state": "paused", "fingerprint": "before", "image": "dokuwiki:1", "image_id": "sha256:old"}
    copy = f"core:volume:{WIKI.volumes[0]}:copy"
    assert copy not in by_id(planned(found(dokuwiki=paused), desired))
    both = by_id(planned(found(dokuwiki=paused, dokuwiki_db={"fingerprint": "before"}), desired))
    assert copy in both["core:service:wiki/dokuwiki"].waits_for


def test_what_sleeps_and_is_not_to_any_longer_is_made_anew_and_not_taken_for_stopped_by_a_person() -> None:
    plan = planned(found(dokuwiki=ASLEEP, dokuwiki_db=ASLEEP), BOTH)
    assert plan.held == ()
    actions = by_id(plan)
    assert actions["core:service:wiki/dokuwiki"].verb == "recreate"
    # The waker would stop what it finds half started.
    assert "core:service:core/waker" in actions["core:service:wiki/dokuwiki"].waits_for


def test_what_leaves_a_waker_that_stays_waits_until_that_knows() -> None:
    other = with_sleeping(BOTH, {"dokuwiki": ("dokuwiki",)})
    plan = planned(found(dokuwiki_db=ASLEEP), other)
    assert f"core:file:{LAZY}" not in by_id(plan)  # its text is made of the groups' names here
    seen = found(dokuwiki_db=ASLEEP)
    files = {**seen.files, LAZY: replace(seen.files[LAZY], sha256="before")}  # type: ignore[type-var]
    plan = planned(replace(seen, files=files), other)
    assert f"core:file:{LAZY}" in by_id(plan)["core:service:wiki/dokuwiki-db"].waits_for


def test_the_routes_of_a_waker_that_goes_are_cleared_before_anybody_else_gets_them() -> None:
    actions = by_id(planned(found(), BOTH))
    clear = actions[CLEAR]
    assert clear.waits_for == ("core:service:core/waker",)
    assert clear.settings["nudge"].endswith("/dynamic/nudge.yml")
    assert CLEAR in actions["core:service:wiki/dokuwiki"].waits_for


@pytest.mark.parametrize("fields", [{}, {"fingerprint": "before"}])
def test_routes_that_no_waker_keeps_any_more_are_cleared_however_it_went(fields: dict[str, Any]) -> None:
    left = replace(observed_as(BOTH, containers={"traefik": fields})["core"], left_routes=("app-dokuwiki.yml",))
    actions = by_id(planned(left, BOTH))
    assert actions[CLEAR].waits_for == ()
    # A Traefik that is made anew never serves them.
    assert [one.waits_for for one in actions.values() if one.id != CLEAR] == [(CLEAR,)] * len(fields)


def test_a_waker_keeps_its_routes_itself() -> None:
    assert not planned(replace(found(), left_routes=("app-dokuwiki.yml",)))


def test_what_sleeps_goes_when_no_waker_knows_it_any_more() -> None:
    other = with_sleeping(with_service(ALWAYS_ON, replace(DATABASE, name="notes")), {"notes": ("notes",)})
    seen = found(dokuwiki_db=ASLEEP)
    before = {**seen.files, LAZY: replace(seen.files[LAZY], sha256="before")}  # type: ignore[type-var]
    remove = by_id(planned(replace(seen, files=before), other))["core:service:wiki/dokuwiki-db"]
    assert (remove.verb, remove.waits_for) == ("remove", (f"core:file:{LAZY}",))
    remove = by_id(planned(seen, ALWAYS_ON))["core:service:wiki/dokuwiki-db"]
    assert (remove.verb, remove.waits_for) == ("remove", (CLEAR, "core:service:core/waker"))


@pytest.mark.parametrize("fields", [{}, ASLEEP])
def test_a_change_is_made_in_quiet_and_planned_alike_whether_it_sleeps_or_not(fields: dict[str, Any]) -> None:
    seen = found(dokuwiki={**fields, "fingerprint": "before"}, dokuwiki_db=fields)
    plan = planned(seen)
    assert [action.id for action in plan.actions] == [HOLD, "core:service:wiki/dokuwiki", RELEASE]
    hold, change, release = plan.actions
    assert (hold.waits_for, change.waits_for, release.waits_for) == ((), (HOLD,), (HOLD, change.id))
    assert hold.settings == {"seconds": "300"}
    awake = planned(found(dokuwiki={"fingerprint": "before"}))
    assert plan.hash == awake.hash


def test_the_text_of_such_a_plan() -> None:
    text = planned(found(dokuwiki={**ASLEEP, "fingerprint": "before"})).text()
    assert text.splitlines() == [
        text.splitlines()[0],
        "",
        "core",
        "  ~ on-demand   dokuwiki  hold: dokuwiki is changed in quiet: whoever comes waits",
        f"  ~ service     wiki/dokuwiki  recreate: definition changed  (down about {WIKI.expected_downtime:.0f} s)",
        "  ~ on-demand   dokuwiki  release: whoever waited gets in, and what slept sleeps again",
    ]
    assert text.splitlines()[0].endswith(": 1 service")


def test_what_starts_later_waits_for_what_starts_before_it() -> None:
    plan = planned(found(dokuwiki={"fingerprint": "before"}, dokuwiki_db={"fingerprint": "before"}))
    assert by_id(plan)["core:service:wiki/dokuwiki"].waits_for == (HOLD, "core:service:wiki/dokuwiki-db")


def test_a_new_group_waits_for_the_waker_and_for_what_the_waker_reads() -> None:
    before = observed_as(BOTH)["core"]
    plan = planned(replace(before, files={**before.files, LAZY: None}))
    hold = by_id(plan)[HOLD]
    assert {"core:service:core/waker", f"core:file:{LAZY}"} <= {*hold.waits_for}
    assert {action.name for action in plan.actions if HOLD in action.waits_for and action.kind == "service"} == {
        "wiki/dokuwiki", "wiki/dokuwiki-db",
    }  # fmt: skip


def test_nobody_is_held_for_a_download() -> None:
    seen = found(dokuwiki={"fingerprint": "before"})
    without = {name: image for name, image in seen.images.items() if "dokuwiki/dokuwiki" not in name}
    plan = planned(replace(seen, images=without))
    assert by_id(plan)[HOLD].waits_for == (f"core:image:{WIKI.image_name}",)
    assert [action.kind for action in image_stage(plan).actions] == ["image"]
    assert unapproved(plan, planned(seen)) == ()


def test_its_data_is_copied_in_quiet() -> None:
    volume = WIKI.volumes[0]
    server = DESIRED.servers["core"]
    volumes = tuple(replace(one, volume_class="database" if one.name == volume else "") for one in server.volumes)
    desired = replace(DESIRED, servers={"core": replace(server, volumes=volumes)})
    old = {"image": "dokuwiki:1", "image_id": "sha256:old", "fingerprint": "before"}
    plans = []
    for state in ({}, ASLEEP):
        seen = found(desired, dokuwiki={**old, **state}, dokuwiki_db=state)
        record = AppliedRecord(images={"dokuwiki": "dokuwiki:1"})
        plans.append(planned(replace(seen, applied=record), desired))
    copy = by_id(plans[0])[f"core:volume:{volume}:copy"]
    assert copy.waits_for == (HOLD,)
    # It may wake or fall asleep before it is held.
    assert (copy.settings["stop"], copy.settings["again"]) == ("dokuwiki-db,dokuwiki", "dokuwiki-db")
    assert plans[0].hash == plans[1].hash
    assert copy.id in by_id(plans[0])[RELEASE].waits_for


def test_a_secret_is_told_in_quiet_and_the_plan_says_that_it_is_started_for_it() -> None:
    rotation = DueRotation("core", "wiki", "dokuwiki", "admin", "dokuwiki", ("set",), Secret("x"))
    plan = planned(found(dokuwiki=ASLEEP, dokuwiki_db=ASLEEP), rotations=[rotation])
    hold, told, release = plan.actions
    assert told.waits_for == (HOLD,)
    assert told.id in release.waits_for
    assert "it is started to be told a new secret" in hold.line()
    assert hold.settings["seconds"] == f"{2 * (WIKI.ready_within + 10) + 120:.0f}"


def test_the_lease_has_room_for_all_that_is_done() -> None:
    slow = with_sleeping(with_service(ALWAYS_ON, replace(DATABASE, ready_within=900.0)), GROUP)
    plan = planned(found(slow, dokuwiki={"fingerprint": "before"}), slow)
    assert by_id(plan)[HOLD].settings["seconds"] == f"{900 + 10 + WIKI.ready_within + 10:.0f}"
    endless = with_sleeping(with_service(ALWAYS_ON, replace(DATABASE, ready_within=9000.0)), GROUP)
    plan = planned(found(endless, dokuwiki={"fingerprint": "before"}), endless)
    assert by_id(plan)[HOLD].settings["seconds"] == "3600"


def test_with_another_engine_nobody_is_held() -> None:
    desired = with_sleeping(BOTH, GROUP, waker=False)
    plan = planned(found(desired, dokuwiki={**ASLEEP, "fingerprint": "before"}), desired)
    assert [action.id for action in plan.actions] == ["core:service:wiki/dokuwiki"]


def test_where_a_person_stopped_the_waker_it_is_quiet_already() -> None:
    stopped = {"state": "exited", "health": "none"}
    seen = found(waker=stopped, dokuwiki={**ASLEEP, "fingerprint": "before"})
    assert [action.id for action in planned(seen).actions] == ["core:service:wiki/dokuwiki"]
    assert HOLD in by_id(planned(seen, start_held=True))


def test_where_a_person_stopped_traefik_nobody_comes() -> None:
    stopped = {"state": "exited", "health": "none"}
    seen = found(traefik=stopped, dokuwiki={**ASLEEP, "fingerprint": "before"})
    assert [action.id for action in planned(seen).actions] == ["core:service:wiki/dokuwiki"]
    assert HOLD in by_id(planned(seen, start_held=True))


def test_one_that_never_sleeps_and_that_docker_is_not_to_restart_stays_as_a_person_left_it() -> None:
    stopped = observed_as(ALWAYS_ON, containers={"dokuwiki": {**ASLEEP, "restart_policy": "no"}})["core"]
    plan = planned(stopped, ALWAYS_ON)
    assert (plan.actions, [held.name for held in plan.held]) == ((), ["wiki/dokuwiki"])


def test_one_that_a_person_paused_is_left_alone_and_one_that_is_ill_is_restarted() -> None:
    paused = found(dokuwiki={"state": "paused"})
    plan = planned(paused)
    assert plan.actions == ()
    assert [(held.name, held.reason) for held in plan.held] == [("wiki/dokuwiki", "paused by a person")]
    assert [row.kind for row in find_drift(DESIRED, {"core": paused})] == ["held"]
    action = by_id(planned(paused, start_held=True))["core:service:wiki/dokuwiki"]
    assert (action.verb, action.settings) == ("start", {"paused": "yes"})
    assert by_id(planned(found(dokuwiki={"health": "unhealthy"})))["core:service:wiki/dokuwiki"].verb == "restart"


def test_a_network_that_one_lacks_is_joined_while_it_sleeps() -> None:
    seen = found(dokuwiki={**ASLEEP, "networks": {}})
    assert {action.verb for action in planned(seen).actions} == {"connect"}


def test_what_has_to_run_first() -> None:
    server = DESIRED.servers["core"]
    assert [service.name for service in needed_by(server, ["dokuwiki"])] == ["dokuwiki-db"]
    assert needed_by(server, ["dokuwiki-db"]) == []
    assert needed_by(server, ["dokuwiki", "dokuwiki-db"]) == []
    assert needed_by(server, ["traefik"]) == []


# --- containers that share the network of another ---------------------------------------------------------------


def test_what_shares_a_network_is_made_anew_with_it() -> None:
    plan = planned(found(traefik={"fingerprint": "before"}))
    waker = by_id(plan)["core:service:core/waker"]
    assert (waker.verb, waker.cause) == ("recreate", "the network it shares is made anew")
    assert waker.waits_for == ("core:service:core/traefik",)


def test_what_shares_the_network_of_a_container_that_is_gone_is_made_anew() -> None:
    assert not planned(found())
    (action,) = planned(found(waker={"network_mode": "container:of-before"})).actions
    assert (action.id, action.cause) == ("core:service:core/waker", "the network it shares is gone")


def test_what_shares_a_network_that_starts_anew_starts_anew() -> None:
    plan = planned(found(traefik={"health": "unhealthy"}))
    waker = by_id(plan)["core:service:core/waker"]
    assert (waker.verb, waker.waits_for) == ("restart", ("core:service:core/traefik",))


def test_one_that_a_person_stopped_is_left_alone_whatever_becomes_of_the_network() -> None:
    stopped = {"state": "exited", "health": "none"}
    plan = planned(found(traefik={"fingerprint": "before"}, waker=stopped))
    assert [held.name for held in plan.held] == ["core/waker"]
    assert "core:service:core/waker" not in by_id(plan)
    start = planned(found(traefik={"fingerprint": "before"}, waker=stopped), start_held=True)
    assert by_id(start)["core:service:core/waker"].verb == "recreate"


def test_the_waker_is_a_service_like_any_other() -> None:
    (waker,) = [one for one in DESIRED.servers["core"].services if one.name == "waker"]
    assert isinstance(waker, DesiredService)
    assert waker.wake_group == ""
