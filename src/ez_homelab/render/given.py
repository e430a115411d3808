"""What rendering is given besides the lab file and the catalog."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ez_homelab.config.people import Person
    from ez_homelab.secrets.value import Secret


def _as_it_is(reference: str) -> str:
    return reference


@dataclass(frozen=True)
class Given:
    """`editions`: app -> service -> reference of its package edition, for the apps that take it. `overrides`: the
    lab's own Compose fragments by instance. `secrets`: instance -> id -> value. `pin`: an image's reference with the
    digest that the lab has locked. `adopted`: texts that the lab took over from a server, by stack and path below its
    folder; they stand in place of what would be rendered. `people`: who may sign in, by user name.
    """

    editions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, Secret]] = field(default_factory=dict)
    pin: Callable[[str], str] = _as_it_is
    adopted: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)


NOTHING_GIVEN = Given()
