"""On demand: the engines that let apps sleep while nobody uses them, behind one Protocol. Pure: values in and out.

    engine_of(lab).files(lab, sleepers)           what the engine reads: what sleeps, and how it is woken
    engine_of(lab).traefik_files(lab, sleepers)   what it wants in the folder that Traefik watches

An engine is one or more apps of the core stack. How an app sleeps stands on its Route (`Route.lazy`); engines put it
into their own words and decide nothing themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.lazy.builtin import BuiltIn
from ez_homelab.lazy.engine import Engine, Part, Sleeper
from ez_homelab.lazy.sablier import Sablier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.config.model import Lab, OnDemandEngine

__all__ = ["ENGINES", "Engine", "Part", "Sleeper", "engine_of"]

ENGINES: Mapping[OnDemandEngine, Engine] = {"builtin": BuiltIn(), "sablier": Sablier()}


def engine_of(lab: Lab) -> Engine:
    """The engine that the lab file names."""
    return ENGINES[lab.on_demand.engine]
