"""A server in memory on which a plan can be carried out: as strict as Docker about what it refuses, and pure.

It knows nothing of how the planner thinks. An action that a real server would refuse raises `RefusedError`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sleeping_apps import LAZY

from ez_homelab.hosts import FileState
from ez_homelab.images.reference import as_listed
from ez_homelab.observe import AppliedRecord, ObservedServer, ObservedVolume
from ez_homelab.observe.observed import ObservedNetwork
from ez_homelab.render.desired import MARKER, STACKS_FOLDER
from ez_homelab.testing.make_lab import NOW, container_of, observed_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    from ez_homelab.observe import ObservedContainer
    from ez_homelab.plan import Action, Plan
    from ez_homelab.render.desired import Desired, DesiredServer


class RefusedError(Exception):
    """A real server would not do this."""


def require(holds: object, why: str) -> None:
    if not holds:
        raise RefusedError(why)


class SimulatedServer:
    """One server; `found` is what a look at it finds."""

    def __init__(self, desired: Desired, found: ObservedServer) -> None:
        self.desired = desired
        self.server: DesiredServer = desired.servers[found.name]
        self.found = found
        self.held: set[str] = set()
        """Wake groups that the waker leaves alone."""
        self._count = 0

    def carry_out(self, plan: Plan, random: Random, *, only: int | None = None) -> None:
        """Do the plan's actions in some order that keeps what each waits for; with `only`, stop after so many."""
        actions = in_some_order(plan.actions, random)
        self._record(finished=False)
        for action in actions[:only]:
            try:
                self.do(action)
            except RefusedError as error:
                raise AssertionError(f"{error}: {action}") from error
        if only is None or only >= len(actions):
            self._record(finished=True)
        self.found = replace(self.found, foreign_stacks=tuple(self._unmarked()))

    def do(self, action: Action) -> None:
        kinds: dict[str, Callable[[Action], None]] = {
            "image": self._image,
            "network": self._network,
            "volume": self._volume,
            "authority": self._authority,
            "certificate": self._certificate,
            "file": self._file,
            "service": self._service,
            "attachment": self._attachment,
            "on-demand": self._on_demand,
        }
        kinds[action.kind](action)

    # --- what is there -----------------------------------------------------------------------------------------

    def container(self, name: str) -> ObservedContainer | None:
        return self.found.container(name)

    def network(self, name: str) -> ObservedNetwork | None:
        return next((network for network in self.found.networks if network.name == name), None)

    def _put(self, container: ObservedContainer) -> None:
        others = [other for other in self.found.containers if other.name != container.name]
        self.found = replace(self.found, containers=tuple(sorted([*others, container], key=lambda item: item.name)))

    def _drop(self, name: str) -> None:
        self.found = replace(
            self.found, containers=tuple(other for other in self.found.containers if other.name != name)
        )

    def _unmarked(self) -> Iterable[str]:
        there = [path for path, state in self.found.files.items() if state is not None]
        # The certificate is no file of the plan's; it lies in a stack's folder all the same.
        there += [self.server.certificate.path] if self.found.certificate.served is not None else []
        for stack in self.server.stacks:
            if f"{stack.folder}/{MARKER}" not in there and any(path.startswith(f"{stack.folder}/") for path in there):
                yield stack.name

    # --- actions -----------------------------------------------------------------------------------------------

    def _image(self, action: Action) -> None:
        wanted = next((image for image in self.server.images if image.reference == action.name), None)
        source = wanted.source if wanted else "packages"
        require(action.verb == ("build" if source == "packages" else "pull"), "wrong source")
        if "/edition" in action.name or ":edition" in action.name:
            require(any("base" in image for image in self.found.images), "no base to build on")
        name = as_listed(wanted.pinned if wanted else action.name)
        self.found = replace(self.found, images={**self.found.images, name: f"sha256:{name}"})

    def _network(self, action: Action) -> None:
        there = self.network(action.name)
        others = tuple(network for network in self.found.networks if network.name != action.name)
        if action.verb == "create":
            subnet = action.settings["subnet"]
            require(not there, "network is there already")
            require(all(subnet not in network.subnets for network in others), "subnet overlaps")
            made = ObservedNetwork(
                f"new-{action.name}", action.name, (subnet,), action.settings["internal"] == "yes", managed=True
            )
            self.found = replace(self.found, networks=(*others, made))
            return
        require(there and there.managed, "not our network")
        assert there is not None
        users = [one.name for one in self.found.containers
                 if there.id in one.networks.values() and one.state in ("running", "paused", "restarting")]  # fmt: skip
        require(not users, f"network has active endpoints: {users}")
        self.found = replace(self.found, networks=others)

    def _volume(self, action: Action) -> None:
        others = tuple(volume for volume in self.found.volumes if volume.name != action.name)
        if action.verb == "copy":
            require(len(others) < len(self.found.volumes), "there is nothing to copy")
            return
        if action.verb == "clear":
            require(len(others) < len(self.found.volumes), "there is no such volume")
            require(not self.container("waker"), "the waker would write them again")
            self.found = replace(self.found, left_routes=())
            return
        require(action.verb in ("create", "own"), "volumes are never removed")
        require((action.verb == "create") == (len(others) == len(self.found.volumes)), "wrong verb")
        made = ObservedVolume(action.name, action.settings["owner"] or "0:0", managed=True)
        self.found = replace(self.found, volumes=(*others, made))

    def _authority(self, _action: Action) -> None:
        new = observed_as(self.desired, at=NOW)[self.server.name].certificate.authority
        self.found = replace(self.found, certificate=replace(self.found.certificate, authority=new))

    def _certificate(self, _action: Action) -> None:
        authority = self.found.certificate.authority
        require(authority and authority.domain == self.desired.domain, "no authority that could sign")
        new = observed_as(self.desired, at=NOW)[self.server.name].certificate.served
        assert authority is not None and new is not None
        served = replace(new, issuer_key_id=authority.key_id)  # type: ignore[arg-type]
        self.found = replace(self.found, certificate=replace(self.found.certificate, served=served))

    def _file(self, action: Action) -> None:
        there = self.found.files.get(action.name)
        if action.verb == "remove":
            require(there, "no such file")
            if there and there.sha256 not in self.found.applied.files.get(action.name, ()):
                require(action.settings.get("keep") == "yes", "a person's text would be lost")
            self.found = replace(self.found, files={**self.found.files, action.name: None})
            return
        wanted = next(file for file in self.server.files if file.path == action.name)
        if there and there.sha256 not in (wanted.sha256, *self.found.applied.files.get(action.name, ())):
            require(action.settings.get("keep") == "yes", "a person's text would be lost")
        state = FileState(wanted.sha256, wanted.mode, wanted.uid, wanted.gid)
        self.found = replace(self.found, files={**self.found.files, action.name: state})

    def _on_demand(self, action: Action) -> None:
        names = {group.name: group.containers for group in self.server.wake_groups}
        require(action.name in names, "no such wake group")
        require(self._holds(), "the waker does not answer")
        if action.verb == "hold":
            self.held.add(action.name)
            return
        require(action.name in self.held, "it is not held")
        self.held.discard(action.name)
        for name in names[action.name]:
            there = self.container(name)
            require(there, f"{name} is let go and not there")
            assert there is not None
            self._put(replace(there, state="exited", health="none"))

    def _holds(self) -> bool:
        """Whether the waker can hold anything: it does where Traefik says that nobody gets past it."""
        needed = (self.container("waker"), self.container("traefik"))
        return all(one is not None and one.state == "running" for one in needed)

    def _quietly(self, name: str) -> None:
        """What a waker watches, it has to leave alone first."""
        service = next((one for one in self.server.services if one.name == name), None)
        if service and service.wake_group and self._holds():
            require(service.wake_group in self.held, f"{name} is changed while the waker watches it")

    def _is_forgotten(self, container: ObservedContainer) -> bool:
        """Whether no waker knows it: there is none, or it has read what sleeps from now on."""
        told = next((file for file in self.server.files if file.path == LAZY), None)
        state = self.found.files.get(LAZY)
        read = told is not None and state is not None and state.sha256 == told.sha256
        return container.restart_policy != "no" or not self.container("waker") or read

    def _service(self, action: Action) -> None:
        stack, _, name = action.name.partition("/")
        self._quietly(name)
        there = self.container(name)
        if action.verb == "remove":
            require(there and there.fingerprint is not None, "not our container")
            require(not there or self._is_forgotten(there), "the waker wakes it while it is removed")
            self._drop(name)
            return
        if there and action.settings.get("paused") == "yes":
            require(there.state == "paused", "it is not paused")
            there = replace(there, state="running", health="healthy")
            self._put(there)
        if there and action.settings.get("replaces"):
            require(there.project == action.settings["replaces"], "wrong project")
            self._drop(name)
            there = None
        require(there is None or there.project == stack, "the name is in use by a container of another project")
        compose = self.found.files.get(f"{STACKS_FOLDER}/{stack}/compose.yaml")
        current = next(file for file in self.server.files if file.path == f"{STACKS_FOLDER}/{stack}/compose.yaml")
        require(compose and compose.sha256 == current.sha256, "compose.yaml is not there")
        if action.verb in ("create", "recreate"):
            self._make(action, there is None)
            return
        assert there is not None
        ids = {network.id for network in self.found.networks}
        require(all(one in ids or not one for one in there.networks.values()), "a network of the container is gone")
        require(there.state != "paused", "cannot start a paused container")
        ends = {network: self.network(network) for network in there.networks}
        self._put(replace(there, state="running", health="healthy", error="",
                          networks={name: end.id for name, end in ends.items() if end}))  # fmt: skip

    def _make(self, action: Action, is_new: bool) -> None:
        service = next(one for one in self.server.services if one.key == action.name)
        require(is_new or action.verb == "recreate" or action.settings.get("replaces"), "the container is there")
        require(self.found.has_image(service.image), "no image")
        require(set(service.volumes) <= {volume.name for volume in self.found.volumes}, "no volume")
        missing = [
            file.path
            for file in self.server.files
            if file.path.startswith(f"{STACKS_FOLDER}/{service.stack}/") and not self.found.files.get(file.path)
        ]
        require(not missing, f"files are missing: {missing}")
        ends = {name: self.network(name) for name in (*service.networks, *service.live_networks)}
        require(all(ends.values()), f"networks are missing: {ends}")
        for other in service.depends_on:
            require(self.container(other), f"{other} is not there yet")
        self._count += 1
        made = replace(container_of(service), id=f"made-{self._count}-{service.name}")
        if service.network_of:
            shared = self.container(service.network_of)
            require(shared, f"{service.network_of} is not there, whose network it shares")
            assert shared is not None
            made = replace(made, network_mode=f"container:{shared.id}")
        self._put(replace(made, networks={name: end.id for name, end in ends.items() if end}))

    def _attachment(self, action: Action) -> None:
        container = self.container(action.settings["container"])
        network = self.network(action.settings["network"])
        require(container, "no such container")
        assert container is not None
        ends = dict(container.networks)
        if action.verb == "connect":
            require(network, "no such network")
            assert network is not None
            require(network.name not in ends, "connected already")
            ends[network.name] = network.id
        else:
            require(action.settings["network"] in ends, "not connected")
            del ends[action.settings["network"]]
        self._put(replace(container, networks=ends))

    def _record(self, *, finished: bool) -> None:
        files = {file.path: (file.sha256,) for file in self.server.files}
        if not finished:
            before = self.found.applied.files
            files = {path: (*before.get(path, ()), *files.get(path, ())) for path in {**before, **files}}
        self.found = replace(self.found, applied=AppliedRecord(files))


def in_some_order(actions: Iterable[Action], random: Random) -> list[Action]:
    """The actions in an order that keeps what each waits for, drawn by `random`."""
    waiting = list(actions)
    done: set[str] = set()
    ordered = []
    while waiting:
        ready = [action for action in waiting if done.issuperset(action.waits_for)]
        assert ready, f"these wait for each other: {[action.id for action in waiting]}"
        chosen = random.choice(ready)
        waiting.remove(chosen)
        done.add(chosen.id)
        ordered.append(chosen)
    return ordered
