"""Every error a person can meet, as one object: stable code, what failed, the evidence, the likely cause, one fix.

    EzError
    +-- UsageError              exit 2: the call is wrong
    |   +-- LabFileError        exit 2: the lab file is wrong; holds every fault with its position
    |   +-- CatalogError        exit 2: an app's folder in a catalog is wrong
    +-- PlanStaleError          exit 1: the world is no longer the one that was planned for
    +-- LockedError             exit 1: another run holds the lab's lock
    +-- CommandError            exit 1: a command on a server said no
    +-- HealthError             exit 1: a service did not become healthy
    +-- PrerequisiteError       exit 1: the server cannot carry a lab as it stands
    +-- ProofError              exit 1: what users rely on was not found to hold
    +-- UnreachableError        exit 4: a server could not be looked at

CLI, web, MCP and the log show the same object. Expected errors print no traceback.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CHANGES = 3
EXIT_UNREACHABLE = 4


class EzError(Exception):
    """An expected failure. `str()` is what failed, in one plain sentence."""

    code: ClassVar[str] = "failed"
    exit_status: ClassVar[int] = EXIT_FAILED

    def __init__(self, what: str, *, evidence: str = "", cause: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.evidence = evidence
        self.cause = cause
        self.fix = fix

    def to_dict(self) -> dict[str, object]:
        """The error as every face prints it with `--json`."""
        return {
            "code": self.code,
            "what": self.what,
            "evidence": self.evidence,
            "cause": self.cause,
            "fix": self.fix,
        }


class UsageError(EzError):
    """The call itself is wrong: an unknown app, two options that exclude each other."""

    code = "usage"
    exit_status = EXIT_USAGE


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One mistake in a file a person wrote, with its position (line and column count from 1; 0: the whole file)."""

    file: str
    line: int
    column: int
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.message}" if self.line else f"{self.file}: {self.message}"
        return f"{text} ({self.suggestion})" if self.suggestion else text


class FaultyFileError(UsageError):
    """A file a person wrote has mistakes; all of them are in `faults`, in reading order."""

    code = "faulty-file"

    def __init__(self, what: str, faults: tuple[Fault, ...], *, fix: str) -> None:
        super().__init__(what, evidence="\n".join(str(fault) for fault in faults), fix=fix)
        self.faults = faults

    def to_dict(self) -> dict[str, object]:
        """The error with one entry per fault."""
        return super().to_dict() | {"faults": [asdict(fault) for fault in self.faults]}


class LabFileError(FaultyFileError):
    """homelab.yaml (or a file it includes, or an override) is wrong. Nothing was changed."""

    code = "lab-file"


class CatalogError(FaultyFileError):
    """An app's folder in a catalog is wrong. Nothing was changed."""

    code = "catalog"


class PlanStaleError(EzError):
    """Between planning and applying, something on a server changed."""

    code = "plan-stale"


class LockedError(EzError):
    """Another run holds the lab's lock."""

    code = "locked"


class CommandError(EzError):
    """A command on a server ended with a status other than 0."""

    code = "command-failed"


class HealthError(EzError):
    """A service was started and did not become healthy in the time its app declares."""

    code = "unhealthy"


class PrerequisiteError(EzError):
    """The server cannot carry a lab as it stands; nothing was changed."""

    code = "prerequisite"


class ProofError(EzError):
    """`verify` looked, and something that users rely on does not hold."""

    code = "proof-failed"


class UnreachableError(EzError):
    """A server could not be looked at. "Could not look" is never "is not there"."""

    code = "unreachable"
    exit_status = EXIT_UNREACHABLE
