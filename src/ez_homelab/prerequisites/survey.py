"""What is on a server already. Every question only looks; none needs more than a bare Debian has."""

from __future__ import annotations

import asyncio
import json
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ez_homelab.hosts.protocol import Command
from ez_homelab.prerequisites.versions import MINIMUM_COMPOSE, docker_architecture, parse_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Completed, Host

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for, so that a user without the sbin folders sees what root will see."""

PROGRAMS = ("apt-get", "curl", "debootstrap", "dockerd", "iptables", "nsenter", "python3", "service", "ss")

PLUGINS = (
    "/root/.docker/cli-plugins/docker-compose",
    "/usr/local/lib/docker/cli-plugins/docker-compose",
    "/usr/local/libexec/docker/cli-plugins/docker-compose",
    "/usr/lib/docker/cli-plugins/docker-compose",
    "/usr/libexec/docker/cli-plugins/docker-compose",
)
"""Where Docker's command line looks for plugins, in its order (docker/cli, cli-plugins/manager)."""

DOCKER_PACKAGES = ("docker-ce", "docker.io")

PYTHON_PROBE = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10).read(1)"


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found on one server.

    `family` is the distribution whose packages fit: debian, ubuntu, or empty for any other. `architecture` is Docker's
    name. Versions are empty where the thing is missing, and `engine_version` also where the engine does not answer.
    `docker_package` names the package Docker came from, empty where none did. `docker_com` says whether docker.com's
    packages for this release can be fetched; None where that was not asked, because nothing is missing.
    """

    family: str = ""
    codename: str = ""
    release: str = ""
    architecture: str = ""
    root: bool = False
    systemd: bool = False
    programs: frozenset[str] = frozenset()
    docker_package: str = ""
    client_version: str = ""
    engine_version: str = ""
    engine_evidence: str = ""
    compose_version: str = ""
    compose_path: str = ""
    docker_com: bool | None = None

    @property
    def has_docker(self) -> bool:
        """Whether Docker's command line and its engine are installed (the engine need not run)."""
        return bool(self.client_version) and bool(self.engine_version or "dockerd" in self.programs)

    @property
    def has_compose(self) -> bool:
        """Whether `docker compose` is there and new enough."""
        return parse_version(self.compose_version) >= MINIMUM_COMPOSE

    @property
    def repository(self) -> str:
        """The address of docker.com's packages for this family."""
        return f"https://download.docker.com/linux/{self.family}"


def looking(*argv: str, timeout: float = 30.0) -> Command:
    """A command that changes nothing, found where root would find it."""
    return Command(argv, environment={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"}, timeout=timeout, changes=False)


QUESTIONS = {
    "machine": looking("uname", "-m"),
    "user": looking("id", "-u"),
    "systemd": looking("test", "-d", "/run/systemd/system"),
    "programs": looking("sh", "-c", 'for name; do command -v "$name"; done; true', "sh", *PROGRAMS),
    "packages": looking("dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\\n", *DOCKER_PACKAGES),
    "docker": looking("docker", "version", "--format", "{{json .}}"),
    "plugins": looking("sh", "-c", 'for path; do test -e "$path" && echo "$path"; done; true', "sh", *PLUGINS),
    "compose": looking("docker", "compose", "version", "--short"),
}


async def survey(host: Host) -> Survey:
    """Look at the server. Raises `UnreachableError` where it cannot be asked, `CommandError` where a program hangs."""
    release, answers = await asyncio.gather(
        host.read("/etc/os-release"), asyncio.gather(*(host.run(question) for question in QUESTIONS.values()))
    )
    family, codename, name = parse_release((release or b"").decode("utf-8", "replace"))
    answer = dict(zip(QUESTIONS, answers, strict=True))
    client, engine, evidence = parse_docker_version(answer["docker"])
    compose = answer["compose"]
    found = Survey(
        family=family,
        codename=codename,
        release=name,
        architecture=docker_architecture(answer["machine"].stdout),
        root=answer["user"].stdout.strip() == "0",
        systemd=answer["systemd"].ok,
        programs=frozenset(line.rsplit("/", 1)[-1] for line in answer["programs"].stdout.splitlines()),
        docker_package=parse_installed(answer["packages"].stdout),
        client_version=client,
        engine_version=engine,
        engine_evidence=evidence,
        compose_version=compose.stdout.strip().removeprefix("v") if compose.ok else "",
        compose_path=answer["plugins"].stdout.partition("\n")[0],
    )
    if found.family and not (found.has_docker and found.has_compose):
        return replace(found, docker_com=await _docker_com_answers(host, found))
    return found


def parse_release(text: str) -> tuple[str, str, str]:
    """Family, codename and full name, from /etc/os-release (os-release(5)). A derivative is what it is like."""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            values[name.strip()] = _unquoted(value)
    kinds = [values.get("ID", ""), *values.get("ID_LIKE", "").split()]
    family = next((kind for kind in kinds if kind in {"debian", "ubuntu"}), "")
    base = values.get("UBUNTU_CODENAME") if family == "ubuntu" else values.get("DEBIAN_CODENAME")
    name = values.get("PRETTY_NAME", "") or values.get("ID", "an unknown system")
    return family, base or values.get("VERSION_CODENAME", ""), name


def parse_installed(output: str) -> str:
    """The first of Docker's packages that dpkg has installed; empty where there is none."""
    installed = {
        name for name, _, status in (line.partition(" ") for line in output.splitlines()) if status == "installed"
    }
    return next((name for name in DOCKER_PACKAGES if name in installed), "")


def parse_docker_version(completed: Completed) -> tuple[str, str, str]:
    """Version of the client, version of the engine, and what was said instead where the engine has none."""
    if completed.status == 127:
        return "", "", ""
    try:
        document: Any = json.loads(completed.stdout)
    except ValueError:
        return "", "", completed.last_line
    client, engine = (_version(document, part) for part in ("Client", "Server"))
    return (
        client,
        engine,
        "" if engine else completed.last_line if completed.stderr.strip() else "the engine gave no version",
    )


def _version(document: Any, part: str) -> str:
    side: Mapping[str, Any] = (document.get(part) if isinstance(document, dict) else None) or {}
    return str(side.get("Version") or "")


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value.strip()


async def _docker_com_answers(host: Host, found: Survey) -> bool:
    """Whether the release file of docker.com's packages can be fetched; no where there is nothing to fetch it with."""
    address = f"{found.repository}/dists/{found.codename}/Release"
    if "curl" in found.programs:
        question = looking(
            "curl", "--silent", "--fail", "--location", "--max-time", "15", "--output", "/dev/null", address
        )
    elif "python3" in found.programs:
        question = looking("python3", "-c", PYTHON_PROBE, address)
    else:
        return False
    return (await host.run(question)).ok
