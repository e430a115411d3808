"""What a front needs of a sign-on engine, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ez_homelab.config.model import SignOnEngine

Document = dict[str, Any]


class Engine(Protocol):
    """A sign-on engine as processes of this machine.

    `start` may be called once. `forward_auth` and `portal` are URLs, good after it.
    """

    name: SignOnEngine
    forward_auth: str
    portal: str

    def start(self, folder: Path, policy: Document, people: Document, passwords: Mapping[str, str]) -> None:
        """Run with the policy and the people of these two documents (policy.json and people.json of the gate)."""

    def sign_in(self, user: str, factors: int) -> str:
        """A new session of that user with 1 or 2 factors: the cookie pair `name=value` that a browser would send."""

    def stop(self) -> None:
        """End it."""
