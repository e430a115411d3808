"""A person of the lab as everything behind the door sees one: what users.yaml says, nothing that is secret."""

from __future__ import annotations

from dataclasses import dataclass

PROOF_PREFIX = "verify-"
"""How the names of people begin who exist for one proof alone; nobody in users.yaml may have such a name.

The gate, which imports nothing of this, has its own (`runtime/gate/policy.py`).
"""


@dataclass(frozen=True, slots=True)
class Person:
    """Who may sign in. `name` is shown to people, `groups` decide what is open, `disabled` ends every session.

    People stand by their user name in a mapping: it is the key, so it is not repeated here. Passwords and second
    factors are the engine's and never part of this.
    """

    name: str
    email: str = ""
    groups: tuple[str, ...] = ()
    disabled: bool = False
