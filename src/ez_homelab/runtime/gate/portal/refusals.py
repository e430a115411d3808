"""What a person reads when something is refused, and the status that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .words import waiting

if TYPE_CHECKING:
    from ..accounts import Refused


@dataclass(frozen=True, slots=True)
class Answer:
    """A refusal in words. `retry_after` in seconds, 0 where trying again at once is fine."""

    status: int
    text: str
    retry_after: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        return {"Retry-After": str(self.retry_after)} if self.retry_after else {}


def answer_to(refused: Refused, wrong: str) -> Answer:
    """Return status and text. `wrong` is the text for what did not fit; a person who may not sign in reads it too, so
    that nobody learns from it which names exist or which password is right."""
    if refused.reason == "locked":
        wait = max(1, refused.retry_after)
        return Answer(429, f"Too many tries from here. Try again {waiting(wait)}.", wait)
    if refused.reason == "busy":
        wait = max(1, refused.retry_after)
        return Answer(503, f"Many people are signing in right now. Try again {waiting(wait)}.", wait)
    if refused.reason == "weak":
        return Answer(400, refused.detail or "Choose another password.")
    if refused.reason == "forbidden":
        return Answer(403, "A first second step can be set up only at home or after opening a one-time link.")
    if refused.reason == "stale":
        return Answer(403, "Confirm your password first: reload the page.")
    if refused.reason == "second-factor":
        return Answer(403, "Prove your second step first: reload the page.")
    if refused.reason == "gone":
        return Answer(401, "You are no longer signed in: reload the page.")
    return Answer(401, wrong)
