"""What `verify` found: a row per claim, each with the evidence that was seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection

State = Literal["passed", "failed", "note"]


@dataclass(frozen=True, slots=True)
class Check:
    """One claim about one subject (a route's name, or `lab`) and what was seen.

    A `note` is nothing that the lab promises, yet something a person should know, such as a hand-made router.
    """

    subject: str
    claim: str
    state: State
    evidence: str


@dataclass(frozen=True, slots=True)
class Proof:
    """All rows of one look."""

    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing failed, and something was looked at."""
        return bool(self.checks) and not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """The rows that failed."""
        return tuple(check for check in self.checks if check.state == "failed")

    def about(self, subjects: Collection[str]) -> Proof:
        """The rows about these subjects alone."""
        return Proof(tuple(check for check in self.checks if check.subject in subjects))

    def of(self, subject: str) -> tuple[Check, ...]:
        """The rows about one subject."""
        return tuple(check for check in self.checks if check.subject == subject)

    def to_dict(self) -> dict[str, object]:
        """The proof as `--json` prints it."""
        return {"holds": self.holds, "checks": [asdict(check) for check in self.checks]}


def passed(subject: str, claim: str, evidence: str) -> Check:
    """A claim that was seen to hold."""
    return Check(subject, claim, "passed", evidence)


def failed(subject: str, claim: str, evidence: str) -> Check:
    """A claim that was seen not to hold, or could not be looked at."""
    return Check(subject, claim, "failed", evidence)


def judged(subject: str, claim: str, holds: bool, evidence: str) -> Check:
    """A claim that holds or does not."""
    return passed(subject, claim, evidence) if holds else failed(subject, claim, evidence)
