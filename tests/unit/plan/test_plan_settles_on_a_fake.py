"""Whatever a server looks like, a plan can be made, carried out in any order it allows, and leaves nothing to do."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_server import SimulatedServer, in_some_order
from sleeping_apps import with_sleeping

from ez_homelab.config.model import AppInstance, Limits, Stack
from ez_homelab.observe import ObservedNetwork, ObservedVolume
from ez_homelab.plan import make_plan
from ez_homelab.render.core import ROUTES_VOLUME
from ez_homelab.testing.make_lab import container_of, desired_of, make_lab, network_id, observed_as, replace_fields
from ez_homelab.tls.certificate import DamagedCertificate

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from ez_homelab.hosts import FileState
    from ez_homelab.observe import ObservedContainer, ObservedServer
    from ez_homelab.render.desired import Desired

WIKI, GLANCES = AppInstance("dokuwiki", "dokuwiki"), AppInstance("glances", "glances")
LABS: dict[str, tuple[Stack, ...] | None] = {
    "starter": None,
    "empty": (),
    "one app": (Stack("wiki", apps=(WIKI,)),),
    "the app in another stack": (Stack("notes", apps=(WIKI,)),),
    "two apps": (Stack("wiki", apps=(WIKI, GLANCES)),),
    "the app with a limit": (Stack("wiki", apps=(replace(WIKI, limits=Limits("600M")),)),),
    "a second wiki": (Stack("wiki", apps=(WIKI, AppInstance("notes", "dokuwiki"))),),
    "the app sleeps": (Stack("wiki", apps=(WIKI,)),),
    "both sleep together": (Stack("wiki", apps=(WIKI, GLANCES)),),
    "both sleep, by another engine": (Stack("wiki", apps=(WIKI, GLANCES)),),
}
SLEEPING: dict[str, dict[str, tuple[str, ...]]] = {
    "the app sleeps": {"dokuwiki": ("dokuwiki",)},
    "both sleep together": {"both": ("glances", "dokuwiki")},
    "both sleep, by another engine": {"dokuwiki": ("dokuwiki",), "glances": ("glances",)},
}


@cache
def desired(name: str, images: str) -> Desired:
    made = desired_of(make_lab(stacks=LABS[name], images="packages" if images == "packages" else "registry"))
    return with_sleeping(made, SLEEPING.get(name, {}), waker="another" not in name) if name in SLEEPING else made


Mutation = "Callable[[ObservedServer, int], ObservedServer]"


def mutation_of_container(change: Callable[[ObservedContainer], ObservedContainer | None]) -> Mutation:
    def mutate(found: ObservedServer, number: int) -> ObservedServer:
        if not found.containers:
            return found
        chosen = found.containers[number % len(found.containers)]
        others = tuple(container for container in found.containers if container is not chosen)
        changed = change(chosen)
        return replace(found, containers=(*others, changed) if changed else others)

    return mutate


def fields(**changes: object) -> Mutation:
    return mutation_of_container(lambda container: replace_fields(container, changes))


def disconnected(container: ObservedContainer) -> ObservedContainer:
    return replace(container, networks=dict(list(container.networks.items())[1:]))


def without_network(found: ObservedServer, number: int) -> ObservedServer:
    if not found.networks:
        return found
    chosen = found.networks[number % len(found.networks)]
    return replace(found, networks=tuple(network for network in found.networks if network is not chosen))


def other_network_of_that_name(found: ObservedServer, number: int) -> ObservedServer:
    if not found.networks:
        return found
    chosen = found.networks[number % len(found.networks)]
    others = tuple(network for network in found.networks if network is not chosen)
    return replace(found, networks=(*others, replace(chosen, id=f"other-{chosen.name}")))


def surplus_network(found: ObservedServer, number: int) -> ObservedServer:
    """An edge network of an app that is gone, with some container of ours still on it."""
    name = f"edge-gone{number % 3}"
    if any(network.name == name for network in found.networks):
        return found
    made = ObservedNetwork(network_id(name), name, (f"10.201.200.{64 * (number % 3)}/26",), False, managed=True)
    with_it = replace(found, networks=(*found.networks, made))
    return mutation_of_container(lambda one: replace(one, networks={**one.networks, name: made.id}))(with_it, number)


def surplus_container(found: ObservedServer, number: int) -> ObservedServer:
    gone = desired("starter", "registry").servers["core"].services[number % 6]
    if found.container(f"{gone.name}-gone"):
        return found
    container = replace(container_of(gone), name=f"{gone.name}-gone", networks={})
    return replace(found, containers=(*found.containers, container))


def of_file(change: Callable[[FileState], FileState | None]) -> Mutation:
    def mutate(found: ObservedServer, number: int) -> ObservedServer:
        there = sorted(path for path, state in found.files.items() if state and not path.endswith("/.ez-homelab"))
        if not there:
            return found
        path = there[number % len(there)]
        state = found.files[path]
        return replace(found, files={**found.files, path: change(state)}) if state else found

    return mutate


def without_image(found: ObservedServer, number: int) -> ObservedServer:
    names = sorted(found.images)
    gone = names[number % len(names)] if names else ""
    return replace(found, images={name: one for name, one in found.images.items() if name != gone})


def of_volume(owner: str) -> Mutation:
    def mutate(found: ObservedServer, number: int) -> ObservedServer:
        if not found.volumes:
            return found
        chosen = found.volumes[number % len(found.volumes)]
        others = tuple(volume for volume in found.volumes if volume is not chosen)
        changed = (ObservedVolume(chosen.name, owner, chosen.managed),) if owner else ()
        left = () if chosen.name == ROUTES_VOLUME and not owner else found.left_routes
        return replace(found, volumes=(*others, *changed), left_routes=left)

    return mutate


def without_authority(found: ObservedServer, _number: int) -> ObservedServer:
    return replace(found, certificate=replace(found.certificate, authority=None))


def of_certificate(served: DamagedCertificate | None) -> Mutation:
    def mutate(found: ObservedServer, _number: int) -> ObservedServer:
        if found.certificate.served is None:
            return found
        return replace(found, certificate=replace(found.certificate, served=served))

    return mutate


def nothing_at_all(found: ObservedServer, number: int) -> ObservedServer:
    return replace(
        found, containers=(), networks=(), volumes=(), images={}, files=dict.fromkeys(found.files),
        left_routes=(), applied=replace(found.applied, files={}),
        certificate=replace(found.certificate, served=None, authority=None),
    )  # fmt: skip


def routes_left(found: ObservedServer, _number: int) -> ObservedServer:
    there = any(volume.name == ROUTES_VOLUME for volume in found.volumes)
    return replace(found, left_routes=("app-dokuwiki.yml",)) if there else found


MUTATIONS: list[Mutation] = [
    mutation_of_container(lambda _container: None),
    mutation_of_container(disconnected),
    fields(fingerprint="of another definition"),
    fields(fingerprint="of another image", image="other:1"),
    fields(state="exited", health="none", exit_code=137),
    fields(state="exited", health="none", error="no such program"),
    fields(state="paused"),
    fields(state="created", health="none"),
    mutation_of_container(
        lambda one: replace(one, state="created", health="none", networks=dict.fromkeys(one.networks, ""))
    ),
    fields(state="restarting", health="none", exit_code=1),
    fields(state="dead", health="none"),
    fields(health="unhealthy"),
    fields(health="starting"),
    without_network,
    other_network_of_that_name,
    surplus_network,
    surplus_container,
    of_file(lambda _state: None),
    of_file(lambda state: replace(state, sha256="edited by a person")),
    of_file(lambda state: replace(state, mode=0o666)),
    of_file(lambda state: replace(state, uid=12345)),
    without_image,
    routes_left,
    of_volume(""),
    of_volume("4711:4711"),
    of_certificate(None),
    of_certificate(DamagedCertificate("its file cannot be read")),
    without_authority,
    nothing_at_all,
]

worlds = st.lists(st.tuples(st.sampled_from(MUTATIONS), st.integers(0, 50)), max_size=8)
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def world(before: str, after: str, images: str, changes: list[tuple[Mutation, int]]) -> SimulatedServer:
    """A server as lab `before` wants it, then changed, in the hands of whoever wants lab `after`."""
    found = observed_as(desired(before, images))["core"]
    for change, number in changes:
        found = change(found, number)
    wanted = desired(after, images)
    files = {**dict.fromkeys(file.path for file in wanted.servers["core"].files), **found.files}
    return SimulatedServer(wanted, replace(found, files=files))


@SETTINGS
@given(
    before=st.sampled_from(sorted(LABS)), after=st.sampled_from(sorted(LABS)),
    images=st.sampled_from(["registry", "packages"]), changes=worlds, start_held=st.booleans(),
    random=st.randoms(use_true_random=False),
)  # fmt: skip
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    before: str, after: str, images: str, changes: list[tuple[Mutation, int]], start_held: bool, random: Random
) -> None:
    there = world(before, after, images, changes)
    plan = make_plan(there.desired, {"core": there.found}, start_held=start_held)
    there.carry_out(plan, random)
    left = make_plan(there.desired, {"core": there.found}, start_held=start_held)
    assert not left, left.text()


@SETTINGS
@given(
    before=st.sampled_from(sorted(LABS)), after=st.sampled_from(sorted(LABS)), changes=worlds,
    stopped_after=st.integers(0, 30), random=st.randoms(use_true_random=False),
)  # fmt: skip
def test_a_run_that_was_cut_off_anywhere_is_finished_by_the_next(
    before: str, after: str, changes: list[tuple[Mutation, int]], stopped_after: int, random: Random
) -> None:
    there = world(before, after, "registry", changes)
    there.carry_out(make_plan(there.desired, {"core": there.found}), random, only=stopped_after)
    there.carry_out(make_plan(there.desired, {"core": there.found}), random)
    left = make_plan(there.desired, {"core": there.found})
    assert not left, left.text()


@SETTINGS
@given(
    before=st.sampled_from(sorted(LABS)), after=st.sampled_from(sorted(LABS)), changes=worlds,
    random=st.randoms(use_true_random=False),
)  # fmt: skip
def test_names_are_unique_waits_are_resolved_and_nothing_waits_in_a_circle(
    before: str, after: str, changes: list[tuple[Mutation, int]], random: Random
) -> None:
    there = world(before, after, "registry", changes)
    plan = make_plan(there.desired, {"core": there.found})
    ids = [action.id for action in plan.actions]
    assert len(set(ids)) == len(ids)
    assert {earlier for action in plan.actions for earlier in action.waits_for} <= set(ids)
    assert all(len(set(action.waits_for)) == len(action.waits_for) for action in plan.actions)
    assert len(in_some_order(plan.actions, random)) == len(ids)
