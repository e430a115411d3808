from __future__ import annotations

from dataclasses import replace

import pytest

from ez_homelab.config.model import AppInstance, Stack
from ez_homelab.observe import Unknown
from ez_homelab.observe.states import app_statuses
from ez_homelab.testing.make_lab import NOW, container_of, desired_of, make_lab, observed_as

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
