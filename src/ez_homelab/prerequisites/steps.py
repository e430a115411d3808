"""What would be installed on a server, and why. Pure: from a survey, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.errors import PrerequisiteError
from ez_homelab.prerequisites.compose_release import COMPOSE_VERSION, RELEASES
from ez_homelab.prerequisites.versions import MINIMUM_COMPOSE

if TYPE_CHECKING:
    from ez_homelab.prerequisites.survey import Survey

TOOLS = {
    "curl": ("curl", "fetches signing keys and proves that apps answer"),
    "ss": ("iproute2", "says who listens on a port"),
    "iptables": ("iptables", "Docker's networks are made with it"),
    "nsenter": ("util-linux", "looks into a container's network"),
}
BUILD_TOOLS = {"debootstrap": ("debootstrap", "makes the Debian base that package editions are built on")}

DOCKER_COM_PACKAGES = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin")


@dataclass(frozen=True, slots=True)
class InstallStep:
    """One thing to do. `what` and `why` are one plain line each."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class PackagesStep(InstallStep):
    """Install packages with apt-get."""

    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RepositoryStep(InstallStep):
    """Make docker.com's packages known to apt, signed by docker.com's key."""

    address: str
    codename: str
    architecture: str


@dataclass(frozen=True, slots=True)
class ComposeBinaryStep(InstallStep):
    """Put the released Compose binary where Docker's command line looks for plugins."""

    architecture: str


@dataclass(frozen=True, slots=True)
class StartEngineStep(InstallStep):
    """Start Docker's engine and wait until it answers."""

    systemd: bool


@dataclass(frozen=True, slots=True)
class LinkStep(InstallStep):
    """Make `paths` links to `program`, so that the command is found from everywhere."""

    program: str
    paths: tuple[str, ...]


def steps(survey: Survey, *, need_debootstrap: bool) -> tuple[InstallStep, ...]:
    """What is missing, in the order it has to be installed; empty where nothing is.

    Raises `PrerequisiteError` where this tool cannot install what is missing.
    """
    todo: list[InstallStep] = [
        *_tools(survey, TOOLS | (BUILD_TOOLS if need_debootstrap else {})),
        *_docker(survey),
        *_compose(survey),
    ]
    if not survey.engine_version:
        manager = "systemd, at every boot" if survey.systemd else "directly: this machine has no systemd"
        why = "no container runs without it"
        todo.append(StartEngineStep(f"start Docker's engine ({manager})", why, survey.systemd))
    if any(isinstance(step, PackagesStep | RepositoryStep) for step in todo):
        _refuse_without_apt(survey, todo)
    return tuple(todo)


def _tools(survey: Survey, wanted: dict[str, tuple[str, str]]) -> list[InstallStep]:
    # Without Docker the certificate store may be missing too; apt-get does nothing where it is there.
    missing = {program: entry for program, entry in wanted.items() if program not in survey.programs}
    if not missing:
        return []
    packages = [package for package, _ in missing.values()]
    why = "; ".join(f"{package} {reason}" for package, reason in missing.values())
    return [PackagesStep(f"install {', '.join(packages)}", why, (*packages, "ca-certificates"))]


def _docker(survey: Survey) -> list[InstallStep]:
    if survey.has_docker:
        return []
    if survey.docker_com and not survey.docker_package:
        return [
            _repository(survey),
            PackagesStep("install Docker Engine and Compose", "they run the apps", DOCKER_COM_PACKAGES),
        ]
    packages = ("docker-ce", "docker-ce-cli") if survey.docker_package == "docker-ce" else _distribution_docker(survey)
    why = "it runs the apps; docker.com's own packages cannot be reached from here"
    if survey.docker_com:
        why = f"it runs the apps; {survey.docker_package} is installed, and part of it is missing"
    return [PackagesStep(f"install Docker Engine ({packages[0]}, from this system's archive)", why, packages)]


def _distribution_docker(survey: Survey) -> tuple[str, ...]:
    packages = ["docker.io", "iptables", "apparmor"]
    if survey.family == "debian" and survey.codename != "bookworm":
        packages.append("docker-cli")  # its own package since Debian 13
    if survey.codename == "bookworm" and not survey.systemd:
        packages.append("cgroupfs-mount")  # what systemd does elsewhere; Debian 13 has no such package
    return tuple(packages)


def _repository(survey: Survey) -> RepositoryStep:
    return RepositoryStep(
        "add docker.com's packages to apt, signed by docker.com's key",
        "Docker's newest release, kept up to date with the system",
        survey.repository,
        survey.codename,
        survey.architecture,
    )


def _compose(survey: Survey) -> list[InstallStep]:
    if survey.has_compose or (survey.docker_com and not survey.has_docker and not survey.docker_package):
        return []
    why = _compose_reason(survey)
    package = _compose_package(survey)
    if package:
        return [PackagesStep(f"install Docker Compose ({package})", why, (package,))]
    if survey.architecture in RELEASES:
        return [
            ComposeBinaryStep(
                f"install Docker Compose {COMPOSE_VERSION} as a plugin of docker", why, survey.architecture
            )
        ]
    raise PrerequisiteError(
        f"Docker Compose is missing, and there is no release of it for this machine ({survey.architecture})",
        evidence=f"{survey.release}, {survey.architecture}",
        cause="EZ-Homelab runs on amd64 and arm64",
        fix="use a 64-bit system, or install Compose 2.20 or newer as a plugin of docker by hand",
    )


def _compose_reason(survey: Survey) -> str:
    """Why Compose has to be installed. Refuses where an old one would be taken whatever is installed beside it."""
    if not survey.compose_version:
        return "it starts the stacks"
    oldest = ".".join(map(str, MINIMUM_COMPOSE))
    if survey.compose_path.startswith("/root/"):
        raise PrerequisiteError(
            f"Docker Compose {survey.compose_version} is too old, and lies where docker looks first",
            evidence=f"{survey.compose_path} is {survey.compose_version}; {oldest} is the oldest that will do",
            cause="somebody put it there by hand",
            fix=f"rm {survey.compose_path}; then run this again",
        )
    return f"it starts the stacks; {survey.compose_version} is there, and {oldest} is the oldest that will do"


def _compose_package(survey: Survey) -> str:
    """The package that brings a Compose that is new enough; empty where the archive has none."""
    if survey.docker_package == "docker-ce":
        return "docker-compose-plugin"
    if survey.compose_version or (survey.has_docker and not survey.docker_package):
        return (
            ""  # the archive's is the old one that is there; or Docker came by hand, and a package brings a second one
        )
    if survey.family == "ubuntu":
        return "docker-compose-v2"
    if survey.family == "debian" and survey.codename != "bookworm":
        return "docker-compose"  # bookworm's is Compose 1.29
    return ""


def _refuse_without_apt(survey: Survey, todo: list[InstallStep]) -> None:
    if survey.family and "apt-get" in survey.programs:
        return
    missing = [name for step in todo if isinstance(step, PackagesStep) for name in step.packages]
    raise PrerequisiteError(
        f"{survey.release} is a system whose packages EZ-Homelab does not know how to install",
        evidence=f"missing: {', '.join(dict.fromkeys(missing))}",
        cause="it knows Debian, Ubuntu and what is made from them",
        fix="install what is missing with the system's own package manager, then run this again",
    )
