"""A fake server with a Docker engine in memory, just true enough that a whole apply can run on it.

It answers what `observe` asks and does what `apply` orders: images are pulled, networks, volumes and containers come
and go. Every container becomes healthy at once unless its name is in `ill`.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from ez_homelab.apply.journal import Journal
from ez_homelab.config.files import init_lab
from ez_homelab.config.rules import WAKER
from ez_homelab.hosts.protocol import Completed
from ez_homelab.images.reference import Reference
from ez_homelab.lab import Homelab
from ez_homelab.observe.look import APPLIED_RECORD
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.yaml_text import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ez_homelab.hosts import Command

SLEEPS = {
    "title": "", "state": "asleep", "since": 1.0, "unused": None, "leads_to": "waker", "trouble": "", "reason": "",
    "retry_in": None, "held": None, "failures": 0, "in_flight": 0, "scheduled": False, "memory": 1,
    "wakes": {"count": 0, "p50": None, "p95": None},
}  # fmt: skip
"""What the waker tells of an app that nobody has woken yet."""


ROUTES = "/volumes/traefik-routes"
"""Where the waker writes its route files on this server."""


def digest_of(name: str) -> str:
    """What the registry's image of that name is known by."""
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def as_named(reference: str) -> str:
    """`name:tag` as Docker lists it."""
    parsed = Reference.parse(reference)
    return f"{parsed.name}:{parsed.tag}"


