from __future__ import annotations

from dataclasses import replace

import pytest

from ez_homelab.config.model import AppInstance, Stack
from ez_homelab.observe import Unknown
from ez_homelab.observe.states import ASLEEP, app_statuses, held, state_of
from ez_homelab.render.desired import FINGERPRINT_LABEL, DesiredService
from ez_homelab.testing.make_lab import NOW, container_of, desired_of, make_lab, observed_as, replace_fields

DESIRED = desired_of(make_lab())


def test_every_app_in_the_order_of_the_lab_with_where_it_answers() -> None:
    statuses = app_statuses(DESIRED, observed_as(DESIRED))
    assert [(app.name, app.stack, app.state, app.address) for app in statuses] == [
        ("docker-socket-proxy", "core", "running", ""),
        ("gate", "core", "running", "https://auth.lab.localhost/"),
        ("traefik", "core", "running", ""),
        ("dokuwiki", "wiki", "running", "https://dokuwiki.lab.localhost/"),
        ("prometheus", "monitoring", "running", "https://prometheus.lab.localhost/"),
        ("node-exporter", "monitoring", "running", ""),
        ("glances", "monitoring", "running", "https://glances.lab.localhost/"),
    ]


def test_a_container_that_is_not_there_is_missing() -> None:
    found = {app.name: app for app in app_statuses(DESIRED, observed_as(DESIRED, missing={"glances"}))}
    assert (found["glances"].state, found["glances"].evidence) == ("missing", "no container")


def test_nothing_is_known_of_the_apps_of_an_unknown_server() -> None:
    states = app_statuses(DESIRED, {"core": Unknown("core", "no route to host", NOW)})
    assert {(app.state, app.evidence) for app in states} == {("unknown", "no route to host")}


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"health": "starting"}, "starting"),
        ({"state": "paused"}, "held"),
        ({"health": "unhealthy"}, "failed"),
        ({"state": "dead", "exit_code": 9}, "failed"),
    ],
)
def test_an_app_of_two_containers_is_as_well_as_the_worse(fields: dict[str, str], state: str) -> None:
    lab = desired_of(make_lab(stacks=[Stack("s", apps=(AppInstance("glances", "glances"),))]))
    server = lab.servers["core"]
    (glances,) = server.stacks[1].services
    second = replace(glances, name="glances-store")
    stacks = (server.stacks[0], replace(server.stacks[1], services=(glances, second)))
    desired = replace(lab, servers={"core": replace(server, stacks=stacks)})
    found = observed_as(lab, extra_containers=[replace(container_of(second), **fields)])
    assert app_statuses(desired, found)[-1].state == state


LAZY = replace(DESIRED.servers["core"].services[-1], wake_group="glances")


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"state": "exited", "exit_code": 143}, "asleep"),
        ({"state": "exited", "error": "no such program"}, "asleep"),
        ({"state": "exited", "stopped_by": "a run that was cut off"}, "asleep"),
        ({"state": "created"}, "asleep"),
        ({}, "running"),
        ({"health": "starting"}, "starting"),
        ({"health": "unhealthy"}, "failed"),
        ({"state": "paused"}, "held"),
        ({"state": "dead"}, "failed"),
    ],
)
def test_one_that_sleeps(fields: dict[str, object], state: str) -> None:
    assert state_of(LAZY, replace_fields(container_of(LAZY), fields))[0] == state


def test_an_app_of_which_some_containers_sleep_is_as_the_others_are() -> None:
    lab = desired_of(make_lab(stacks=[Stack("s", apps=(AppInstance("glances", "glances"),))]))
    server = lab.servers["core"]
    services = tuple(replace(LAZY, name=name, stack="s") for name in ("glances", "glances-store"))
    stacks = (server.stacks[0], replace(server.stacks[1], services=services))
    desired = replace(lab, servers={"core": replace(server, stacks=stacks)})

    def told(**fields: str) -> tuple[str, str]:
        asleep = {"glances-store": {"state": "exited"}, "glances": fields}
        app = app_statuses(desired, observed_as(desired, containers=asleep))[-1]
        return app.state, app.evidence

    assert told() == ("running", "healthy")
    assert told(health="starting")[0] == "starting"
    assert told(health="unhealthy")[0] == "failed"
    assert told(state="exited") == ("asleep", ASLEEP)


ALWAYS_ON = DESIRED.servers["core"].services[-1]
BY_OVERRIDE = "stopped by a person, or ended by itself (`restart: no`)"


@pytest.mark.parametrize(
    ("service", "fields", "words"),
    [
        (LAZY, {"restart_policy": "no"}, ""),
        (LAZY, {"restart_policy": "unless-stopped"}, ""),
        (ALWAYS_ON, {"restart_policy": "unless-stopped"}, "stopped by a person"),
        # An override says so: it is as it is wanted.
        (ALWAYS_ON, {"restart_policy": "no"}, BY_OVERRIDE),
        (ALWAYS_ON, {"restart_policy": "no", "state": "paused"}, "paused by a person"),
        # It was lazy when it was made, or is not told from that.
        (ALWAYS_ON, {"restart_policy": "no", "fingerprint": "before"}, ""),
        (ALWAYS_ON, {"restart_policy": "no", "fingerprint": "before", "state": "paused"}, "paused by a person"),
        # What sleeps has no route on its labels.
        (ALWAYS_ON, {"restart_policy": "no", "labels": {FINGERPRINT_LABEL: "before", "traefik.enable": "true"}},
         BY_OVERRIDE),
    ],
)  # fmt: skip
def test_who_stopped_what_has_ended(service: DesiredService, fields: dict[str, object], words: str) -> None:
    container = replace_fields(container_of(service), {"state": "exited", **fields})
    assert held(service, container) == words
    if service is ALWAYS_ON:
        assert state_of(service, container)[0] == ("held" if words else "failed")
