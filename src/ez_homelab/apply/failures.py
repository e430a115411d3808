"""How an apply can fail as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.errors import EzError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ez_homelab.apply.executor import Outcome
    from ez_homelab.plan.action import Plan


class ApplyFailedError(EzError):
    """Some actions failed; what did not depend on them was carried through.

    `errors` are told instead of those that the outcomes hold, where a stack was taken back because of one.
    """

    code = "apply-failed"

    def __init__(self, outcomes: Sequence[Outcome], errors: Sequence[EzError] = ()) -> None:
        self.errors = tuple(errors) or tuple(outcome.error for outcome in outcomes if outcome.error)
        failed = [outcome.action for outcome in outcomes if outcome.state == "failed"]
        skipped = [outcome.action for outcome in outcomes if outcome.state == "skipped"]
        first = self.errors[0]
        waiting = f"; {len(skipped)} that wait for them were not tried" if skipped else ""
        super().__init__(
            f"{len(failed)} of {len(outcomes)} actions failed{waiting}: {first.what}",
            evidence=first.evidence,
            cause=first.cause,
            fix=first.fix,
        )

    def to_dict(self) -> dict[str, object]:
        """The error with one entry per failed action."""
        return super().to_dict() | {"errors": [error.to_dict() for error in self.errors]}


class NotSettledError(EzError):
    """Every action said done, and a second look found that the servers are still not as desired."""

    code = "not-settled"

    def __init__(self, left: Plan) -> None:
        super().__init__(
            "the servers are still not as the lab file says, although every action was done",
            evidence=left.text().strip(),
            cause="something else changes the same things, or an app failed right after its start",
            fix="ez-homelab plan",
        )