class EngineInMemory(FakeHost):
    def __init__(self, name: str = "core") -> None:
        super().__init__(name)
        self.images: list[str] = []
        self.networks: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, str]] = {}
        self.containers: dict[str, dict[str, Any]] = {}
        self.ill: set[str] = set()
        self.fails: Callable[[str, dict[str, Any]], bool] = lambda name, _service: name in self.ill
        """Whether a container of that name and definition does not get well."""
        self.without: set[str] = set()
        """References that no registry has."""
        self.routes: list[str] = []
        """The files that a waker has left in its volume."""
        self._count = 0
        self.answer(lambda command: command.argv[0] == "docker", does=self._docker)
        self.answer(lambda command: command.argv[0] == "stat", does=self._stat)
        self.answer(lambda command: command.argv[0] in ("chown", "rm", "install", "touch"), does=self._other)
        self.answer(lambda command: command.argv[:2] == ("find", ROUTES), does=self._find)
        self.answer(("ip", "-4", "route", "show"), stdout="default via 192.168.1.1 dev eth0\n")

    def by_hand(self, name: str, **labels: str) -> None:
        """A container that somebody started, with a volume of its own."""
        self.containers[name] = self._container(name, {"image": "x:1", "labels": labels, "networks": {}}, "")

    def has(self, reference: str) -> bool:
        """Whether a container can be made from it: it is here, and named by its digest."""
        image = as_named(reference)
        return image in self.images and reference.partition("@")[2] == digest_of(image)

    def orders(self) -> list[str]:
        """Every command that may have changed something."""
        return [str(command) for command in self.commands if command.changes]

    def _docker(self, command: Command) -> Completed:
        words = command.argv[1:]
        method = getattr(self, f"_{words[0]}", None)
        status, out = (2, f"no such command: {words}") if method is None else method(command, words[1:])
        # Of several containers, Docker tells of those that are there, and that others are not.
        told = words[:2] == ("container", "inspect")
        return Completed(command, status, out if told or not status else "", out if status else "")

    def _pull(self, _command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        name = as_named(words[0])
        if name in self.without:
            return 1, f"manifest for {name} not found"
        self.images.append(name)
        return 0, f"Digest: {digest_of(name)}\n"

    def _image(self, _command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        match words[0]:
            case "rm":
                name = words[1].partition("@")[0]
                self.images = [one for one in self.images if one != name and one.rpartition(":")[0] != name]
                return 0, ""
            case "inspect":
                name = as_named(words[-1])
                if name not in self.images:
                    return 1, f"Error: No such image: {name}"
                return 0, json.dumps([f"{name.rpartition(':')[0]}@{digest_of(name)}"])
        listed = ((name.rpartition(":"), digest_of(name)) for name in self.images)
        if "{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}" in words:
            return 0, "".join(f"{name}:{tag} {name}@{digest}\n" for (name, _, tag), digest in listed)
        return 0, "".join(f"{name}:{tag}\tsha256:{name}:{tag}\t{digest}\n" for (name, _, tag), digest in listed)

    def _tag(self, _command: Command, _words: tuple[str, ...]) -> tuple[int, str]:
        return 0, ""

    def _network(self, _command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        name = words[-1]
        match words[0]:
            case "ls":
                return 0, "".join(f"{network['Id']}\n" for network in self.networks.values())
            case "inspect":
                return 0, json.dumps([*self.networks.values()])
            case "create":
                self._count += 1
                subnet = words[words.index("--subnet") + 1]
                self.networks[name] = {
                    "Id": f"n{self._count}", "Name": name, "Internal": "--internal" in words,
                    "IPAM": {"Config": [{"Subnet": subnet}]},
                    "Labels": dict([words[words.index("--label") + 1].split("=")]),
                }  # fmt: skip
            case "rm":
                if any(name in container["NetworkSettings"]["Networks"] for container in self.containers.values()):
                    return 1, f"error while removing network: network {name} has active endpoints"
                del self.networks[name]
            case verb:
                ends = self.containers[name]["NetworkSettings"]["Networks"]
                if verb == "connect":
                    ends[words[-2]] = {"NetworkID": self.networks[words[-2]]["Id"]}
                else:
                    del ends[words[-2]]
        return 0, ""

    def _volume(self, _command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        name = words[-1]
        match words[0]:
            case "ls":
                label = next((word.removeprefix("label=") for word in words if word.startswith("label=")), "")
                return 0, "".join(f"{one}\n" for one, labels in self.volumes.items() if not label or label in labels)
            case "create":
                self.volumes[name] = dict([words[words.index("--label") + 1].split("=")])
            case "rm":
                del self.volumes[name]
            case "inspect" if "--format" in words:
                return 0, f"/volumes/{name}\n"
            case "inspect":
                listed = [
                    {"Name": one, "Mountpoint": f"/volumes/{one}", "Labels": self.volumes[one]} for one in words[1:]
                ]
                return 0, json.dumps(listed)
        return 0, ""

    def _container_command(self, words: tuple[str, ...]) -> tuple[int, str]:
        match words[0]:
            case "ls" if "--format" in words:
                asked = [word.removeprefix("label=") for word in words if word.startswith("label=")]
                ours = [name for name, one in self.containers.items()
                        if all(_has(one["Config"]["Labels"], label) for label in asked)]  # fmt: skip
                return 0, "".join(f"{name}\n" for name in ours)
            case "ls":
                return 0, "".join(f"{name}\n" for name in self.containers)
            case "inspect":
                found = [self.containers[name] for name in words[1:] if name in self.containers]
                return (0 if len(found) == len(words) - 1 else 1), json.dumps(found)
            case "rm":
                for name in words[1:]:
                    self.containers.pop(name, None)
            case "start":
                self.containers[words[1]]["State"] |= {"Status": "running", "Health": {"Status": "healthy"}}
        return 0, ""

    def _compose(self, command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        folder = command.directory or ""
        project = read_yaml(self.files[f"{folder}/compose.yaml"].content, "compose.yaml").data
        if words[-1] == "down":
            for name in project["services"]:
                self.containers.pop(name, None)
            return 0, ""
        name = words[-1]
        service = project["services"][name]
        if lacking := set(service.get("networks", ())) - self.networks.keys():
            return 1, f"network {min(lacking)} declared as external, but could not be found"
        if not self.has(service["image"]):
            return 1, f"No such image: {service['image']}"
        self.containers[name] = self._container(name, service, project["name"])
        if name == WAKER:
            self.routes = [f"app-{app['name']}.yml" for app in self._lazy()["apps"]]
        return 0, f"Container {name}  Started\n"

    def _exec(self, _command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        if "waker.admin" in words and WAKER in self.containers:
            return 0, json.dumps(self._told_the_waker(*words[words.index("waker.admin") + 1 :]))
        return (0, "") if words[1] in self.containers else (1, f"No such container: {words[1]}")

    def _told_the_waker(self, verb: str, group: str = "", *_seconds: str) -> dict[str, Any]:
        """What is let go sleeps: nobody comes."""
        groups = {app["name"]: app for app in self._lazy()["apps"]}
        if verb == "status":
            return {"apps": {name: {**SLEEPS} for name in groups}, "memory_saved": 0}
        if group not in groups:
            return {"error": f"{group} is no app that sleeps", "kind": "unknown"}
        for container in groups[group]["containers"] if verb in ("release", "sleep") else ():
            if found := self.containers.get(container["name"]):
                found["State"] |= {"Status": "exited", "Health": {"Status": "unhealthy"}}
        return {"app": group, "state": "asleep"}

    def _lazy(self) -> Any:
        return next(json.loads(file.content) for path, file in self.files.items() if path.endswith("/lazy.json"))

    def _logs(self, _command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        return 0, f"{words[-1]} says something\n"

    def _container(self, name: Any, service: Any, project: str = "") -> Any:
        if not isinstance(name, str):  # `docker container ...`
            return self._container_command(service)
        self._count += 1
        ill = self.fails(name, service)
        health = "unhealthy" if ill else "healthy"
        ends = {network: {"NetworkID": self.networks[network]["Id"]} for network in service.get("networks", ())}
        labels = service["labels"] | ({"com.docker.compose.project": project} if project else {})
        labels = labels | {"com.docker.compose.config-hash": hashlib.sha256(repr(service).encode()).hexdigest()}
        return {
            "Id": f"c{self._count}", "Name": f"/{name}", "Image": "sha256:1", "RestartCount": 4 * ill,
            "Config": {"Image": service["image"], "Labels": labels},
            "State": {"Status": "running", "Health": {"Status": health}, "ExitCode": 0, "OOMKilled": False,
                      "Error": "", "StartedAt": "2026-01-01T00:00:00Z"},
            "NetworkSettings": {"Networks": ends},
            "HostConfig": {
                "RestartPolicy": {"Name": service.get("restart", "no")},
                "NetworkMode": self._network_mode(service.get("network_mode", "default")),
                "PortBindings": {
                    f"{text.rsplit(':', 1)[1]}": [{"HostIp": text.split(":")[0], "HostPort": text.split(":")[1]}]
                    for text in service.get("ports", [])
                },
            },
        }  # fmt: skip

    def _network_mode(self, mode: str) -> str:
        """As Docker says it: the container whose network is shared is named by its id."""
        shared = mode.partition("service:")[2]
        return f"container:{self.containers[shared]['Id']}" if shared else mode

    def _stat(self, command: Command) -> Completed:
        folders = command.argv[command.argv.index("--") + 1 :]
        owners = {order.argv[-1]: order.argv[1] for order in self.commands if order.argv[0] == "chown"}
        return Completed(command, 0, "".join(f"{owners.get(folder, '0:0')} {folder}\n" for folder in folders), "")

    def _find(self, command: Command) -> Completed:
        if "-delete" in command.argv:
            self.routes = []
        return Completed(command, 0, "".join(f"{ROUTES}/{name}\n" for name in self.routes), "")

    def _other(self, command: Command) -> Completed:
        if command.argv[0] == "rm":
            gone = command.argv[-1]
            self.files = {path: file for path, file in self.files.items() if not path.startswith(f"{gone}/")}
            self.folders = {path for path in self.folders if path != gone and not path.startswith(f"{gone}/")}
        return Completed(command, 0, "", "")


def _has(labels: dict[str, str], wanted: str) -> bool:
    """Docker's filter: a label of that name, with that value where one is said."""
    name, with_value, value = wanted.partition("=")
    return name in labels and (not with_value or labels[name] == value)


ONE_APP = "version: 1\ndomain: lab.localhost\nstacks: {wiki: [dokuwiki]}\n"


class LabOnFakeServer:
    """A starter lab and the server that it is applied to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "lab"
        self.host = EngineInMemory()
        self.journal_path = str(folder / "journal.db")
        init_lab(self.folder, "lab.localhost", "registry")

    @property
    def lab(self) -> Homelab:
        """The lab as a new process would read it."""
        host = self.host
        return Homelab(self.folder, lambda _: host, self.journal_path, who="ann", command="ez apply", patience=0.0)

    async def apply(self) -> None:
        await self.lab.apply(await self.lab.plan())

    def write(self, text: str) -> None:
        (self.folder / "homelab.yaml").write_text(text)

    def record(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = json.loads(self.host.files[APPLIED_RECORD].content)["files"]
        return found

    def runs(self) -> list[str | None]:
        return [run.outcome for run in Journal(self.journal_path).runs()]
