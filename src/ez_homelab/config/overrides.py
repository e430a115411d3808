"""overrides/<app>.yaml: Compose fragments that are merged last, as far as they keep what the lab promises.

A fragment has the form `services: {<service>: {...}}`. What it may hold is a list, not everything but a few: a key
that Compose gains tomorrow does not open a hole. `$` is refused, because Compose would replace `${...}` with what the
stack's environment file holds, and that file holds secrets.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from ez_homelab.config import rules
from ez_homelab.config.load import UnreadableError, lab_file_error, read_lab_file
from ez_homelab.config.reading import Path, Reader, describe
from ez_homelab.errors import Fault
from ez_homelab.yaml_text import parse_yaml, shown

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Collection, Mapping

    from ez_homelab.yaml_text import Document

FOLDER = "overrides"

ALLOWED = frozenset(
    {
        "cap_drop",
        "command",
        "cpu_shares",
        "cpus",
        "depends_on",
        "deploy",
        "devices",
        "dns",
        "dns_opt",
        "dns_search",
        "domainname",
        "entrypoint",
        "environment",
        "extra_hosts",
        "group_add",
        "healthcheck",
        "hostname",
        "init",
        "labels",
        "logging",
        "mem_limit",
        "mem_reservation",
        "oom_score_adj",
        "pids_limit",
        "platform",
        "read_only",
        "restart",
        "shm_size",
        "stdin_open",
        "stop_grace_period",
        "stop_signal",
        "sysctls",
        "tmpfs",
        "tty",
        "ulimits",
        "user",
        "volumes",
        "working_dir",
    }
)
_HOST = "it would share the host's own, and so see or touch what is outside the container"
_RIGHTS = "rights beyond the usual are declared, with a reason, in the app's catalog folder"
_OUTSIDE = "it reads a file that is not part of the lab"
REFUSED = {
    "ports": "only Traefik publishes ports; people reach an app by its name",
    "expose": "ports come from the app's catalog folder",
    "privileged": "it would give the container the whole machine",
    "network_mode": "it would take the container off the networks that its route and its neighbours need",
    "networks": "networks follow from the app's route and its catalog folder",
    "container_name": "containers are named by stack and app, so that they can be found again",
    "image": "which image an app runs is the catalog's to say",
    "build": "which image an app runs is the catalog's to say",
    "pull_policy": "which image an app runs is the catalog's to say",
    **dict.fromkeys(("pid", "ipc", "uts", "userns_mode", "cgroup", "cgroup_parent"), _HOST),
    **dict.fromkeys(("cap_add", "security_opt", "device_cgroup_rules", "credential_spec", "runtime"), _RIGHTS),
    **dict.fromkeys(("env_file", "extends", "label_file"), _OUTSIDE),
    "secrets": "secrets are kept and written by this tool",
    "configs": "configuration files come from the app's catalog folder",
    "profiles": "a service in a profile would not be started",
    "scale": "a second copy would share the first one's data",
    "volumes_from": "mount the folder itself, under `volumes`",
    "links": "services of a stack reach each other by name already",
    "external_links": "services of a stack reach each other by name already",
}
_OWN_LABELS = ("traefik.", "sablier.", "ez-homelab.", "com.docker.compose.")
_SOCKETS = ("/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock")
_SERVICE_NAME = re.compile("[a-z0-9][a-z0-9_.-]{0,62}")
_VOLUME_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]*")
_CLOCK_FILES = ("/etc/localtime", "/etc/timezone")


def load_overrides(
    folder: pathlib.Path,
    instance_names: Collection[str],
    service_names: Mapping[str, Collection[str]] | None = None,
) -> dict[str, Mapping[str, Any]]:
    """The fragments in the lab folder by app (its name in the lab), with `environment` and `labels` as mappings.

    With `service_names` (which services each app has, by its name in the lab) an override of a service that the app
    does not have is a fault. Raises `LabFileError` with every fault.
    """
    faults: list[Fault] = []
    fragments: dict[str, Mapping[str, Any]] = {}
    for file in _override_files(folder):
        name, _, ending = file.rpartition(".")
        label = f"{FOLDER}/{shown(file)}"
        if ending == "yml":
            faults.append(
                Fault(label, 0, 0, "an override's name ends with `.yaml`", f"rename it to `{shown(name)}.yaml`")
            )
        elif name not in instance_names:
            message = f"there is no app `{shown(name)}` in the lab"
            faults.append(Fault(label, 0, 0, message, rules.did_you_mean(name, instance_names)))
        else:
            known = service_names.get(name) if service_names is not None else None
            fragments[name] = read_override(folder, f"{FOLDER}/{file}", known, faults)
    if faults:
        raise lab_file_error(tuple(faults))
    return fragments


def _override_files(folder: pathlib.Path) -> list[str]:
    try:
        names = sorted(path.name for path in (folder / FOLDER).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if name.endswith((".yaml", ".yml")) and not name.startswith(".")]


def read_override(
    folder: pathlib.Path, file: str, services: Collection[str] | None, faults: list[Fault]
) -> Mapping[str, Any]:
    """One fragment of the lab folder, as `load_overrides` gives it; what is wrong with it is added to `faults`."""
    try:
        document = parse_yaml(read_lab_file(folder, file), file)
    except UnreadableError as error:
        faults.append(Fault(file, 0, 0, str(error)))
        return {}
    reader = OverrideReader(document, services)
    fragment = reader.fragment(document.data) if document.readable else {}
    faults.extend(sorted(reader.faults, key=lambda fault: (fault.line, fault.column)))
    return fragment


class OverrideReader(Reader):
    """Reads fragments, or single services, and notes what an override may not say."""

    def __init__(self, document: Document, services: Collection[str] | None) -> None:
        super().__init__(document)
        self._services = services

    def fragment(self, data: Any) -> dict[str, Any]:
        """The fragment with faults noted; nothing in it is shared with the document."""
        services = {}
        for key, value in (self.expect(dict, data, ()) or {}).items():
            if key != "services":
                self.fault((key,), f"`{shown(key)}` is not taken over", "an override has `services` only")
                continue
            for name, service in (self.expect(dict, value, (key,)) or {}).items():
                if not _SERVICE_NAME.fullmatch(name):
                    self.fault((key, name), f"`{shown(name)}` is no name of a service")
                elif self._services is not None and name not in self._services:
                    suggestion = rules.did_you_mean(name, self._services) or f"it has {_listed(self._services)}"
                    self.fault((key, name), f"the app has no service `{name}`", suggestion)
                services[name] = self.service(service, (key, name))
        if not services and not self.faults:
            self.fault((), "the override is empty", "add `services`, or remove the file")
        return {"services": services}

    def service(self, service: Any, path: Path) -> dict[str, Any]:
        """What the fragment says of one service, with faults noted."""
        checks: dict[str, Callable[[Any, Path], Any]] = {
            "environment": self._environment,
            "labels": self._labels,
            "volumes": self._volumes,
            "devices": self._devices,
            "deploy": self._deploy,
            "healthcheck": self._healthcheck,
            "user": self._user,
        }
        result = {}
        for key, value in (self.expect(dict, service, path) or {}).items():
            at = (*path, key)
            if key in REFUSED:
                self.fault(at, f"`{key}` is refused in an override: {REFUSED[key]}", "remove it")
            elif key not in ALLOWED:
                suggestion = rules.did_you_mean(key, ALLOWED)
                self.fault(at, f"`{shown(key)}` is nothing an override may set", suggestion)
            elif value is None:
                self.fault(at, f"`{key}` has no value", "add one, or remove it")
            else:
                result[key] = checks.get(key, self._plain)(value, at)
        return result

    def _plain(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {self._text_of(key, (*path, key)): self._plain(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._plain(item, (*path, index)) for index, item in enumerate(value)]
        return self._text_of(value, path) if isinstance(value, str) else value

    def _text_of(self, value: str, path: Path) -> str:
        if "$" in value:
            reason = "Compose would replace it with what the stack's environment file holds"
            self.fault(path, f"`$` is refused in an override: {reason}", "write the value out")
        return value

    def _pairs(self, value: Any, path: Path) -> list[tuple[Path, str, str]]:
        """`{A: 1}` and `[A=1]`, both as (position, `A`, `1`)."""
        pairs: list[tuple[Path, str, str]] = []
        if isinstance(value, dict):
            items = [((*path, key), key, item) for key, item in value.items()]
        else:
            listed = enumerate(self.expect(list, value, path) or [])
            items = [((*path, index), *self._split(item)) for index, item in listed]
        for at, key, item in items:
            written = self.document.written(at)
            text = item if isinstance(item, str) else written if item is not None else None
            if text is None:
                self.fault(at, f"`{shown(key)}` has no value", "write `NAME=value` in a list, or `NAME: value`")
            else:
                pairs.append((at, key, self._text_of(text, at)))
        return pairs

    @staticmethod
    def _split(item: Any) -> tuple[str, str | None]:
        name, equals, value = item.partition("=") if isinstance(item, str) else (describe(item), "", "")
        return name, value if equals else None

    def _environment(self, value: Any, path: Path) -> dict[str, str]:
        result = {}
        for at, name, text in self._pairs(value, path):
            for complaint in (rules.variable(name), rules.value(text)):
                if complaint is not None:
                    self.fault(at, *complaint)
            result[name] = text
        return result

    def _labels(self, value: Any, path: Path) -> dict[str, str]:
        result = {}
        for at, name, text in self._pairs(value, path):
            # Traefik reads label names without regard to case.
            if name.lower().startswith(_OWN_LABELS):
                reason = "routes and their protection are derived from the lab, and proven"
                self.fault(at, f"label `{shown(name)}` is refused in an override: {reason}", "remove it")
            result[self._text_of(name, at)] = text
        return result

    def _volumes(self, value: Any, path: Path) -> list[Any]:
        mounts = self.expect(list, value, path) or []
        for index, mount in enumerate(mounts):
            at = (*path, index)
            if isinstance(mount, dict):
                source = mount.get("source")
                bind = mount.get("type") == "bind"
                if mount.get("type") not in ("bind", "volume", "tmpfs"):
                    self.fault(at, "a mount's `type` is `bind`, `volume` or `tmpfs`")
            else:
                parts = mount.split(":") if isinstance(mount, str) else []
                source, bind = (parts[0] if len(parts) > 1 else None), "/" in (parts or [""])[0]
                if not parts:
                    self.fault(at, f"a mount should be `/source:/target`, not {describe(mount)}")
            if source is not None or bind:
                self._source(source, bind, at)
        return [self._plain(mount, (*path, index)) for index, mount in enumerate(mounts)]

    def _source(self, source: Any, bind: bool, path: Path) -> None:
        if not isinstance(source, str) or not (source.startswith("/") or _VOLUME_NAME.fullmatch(source)):
            self.fault(path, f"source {describe(source)} is neither an absolute path nor a volume's name")
            return
        if not source.startswith("/"):
            if bind:
                self.fault(path, f"source {describe(source)} of a bind mount is not absolute", "start it with `/`")
            return
        plain = posixpath.normpath("/" + source.strip("/"))
        plain = plain.removeprefix("/var") if _covers("/var/run", plain) else plain
        if ".." in source.split("/"):
            self.fault(path, f"source `{shown(source)}` contains `..`", "write where it leads to")
        elif any(_covers(plain, socket) for socket in _SOCKETS) or plain.endswith((".sock", ".socket")):
            reason = "who talks to Docker's socket owns the machine"
            self.fault(path, f"mount `{shown(source)}` is refused in an override: {reason}", "remove it")
        elif plain not in _CLOCK_FILES and _is_systems(plain):
            self.fault(path, f"mount `{shown(source)}` is refused in an override: it belongs to the system")

    def _devices(self, value: Any, path: Path) -> Any:
        for index, device in enumerate(self.expect(list, value, path) or []):
            source = device.get("source") if isinstance(device, dict) else str(device).split(":")[0]
            if not re.fullmatch("/dev/(dri|kfd|snd|video|tty(ACM|USB)|serial|dvb|net/tun|bus/usb).*", str(source)):
                reason = "only graphics, sound, video, serial, USB and tun devices may be handed to a container"
                self.fault((*path, index), f"device {describe(source)} is refused in an override: {reason}")
            elif ".." in str(source).split("/"):
                self.fault((*path, index), f"device {describe(source)} contains `..`", "write where it leads to")
        return self._plain(value, path)

    def _deploy(self, value: Any, path: Path) -> Any:
        for key in self.expect(dict, value, path) or {}:
            if key != "resources":
                self.fault(
                    (*path, key), f"`{shown(key)}` is nothing an override may set", "`deploy` has `resources` only"
                )
        return self._plain(value, path)

    def _healthcheck(self, value: Any, path: Path) -> Any:
        check = self.expect(dict, value, path) or {}
        if "start_interval" in check:
            self.fault((*path, "start_interval"), "`start_interval` is an error before Docker 25", "remove it")
        if check.get("disable") or check.get("test") in ("NONE", ["NONE"]):
            self.fault(path, "an app without a health check cannot be seen to work", "keep it, or correct its `test`")
        return self._plain(value, path)

    def _user(self, value: Any, path: Path) -> Any:
        if str(value).split(":")[0].lstrip("0") in ("root", ""):
            self.fault(path, "`user` is refused in an override: apps do not run as root where they need not")
        return self._plain(value, path)


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _is_systems(path: str) -> bool:
    """Whether a system folder holds the path, or the path holds a system folder."""
    return any(_covers(system, path) or _covers(path, system) for system in rules.SYSTEM_FOLDERS)


def _covers(folder: str, path: str) -> bool:
    """Whether the path is the folder or lies in it."""
    return path == folder or path.startswith("/" if folder == "/" else f"{folder}/")
