"""What is planned for one thing that is not as it should be, line by line."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ez_homelab.config.model import AppInstance, Limits, Stack
from ez_homelab.errors import PrerequisiteError
from ez_homelab.hosts import FileState
from ez_homelab.images.editions import BASE_TAG
from ez_homelab.images.reference import as_listed
from ez_homelab.observe import (
    AppliedRecord,
    ObservedCertificate,
    ObservedNetwork,
    ObservedServer,
    ObservedVolume,
    Unknown,
)
from ez_homelab.plan import Plan, make_plan
from ez_homelab.testing.make_lab import NOW, container_of, desired_of, make_lab, network_id, observed_as
from ez_homelab.tls.certificate import DamagedCertificate

DESIRED = desired_of(make_lab())
SERVER = DESIRED.servers["core"]
MADE = observed_as(DESIRED)["core"]
WIKI = next(service for service in SERVER.services if service.name == "dokuwiki")
LISTED = as_listed(WIKI.image)
COMPOSE = "/opt/stacks/wiki/compose.yaml"
ENV = "/opt/stacks/wiki/.env"
FILE = next(file for file in SERVER.files if file.path == COMPOSE)
STATE = FileState(FILE.sha256, 0o644, 0, 0)
LEFT_OVER = "/opt/stacks/old/compose.yaml"
AS_A_PERSON_LEFT_IT = FileState("ab" * 32, 0o644, 0, 0)


def planned(found: ObservedServer, **options: Any) -> Plan:
    return make_plan(DESIRED, {"core": found}, **options)


def lines(plan: Plan) -> list[str]:
    return [" ".join(action.line().split()) for action in plan.actions]


def described(name: str, **fields: Any) -> ObservedServer:
    return observed_as(DESIRED, containers={name: fields})["core"]


def test_a_server_as_desired_needs_nothing() -> None:
    plan = planned(MADE)
    assert not plan
    assert plan.text() == "Nothing to do: the servers are as the lab file says.\n"


CASES: dict[str, tuple[ObservedServer, list[str]]] = {
    "container missing": (
        observed_as(DESIRED, missing={"dokuwiki"})["core"],
        ["+ service wiki/dokuwiki create: missing"],
    ),
    "definition changed": (
        described("dokuwiki", fingerprint="before"),
        ["~ service wiki/dokuwiki recreate: definition changed (down about 17 s)"],
    ),
    "image changed": (
        described("dokuwiki", fingerprint="before", image="dokuwiki:1"),
        [f"~ service wiki/dokuwiki recreate: image dokuwiki:1 -> {WIKI.image_name} (down about 17 s)"],
    ),
    "image from packages before, from a registry now": (
        described("dokuwiki", fingerprint="before", image="ez-homelab/dokuwiki:1"),
        [
            ("! service wiki/dokuwiki recreate: image source ez-homelab/dokuwiki:1 ->"
             f" {WIKI.image_name}; the other version may not read its data (down about 17 s)")
        ],
    ),
    "made by hand from an edited file": (
        replace(
            described("dokuwiki", labels={**container_of(WIKI).labels, "com.docker.compose.config-hash": "other"}),
            applied=AppliedRecord(definitions={"dokuwiki": "ours"}),
        ),
        ["~ service wiki/dokuwiki recreate: made by hand from another definition (down about 17 s)"],
    ),
    "made for another stack": (
        described("dokuwiki", labels={**container_of(WIKI).labels, "com.docker.compose.project": "notes"}),
        ["~ service wiki/dokuwiki recreate: moves here from the stack notes (down about 17 s)"],
    ),
    "network missing, its containers still know the old one": (
        observed_as(DESIRED, missing_networks={"edge-dokuwiki"})["core"],
        [
            "+ network edge-dokuwiki create: missing",
            "~ service core/traefik recreate: a network it was made with is gone (down about 12 s)",
            "~ service wiki/dokuwiki recreate: a network it was made with is gone (down about 17 s)",
        ],
    ),
    "network made anew by somebody": (
        replace(MADE, networks=tuple(
            replace(network, id="another") if network.name == "homelab-network" else network
            for network in MADE.networks
        )),
        [
            "~ service monitoring/prometheus recreate: a network it was made with is gone (down about 17 s)",
            "~ service monitoring/node-exporter recreate: a network it was made with is gone (down about 17 s)",
        ],
    ),
    "not connected": (
        described("dokuwiki", networks={}),
        ["+ attachment wiki/dokuwiki on edge-dokuwiki connect: not connected"],
    ),
    "Traefik not connected": (
        described("traefik", networks={name: network_id(name) for name in ("traefik-network", "socket-proxy",
                                       "edge-dokuwiki", "edge-gate", "edge-glances")}),
        ["+ attachment core/traefik on edge-prometheus connect: not connected"],
    ),
    "on the network of another app": (
        described("dokuwiki", networks={name: network_id(name) for name in ("edge-dokuwiki", "edge-glances")}),
        ["- attachment wiki/dokuwiki on edge-glances disconnect: it is another app's own network"],
    ),
    "ill and not connected": (
        described("dokuwiki", health="unhealthy", networks={}),
        [
            "~ service wiki/dokuwiki restart: its health check fails (down about 17 s)",
            "+ attachment wiki/dokuwiki on edge-dokuwiki connect: not connected",
        ],
    ),
    "on a shared network by a person's hand": (
        described("dokuwiki", networks={**container_of(WIKI).networks, "media-network": network_id("media-network")}),
        [],
    ),
    "file missing": (
        replace(observed_as(DESIRED, files={COMPOSE: None})["core"], applied=replace(MADE.applied, files={})),
        [f"+ file {COMPOSE} write: missing"],
    ),
    "file deleted": (
        observed_as(DESIRED, files={COMPOSE: None})["core"],
        [f"+ file {COMPOSE} write: deleted since the last apply"],
    ),
    "file of an earlier apply": (
        observed_as(DESIRED, files={COMPOSE: AS_A_PERSON_LEFT_IT}, applied={COMPOSE: ("ab" * 32,)})["core"],
        [f"~ file {COMPOSE} replace: content changed"],
    ),
    "file edited": (
        observed_as(DESIRED, files={COMPOSE: AS_A_PERSON_LEFT_IT})["core"],
        [f"~ file {COMPOSE} replace: edited on the server since the last apply; that text is kept aside"],
    ),
    "mode": (
        observed_as(DESIRED, files={COMPOSE: replace(STATE, mode=0o666)})["core"],
        [f"~ file {COMPOSE} replace: mode is 0666, should be 0644"],
    ),
    "owner": (
        observed_as(DESIRED, files={COMPOSE: replace(STATE, uid=1000, gid=100)})["core"],
        [f"~ file {COMPOSE} replace: owner is 1000:100, should be 0:0"],
    ),
    "left over": (
        observed_as(DESIRED, files={LEFT_OVER: AS_A_PERSON_LEFT_IT}, applied={LEFT_OVER: ("ab" * 32,)})["core"],
        [f"- file {LEFT_OVER} remove: nothing in the lab uses it"],
    ),
    "left over and edited": (
        observed_as(DESIRED, files={LEFT_OVER: AS_A_PERSON_LEFT_IT}, applied={LEFT_OVER: ("cd" * 32,)})["core"],
        [(f"- file {LEFT_OVER} remove: nothing in the lab uses it; "
         "edited on the server since the last apply; that text is kept aside")],
    ),
    "left over and gone already": (
        observed_as(DESIRED, files={LEFT_OVER: None}, applied={LEFT_OVER: ("ab" * 32,)})["core"],
        [],
    ),
    "image missing": (
        observed_as(DESIRED, missing_images={LISTED})["core"],
        [f"+ image {WIKI.image_name} pull: not on the server"],
    ),
    "volume missing": (
        observed_as(DESIRED, missing_volumes={"dokuwiki-storage"})["core"],
        ["+ volume dokuwiki-storage create: missing"],
    ),
    "volume of another owner": (
        replace(MADE, volumes=tuple(ObservedVolume(item.name, "0:0", True) for item in MADE.volumes)),
        [
            "~ volume gate-data own: its folder belongs to 0:0, the app runs as 65531:65531",
            "~ volume traefik-routes own: its folder belongs to 0:0, the app runs as 65532:65532",
            "~ volume dokuwiki-storage own: its folder belongs to 0:0, the app runs as 1000:1000",
            "~ volume prometheus-data own: its folder belongs to 0:0, the app runs as 65534:65534",
        ],
    ),
    "no authority": (
        replace(MADE, certificate=ObservedCertificate(None, None)),
        [
            "+ authority lab.localhost create: this lab has none yet",
            "+ certificate lab.localhost issue: there is no certificate yet",
        ],
    ),
    "certificate damaged": (
        replace(MADE, certificate=replace(MADE.certificate, served=DamagedCertificate("it cannot be read"))),
        ["~ certificate lab.localhost renew: the certificate is damaged: it cannot be read"],
    ),
    "certificate nearly over": (
        replace(MADE, at=NOW + timedelta(days=60)),
        ["~ certificate lab.localhost renew: less than a third of the certificate's life is left: 29 of 90 days"],
    ),
    "certificate has more than a third of its life": (replace(MADE, at=NOW + timedelta(days=58)), []),
    "authority over": (
        replace(MADE, at=NOW + timedelta(days=4000)),
        [
            ("! authority lab.localhost replace: it expired on 2035-12-29; "
            "every device must trust the new one (ez-homelab trust)"),
            "~ certificate lab.localhost renew: the certificate was issued by another certificate authority",
        ],
    ),
    "never started": (
        described("dokuwiki", state="created", health="none", networks={"edge-dokuwiki": ""}),
        ["~ service wiki/dokuwiki start: never started"],
    ),
    "could not start": (
        described("dokuwiki", state="exited", health="none", error="no such program"),
        ["~ service wiki/dokuwiki start: did not start: no such program"],
    ),
    "crashes": (
        described("dokuwiki", state="restarting", health="none", exit_code=7),
        ["~ service wiki/dokuwiki restart: crashes at its start (down about 17 s)"],
    ),
    "unhealthy": (
        described("dokuwiki", health="unhealthy"),
        ["~ service wiki/dokuwiki restart: its health check fails (down about 17 s)"],
    ),
    "dead": (
        described("dokuwiki", state="dead", health="none"),
        ["~ service wiki/dokuwiki recreate: Docker calls it dead (down about 17 s)"],
    ),
    "still starting": (described("dokuwiki", health="starting"), []),
    "without a health check": (described("dokuwiki", health="none"), []),
    "no longer declared": (
        observed_as(DESIRED, extra_containers=[replace(container_of(WIKI), name="notes")])["core"],
        ["- service wiki/notes remove: no longer in homelab.yaml (its data stays)"],
    ),
    "somebody else's container and networks": (
        observed_as(
            DESIRED,
            extra_containers=[replace(container_of(WIKI), name="by-hand", labels={}, networks={"edge-by-hand": "x"})],
            extra_networks=[ObservedNetwork("x", "edge-by-hand", ("172.20.0.0/16",), False, managed=False)],
        )["core"],
        [],
    ),
    "Traefik on an edge network made by hand": (
        observed_as(
            DESIRED,
            containers={"traefik": {"networks": {**next(c for c in MADE.containers if c.name == "traefik").networks,
                                                 "edge-by-hand": "x"}}},
            extra_networks=[ObservedNetwork("x", "edge-by-hand", ("172.20.0.0/16",), False, managed=False)],
        )["core"],
        [],
    ),
    "a network of ours that nothing uses": (
        observed_as(
            DESIRED, extra_networks=[ObservedNetwork("x", "edge-gone", ("10.201.9.0/26",), False, managed=True)]
        )["core"],
        ["- network edge-gone remove: nothing in the lab uses it"],
    ),
    "a network of ours that somebody else uses": (
        observed_as(
            DESIRED,
            extra_networks=[ObservedNetwork("x", "edge-gone", ("10.201.9.0/26",), False, managed=True)],
            extra_containers=[replace(container_of(WIKI), name="by-hand", labels={}, networks={"edge-gone": "x"})],
        )["core"],
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_planned(case: str) -> None:
    found, expected = CASES[case]
    assert lines(planned(found)) == expected


def waits(plan: Plan, of: str) -> set[str]:
    return {earlier.partition(":")[2] for earlier in next(a for a in plan.actions if of in a.id).waits_for}


def test_containers_wait_for_what_they_are_made_of() -> None:
    nothing = replace(MADE, containers=(), networks=(), volumes=(), images={}, files=dict.fromkeys(MADE.files),
                      certificate=ObservedCertificate(None, None))  # fmt: skip
    plan = planned(nothing)
    assert waits(plan, "service:wiki/dokuwiki") == {
        f"image:{WIKI.image_name}", "network:edge-dokuwiki", "volume:dokuwiki-storage",
        f"file:{COMPOSE}", f"file:{ENV}", "file:/opt/stacks/wiki/.ez-homelab",
        *(f"file:/opt/stacks/core/config/gate/config/{name}.json" for name in ("policy", "people")),
    }, "also for the word on who may open it"  # fmt: skip
    assert not any("config/gate" in name for name in waits(plan, "service:monitoring/node-exporter"))
    traefik = waits(plan, "service:core/traefik")
    assert {"service:core/docker-socket-proxy", "certificate:lab.localhost", "network:edge-glances"} <= traefik
    assert "file:/opt/stacks/wiki/compose.yaml" not in traefik
    assert waits(plan, f"file:{COMPOSE}") == {"file:/opt/stacks/wiki/.ez-homelab"}
    assert waits(plan, "certificate:") == {"authority:lab.localhost", "file:/opt/stacks/core/.ez-homelab"}
    assert all(action.downtime == 0 and not action.destructive for action in plan.actions)


def test_an_edition_waits_for_its_base_and_a_pulled_image_for_nothing() -> None:
    packages = desired_of(make_lab(images="packages"))
    plan = make_plan(packages, {"core": replace(observed_as(packages)["core"], images={})})
    assert plan.actions[0].name == BASE_TAG
    assert {earlier for action in plan.actions[1:] for earlier in action.waits_for} == {f"core:image:{BASE_TAG}"}
    with_base = make_plan(packages, {"core": replace(observed_as(packages)["core"], images={BASE_TAG: "sha256:x"})})
    assert [action.waits_for for action in with_base.actions] == [()] * 8
    pulled = planned(replace(MADE, images={}))
    assert [(action.verb, action.waits_for) for action in pulled.actions] == [("pull", ())] * 7


def test_a_stack_keeps_its_files_until_the_new_images_are_there() -> None:
    outdated = {**MADE.files, COMPOSE: AS_A_PERSON_LEFT_IT, ENV: None}
    images = {reference: image for reference, image in MADE.images.items() if reference != LISTED}
    plan = planned(replace(MADE, files=outdated, images=images))
    waits = {action.name: action.waits_for for action in plan.actions if action.kind == "file"}
    assert waits == {COMPOSE: (f"core:image:{WIKI.image_name}",), ENV: ()}


def test_an_unneeded_network_goes_after_traefik_has_left_it() -> None:
    gone = ObservedNetwork("x", "edge-gone", ("10.201.9.0/26",), False, managed=True)
    traefik = next(container for container in MADE.containers if container.name == "traefik")
    there = observed_as(DESIRED, containers={"traefik": {"networks": {**traefik.networks, "edge-gone": "x"}}},
                        extra_networks=[gone])["core"]  # fmt: skip
    plan = planned(there)
    assert lines(plan) == [
        "- attachment core/traefik on edge-gone disconnect: the app behind it is gone",
        "- network edge-gone remove: nothing in the lab uses it",
    ]
    assert waits(plan, "network:edge-gone") == {"attachment:core/traefik on edge-gone"}


def test_files_go_after_the_containers_that_read_them_and_the_marker_last() -> None:
    without = make_lab(stacks=[Stack("monitoring", apps=(AppInstance("glances", "glances"),))])
    plan = make_plan(desired_of(without), {"core": MADE})
    assert waits(plan, f"file:{COMPOSE}") == {"service:wiki/dokuwiki"}
    marker = waits(plan, "file:/opt/stacks/wiki/.ez-homelab")
    assert marker == {"service:wiki/dokuwiki", f"file:{COMPOSE}", f"file:{ENV}"}
    assert not [action for action in plan.actions if action.kind == "volume"]


def test_an_app_that_moves_takes_its_files_along_and_leaves_none() -> None:
    moved = desired_of(make_lab(stacks=[Stack("notes", apps=(AppInstance("dokuwiki", "dokuwiki"),))]))
    before = desired_of(make_lab(stacks=[Stack("wiki", apps=(AppInstance("dokuwiki", "dokuwiki"),))]))
    plan = make_plan(moved, observed_as(before))
    recreated = next(action for action in plan.actions if action.kind == "service")
    assert recreated.settings == {"replaces": "wiki"}
    assert waits(plan, f"file:{COMPOSE}") == {"service:notes/dokuwiki"}


@pytest.mark.parametrize("state", ["exited", "paused"])
def test_what_a_person_stopped_is_shown_and_left_alone(state: str) -> None:
    reason = {"exited": "stopped by a person", "paused": "paused by a person"}[state]
    plan = planned(described("dokuwiki", state=state, health="none", fingerprint="before"))
    assert not plan
    assert [(held.name, held.reason) for held in plan.held] == [("wiki/dokuwiki", reason)]
    assert f"core: wiki/dokuwiki is held: {reason}" in plan.text()


@pytest.mark.parametrize(
    ("fields", "verb", "settings"),
    [
        ({"state": "exited"}, "start", {}),
        ({"state": "paused"}, "start", {"paused": "yes"}),
        ({"state": "exited", "fingerprint": "before"}, "recreate", {}),
        ({"state": "paused", "fingerprint": "before"}, "recreate", {"paused": "yes"}),
    ],
)
def test_what_a_person_stopped_starts_where_that_is_asked_for(
    fields: dict[str, Any], verb: str, settings: dict[str, str]
) -> None:
    plan = planned(described("dokuwiki", **fields), start_held=True)
    assert not plan.held
    assert [(action.verb, action.settings) for action in plan.actions] == [(verb, settings)]


REFUSED: dict[str, tuple[ObservedServer, str]] = {
    "a folder that is not ours": (
        replace(MADE, foreign_stacks=("wiki",)),
        "the stack folder /opt/stacks/wiki on core was not made by EZ-Homelab",
    ),
    "a container that is not ours": (
        described("dokuwiki", labels={}),
        "a container called dokuwiki on core was not made by EZ-Homelab",
    ),
    "a socket network that leads out": (
        replace(MADE, networks=tuple(replace(n, internal=False) for n in MADE.networks)),
        "the network socket-proxy on core must be internal and is not",
    ),
    "a shared network that leads nowhere": (
        replace(MADE, networks=tuple(replace(n, internal=True) for n in MADE.networks)),
        "the network traefik-network on core is internal and must not be",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_ours_is_refused_and_not_overwritten(case: str) -> None:
    found, what = REFUSED[case]
    with pytest.raises(PrerequisiteError) as refused:
        planned(found)
    assert str(refused.value) == what
    assert refused.value.cause
    assert refused.value.fix


def test_a_server_that_could_not_be_looked_at_gets_no_action_and_is_named() -> None:
    two = desired_of(make_lab(servers=2, apps=10))
    found = {**observed_as(two, missing={"dokuwiki0"}), "server1": Unknown("server1", "no route to host", NOW)}
    plan = make_plan(two, found)
    assert {action.server for action in plan.actions} == {"core"}
    assert plan.unknown == (("server1", "no route to host"),)
    assert "server1 is unknown: no route to host" in plan.text()
    nothing = make_plan(two, {"core": observed_as(two)["core"], "server1": found["server1"]})
    assert nothing.summary() == "Nothing to do: the servers that could be looked at are as the lab file says."


def test_equal_worlds_have_equal_plans_and_others_have_not() -> None:
    one, same = (planned(observed_as(DESIRED, missing={"dokuwiki"})["core"]) for _ in range(2))
    assert one.hash == same.hash
    others = [planned(found) for found, expected in CASES.values() if expected]
    assert len({plan.hash for plan in others}) == len(others)


def test_what_crashes_gives_one_plan_whether_it_is_looked_at_before_or_after_a_new_try() -> None:
    looks = (
        described("dokuwiki", state="restarting", health="none", exit_code=7, restarts=3),
        described("dokuwiki", health="starting", restarts=4),
    )
    assert len({planned(found).hash for found in looks}) == 1


def test_every_server_has_actions_of_its_own() -> None:
    two = desired_of(make_lab(servers=2, apps=10))
    plan = make_plan(two, observed_as(two, missing={"traefik"}))
    assert [action.id for action in plan.actions] == ["core:service:core/traefik", "server1:service:core/traefik"]


def test_a_limit_is_a_change_of_the_definition() -> None:
    limited = Stack("wiki", apps=(AppInstance("dokuwiki", "dokuwiki", limits=Limits("600M")),))
    before = desired_of(make_lab(stacks=[Stack("wiki", apps=(AppInstance("dokuwiki", "dokuwiki"),))]))
    plan = make_plan(desired_of(make_lab(stacks=[limited])), observed_as(before))
    assert lines(plan) == [
        f"~ file {COMPOSE} replace: content changed",
        "~ service wiki/dokuwiki recreate: definition changed (down about 17 s)",
    ]


def test_the_docker_hub_name_of_an_image_is_no_other_image() -> None:
    pinned = f"docker.io/{WIKI.image}"
    server = replace(SERVER, images=(replace(SERVER.images[0], pinned=pinned),))
    desired = replace(DESIRED, servers={"core": server})
    assert not [action for action in make_plan(desired, {"core": MADE}).actions if action.kind == "image"]


def test_the_text_of_a_plan_groups_by_server_and_counts() -> None:
    plan = planned(observed_as(DESIRED, missing={"dokuwiki", "glances"}, missing_images={LISTED})["core"])
    first, _, server, *_ = plan.text().splitlines()
    assert first == f"Plan {plan.hash}: 1 image, 2 services"
    assert server == "core"
    assert plan.to_dict()["actions"][0]["id"] == f"core:image:{WIKI.image_name}"  # type: ignore[index]


@pytest.mark.parametrize("fields", [{"fingerprint": "before"}, None])
def test_what_compose_was_making_when_it_was_killed_goes_before_it_is_made_anew(fields: dict[str, str] | None) -> None:
    """Compose works on all containers of a service, and fails where one of them goes meanwhile."""
    made = MADE.container("dokuwiki")
    assert made
    labels = {**made.labels, "com.docker.compose.service": "dokuwiki"}
    half = replace(made, name="ba7107bdaad7_dokuwiki", id="half", state="created", labels=labels)
    seen = described("dokuwiki", **fields) if fields else observed_as(DESIRED, missing={"dokuwiki"})["core"]
    plan = planned(replace(seen, containers=(*seen.containers, half)))
    change, removal = sorted(plan.actions, key=lambda action: action.verb)
    assert (change.verb, removal.verb) == ("recreate" if fields else "create", "remove")
    assert removal.name == "wiki/ba7107bdaad7_dokuwiki"
    assert removal.id in change.waits_for
