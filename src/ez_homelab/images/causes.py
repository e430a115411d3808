"""Likely causes of a failed build or pull, recognised from what the programs said. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Cause:
    """A kind of failure: how it shows, what it means, one fix to run. Its name is stable."""

    name: str
    pattern: re.Pattern[str]
    meaning: str
    fix: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What was made of a failed program's output: the line that says it, and its cause where it is a known one."""

    evidence: str
    cause: Cause | None

    @property
    def meaning(self) -> str:
        """The cause in a sentence; empty where it is not a known one."""
        return self.cause.meaning if self.cause else ""

    @property
    def fix(self) -> str:
        """The one fix; empty where the cause is not a known one."""
        return self.cause.fix if self.cause else ""


def _cause(name: str, pattern: str, meaning: str, fix: str) -> Cause:
    return Cause(name, re.compile(pattern, re.IGNORECASE), meaning, fix)


_DISK = _cause(
    "disk-full",
    r"no space left on|disk quota exceeded|not enough free space|you don't have enough free space",
    "the disk is full",
    "free space where Docker keeps its data: docker system df, then docker image prune",
)
_ENGINE = _cause(
    "engine-down",
    r"cannot connect to the docker daemon|"
    r"docker\.sock: (connect: )?(permission denied|no such file|connection refused)",
    "the Docker engine does not answer",
    "ez-homelab doctor",
)
_CERTIFICATE = _cause(
    "certificate",
    r"certificate[ _]verify[ _]failed|confirming the ssl certificate|"
    r"certificate signed by unknown authority|unable to get local issuer|"
    r"server certificate verification failed|certificate is not trusted",
    "something between here and the internet signs with its own certificate authority, which is not trusted here",
    "put that authority's certificate into /usr/local/share/ca-certificates as NAME.crt, run update-ca-certificates, "
    "then try again",
)
_NETWORK = _cause(
    "network",
    r"temporary failure (in name resolution|resolving)|could not resolve|name or service not known|no such host|"
    r"network is unreachable|no route to host|connection (refused|reset|timed out)|i/o timeout|tls handshake timeout|"
    r"failed to establish a new connection|could not connect to|unable to connect|client\.timeout exceeded|"
    r"context deadline exceeded|connection to .* timed out|couldn't download|read timed out|"
    r"failed getting release file",
    "the network, a name server or the other side did not answer",
    "check that this server reaches the internet: curl -I https://deb.debian.org",
)

BUILD_CAUSES = (
    _DISK,
    _ENGINE,
    _CERTIFICATE,
    _cause(
        "signature",
        r"release signed by unknown key|gpg error|no_pubkey|is not signed|invalid release signature",
        "the package archive's signature could not be checked",
        "apt-get update && apt-get install debian-archive-keyring",
    ),
    _cause(
        "mount-options",
        r"mounted with noexec or nodev",
        "/var/lib/ez-homelab lies on a disk that is mounted with noexec or nodev",
        "mount the disk that holds /var/lib/ez-homelab without these options",
    ),
    _cause(
        "hash-mismatch",
        r"do not match the hashes|hash sum mismatch|hashes are required",
        "a downloaded package is not the one that this edition was made with",
        "try again later; where it stays so, report it: the package or the way to it was changed",
    ),
    # Before "package not found": with no network, pip and apt say both, and the network is the cause.
    _NETWORK,
    _cause(
        "package-not-found",
        r"unable to locate package|has no installation candidate|no matching distribution found|"
        r"could not find a version that satisfies|version .* for .* was not found|couldn't find these debs",
        "the package archive does not have a package that this edition needs, or not for this processor",
        "update EZ-Homelab: a newer edition names packages that are there",
    ),
    _cause(
        "memory",
        r"returned a non-zero code: 137|out of memory|cannot allocate memory",
        "the build ran out of memory",
        "stop something, or add swap, and try again",
    ),
)

PULL_CAUSES = (
    _DISK,
    _ENGINE,
    _cause(
        "rate-limit",
        r"toomanyrequests|too many requests|rate limit",
        "the registry limits how much may be pulled from this address in a time",
        "wait some hours, sign in with docker login, or name a mirror in homelab.yaml (images.mirror)",
    ),
    _cause(
        "architecture",
        r"no matching manifest for|does not match the specified platform|exec format error|no child with platform",
        "there is no such image for this server's processor",
        "remove the app from this server, or run it on one with another processor",
    ),
    _cause(
        "no-such-image",
        r"manifest unknown|manifest for .* not found|pull access denied|repository does not exist|"
        r"name unknown|invalid reference format|: not found$",
        "the registry has no image of that name and version, or shows it only after a sign-in",
        "check the name and the version; where the image is private, docker login first",
    ),
    _CERTIFICATE,
    replace(
        _NETWORK,
        fix="check that this server reaches the registry; where it cannot, name a mirror in homelab.yaml "
        "(images.mirror) or take package editions",
    ),
    _cause(
        "registry-trouble",
        r"received unexpected http status: 5\d\d|internal server error|bad gateway|service unavailable|"
        r"unexpected status code 5\d\d",
        "the registry has trouble of its own",
        "try again in some minutes",
    ),
    _cause(
        "refused",
        r"unauthorized|denied|forbidden|unexpected status code 40[13]|http status: 40[13]",
        "the registry, or something on the way to it, refused",
        "where the image is private, docker login first; else ask who runs your network about the registry",
    ),
)

LONGEST = 240
_STEP = re.compile(r"^Step \d+/\d+ : ")
# The builder colours what a step says on standard error.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_COMPLAINT = re.compile(r"^(E|Err|error|fatal|dpkg: error)\b[: ]|\berror:", re.IGNORECASE)


def recognise(output: str, causes: Iterable[Cause]) -> Finding:
    """The first of the known causes that the output shows, with the line that shows it; else its last line."""
    lines = _lines(output)
    for cause in causes:
        for line in lines:
            if cause.pattern.search(line):
                return Finding(_cut(line), cause)
    # Docker's own last line repeats the command; what the command itself said is above it.
    own = [line for line in lines if not line.startswith(("The command '", "Removing intermediate container"))]
    complaints = [line for line in own if _COMPLAINT.search(line)]
    return Finding(_cut(complaints[0] if complaints else (own or ["no output"])[-1]), None)


def failing_step(output: str) -> str:
    """The `Step N/M : ...` line of the build step that was running when the output ended; empty where there is none."""
    steps = [line for line in _lines(output) if _STEP.match(line)]
    return _cut(steps[-1]) if steps else ""


def _lines(output: str) -> list[str]:
    plain = _COLOUR.sub("", output)
    return [line.strip() for line in plain.splitlines() if line.strip()]


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
