"""Sign-on: the engines that ask for the password in front of every app, behind one Protocol. Pure: values in and out.

    engine_of(lab).forward_auth()                 the middleware that every request passes
    engine_of(lab).files(lab, routes, people)     what the engine reads: who may open what, and who there is

An engine is one or more apps of the core stack. Who may open what stands on the Routes (`Route.sign_on`); engines put
it into their own words and decide nothing themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.sso.authelia import Authelia
from ez_homelab.sso.builtin import BuiltIn
from ez_homelab.sso.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.config.model import Lab, SignOnEngine

__all__ = ["ENGINES", "Engine", "engine_of"]

ENGINES: Mapping[SignOnEngine, Engine] = {"builtin": BuiltIn(), "authelia": Authelia()}


def engine_of(lab: Lab) -> Engine:
    """The engine that the lab file names."""
    return ENGINES[lab.sign_on.engine]
