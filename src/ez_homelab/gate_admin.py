"""What the gate is asked by whoever is root on core: through `docker exec` and a socket inside its container.

There is no way to it over a network. Requests go in by standard input, so no password and no token stands in a process
list.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ez_homelab.errors import EzError
from ez_homelab.hosts import Command

if TYPE_CHECKING:
    from ez_homelab.hosts import Host

GATE = "gate"
"""The name of its container."""

INVITE_HOURS = 72
"""How long an invitation is valid where nobody says otherwise."""


ASK_GATE = ("docker", "exec", "-i", GATE, "python3", "-m", "gate.admin")
"""The command that asks it: a request on standard input, the answer on standard output."""


class GateError(EzError):
    """The gate could not be asked, or said no."""

    code = "gate"


async def ask_gate(host: Host, do: str, **request: object) -> dict[str, Any]:
    """The gate's answer to one request (`runtime/gate/admin.py` lists them).

    Raises `GateError` where there is no running gate, or where it refuses; `UnreachableError` as the host does.
    """
    sent = json.dumps({"do": do, **request}).encode() + b"\n"
    completed = await host.run(Command(ASK_GATE, stdin=sent, timeout=30))
    try:
        answer = json.loads(completed.stdout)
    except ValueError:
        raise GateError(
            "the gate did not answer",
            evidence=completed.last_line,
            cause="its container does not run, or has just been started",
            fix="ez-homelab status, then ez-homelab logs gate",
        ) from None
    if refusal := answer.get("error"):
        raise GateError(str(refusal), fix=str(answer.get("fix") or "ez-homelab logs gate"))
    return dict(answer)
