"""Where the gate finds and puts things: its environment variables and the key file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .policy import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Options:
    """Where the gate finds and puts things. Defaults are those of its container."""

    config: Path = Path("/etc/gate")
    data: Path = Path("/data")
    key: Path = Path("/run/secrets/gate_key")
    socket: Path = Path("/run/gate/admin.sock")
    address: str = "0.0.0.0"  # noqa: S104 - inside its container; Traefik's network is the only one that reaches it
    portal_port: int = 9091
    authorize_port: int = 9092

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Options:
        """Read GATE_CONFIG, GATE_DATA, GATE_KEY, GATE_SOCKET, GATE_ADDRESS, GATE_PORTAL_PORT, GATE_AUTHORIZE_PORT
        (0: a free one). Raises `SettingsError`."""
        plain = cls()
        return cls(
            config=Path(environment.get("GATE_CONFIG", plain.config)),
            data=Path(environment.get("GATE_DATA", plain.data)),
            key=Path(environment.get("GATE_KEY", plain.key)),
            socket=Path(environment.get("GATE_SOCKET", plain.socket)),
            address=environment.get("GATE_ADDRESS", plain.address),
            portal_port=_port(environment, "GATE_PORTAL_PORT", plain.portal_port),
            authorize_port=_port(environment, "GATE_AUTHORIZE_PORT", plain.authorize_port),
        )

    def read_key(self) -> bytes:
        """The 32 bytes that second factors are sealed with. Raises `SettingsError`."""
        try:
            text = self.key.read_text("ascii").strip()
            key = bytes.fromhex(text)
        except (OSError, ValueError) as fault:
            raise SettingsError(f"the gate's key {self.key} cannot be read: {type(fault).__name__}") from fault
        if len(key) != 32:
            raise SettingsError(
                f"the gate's key {self.key} has {len(key)} bytes; it needs 32, written as 64 hex digits"
            )
        return key


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise SettingsError(f"{name}: {text!r} is no port")
    return int(text)
