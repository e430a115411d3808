"""Where the waker finds and puts things: its environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Options:
    """Where the waker finds and puts things. Defaults are those of its container."""

    config: Path = Path("/etc/waker")
    data: Path = Path("/data")
    routes: Path = Path("/routes")
    nudge: Path | None = None
    metrics: Path | None = None
    socket: Path = Path("/run/waker/admin.sock")
    spool: Path = Path("/data")
    docker: str = "unix:///run/control/docker.sock"
    traefik: str = "http://127.0.0.1:8080"
    address: str = "127.0.0.1"
    port: int = 9095

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Options:
        """Read WAKER_CONFIG, WAKER_DATA, WAKER_ROUTES, WAKER_NUDGE, WAKER_METRICS, WAKER_SOCKET, WAKER_SPOOL,
        WAKER_DOCKER, WAKER_TRAEFIK, WAKER_ADDRESS and WAKER_PORT. Raises `SettingsError`."""
        plain = cls()
        nudge, metrics = environment.get("WAKER_NUDGE", ""), environment.get("WAKER_METRICS", "")
        return cls(
            config=Path(environment.get("WAKER_CONFIG", plain.config)),
            data=Path(environment.get("WAKER_DATA", plain.data)),
            routes=Path(environment.get("WAKER_ROUTES", plain.routes)),
            nudge=Path(nudge) if nudge else None,
            metrics=Path(metrics) if metrics else None,
            socket=Path(environment.get("WAKER_SOCKET", plain.socket)),
            spool=Path(environment.get("WAKER_SPOOL", plain.spool)),
            docker=environment.get("WAKER_DOCKER", plain.docker),
            traefik=environment.get("WAKER_TRAEFIK", plain.traefik).rstrip("/"),
            address=environment.get("WAKER_ADDRESS", plain.address),
            port=_port(environment, "WAKER_PORT", plain.port),
        )


@dataclass(frozen=True)
class ControlOptions:
    """The same for what stands between the waker and Docker. `engine`: Docker itself; `socket`: the waker's way."""

    config: Path = Path("/etc/waker")
    socket: Path = Path("/run/control/docker.sock")
    engine: str = "unix:///var/run/docker.sock"
    address: str = "127.0.0.1"
    port: int = 9095

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ControlOptions:
        """Read WAKER_CONFIG, WAKER_CONTROL, WAKER_ENGINE, WAKER_ADDRESS and WAKER_PORT. Raises `SettingsError`."""
        plain = cls()
        return cls(
            config=Path(environment.get("WAKER_CONFIG", plain.config)),
            socket=Path(environment.get("WAKER_CONTROL", plain.socket)),
            engine=environment.get("WAKER_ENGINE", plain.engine),
            address=environment.get("WAKER_ADDRESS", plain.address),
            port=_port(environment, "WAKER_PORT", plain.port),
        )


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise SettingsError(f"{name}: {text!r} is no port")
    return int(text)
