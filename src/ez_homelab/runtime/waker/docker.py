"""What the waker asks of Docker, through a proxy that answers nothing else.

Docker Engine API 1.41 (Engine 20.10) and later: `GET /_ping`, `GET /containers/json`, `GET /containers/NAME/json`,
`GET /events`, `POST /containers/NAME/start`, `POST /containers/NAME/stop`; `GET /containers/NAME/logs` where the proxy
lets it through. https://docs.docker.com/reference/api/engine/version/v1.41/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .client import Answer, Server
from .wire import WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OLDEST = (1, 41)
NEWEST = (1, 47)
"""Asked for where Docker speaks a later one; Engine 29 speaks 1.44 and later."""
START_SECONDS = 90.0
STOP_SECONDS = 90.0
LOG_LINES = 20
EVENTS = {"type": ["container"], "event": ["start", "die", "destroy"]}


class DockerError(Exception):
    """Docker has not done it; the text says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """One container: Docker's word for what it does, its exit code, and its health ("" where it has no check)."""

    status: str
    exit_code: int = 0
    health: str = ""
    tty: bool = False

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self.status == "running"

    @property
    def over(self) -> bool:
        """Whether it has ended and Docker does not start it again by itself."""
        return self.status in ("exited", "dead", "created", "removing")


class Docker:
    """Docker behind its proxy."""

    def __init__(self, address: str) -> None:
        self._server = Server(address)
        self._prefix = ""

    async def running(self) -> dict[str, bool]:
        """Every container by its name: whether it runs. Raises `DockerError`."""
        answer = await self._asked("GET", "/containers/json?all=true")
        return {name.lstrip("/"): entry.get("State") == "running" for entry in answer.json() for name in entry["Names"]}

    async def find(self, name: str) -> Found:
        """One container. Raises `DockerError`."""
        document = (await self._asked("GET", f"/containers/{quote(name)}/json")).json()
        state, config = document["State"], document.get("Config") or {}
        health = (state.get("Health") or {}).get("Status", "")
        return Found(state["Status"], int(state.get("ExitCode", 0)), health, bool(config.get("Tty")))

    async def start(self, name: str) -> None:
        """Start it; one that runs is left as it is. Raises `DockerError`."""
        await self._asked("POST", f"/containers/{quote(name)}/start", START_SECONDS)

    async def stop(self, name: str) -> None:
        """Stop it, in the time it is given by its own settings; one that is not there is. Raises `DockerError`."""
        try:
            await self._asked("POST", f"/containers/{quote(name)}/stop", STOP_SECONDS)
        except DockerError:
            if (await self.running()).get(name):
                raise

    async def log(self, name: str, *, tty: bool) -> list[str]:
        """Its last lines, none where the proxy does not allow that."""
        query = f"/containers/{quote(name)}/logs?stdout=true&stderr=true&tail={LOG_LINES}"
        try:
            answer = await self._asked("GET", query)
        except DockerError:
            return []
        data = answer.body if tty else frames(answer.body)
        return data.decode("utf-8", "replace").replace("\r", "").split("\n")[-LOG_LINES - 1 :]

    async def events(self) -> AsyncIterator[tuple[str, str]]:
        """First two empty texts, once Docker listens; then name and `start`, `die` or `destroy` of each container that
        this happens to. Raises `DockerError` when the stream breaks off."""
        prefix = await self._version()
        filters = quote(json.dumps(EVENTS))
        try:
            async with self._server.asked("GET", f"{prefix}/events?filters={filters}") as (head, body):
                if head.status != 200:
                    raise DockerError(f"Docker's events are answered with {head.status}")
                yield "", ""
                unread = b""
                while piece := await body.read():
                    *lines, unread = (unread + piece).split(b"\n")
                    for line in filter(None, lines):
                        event = json.loads(line)
                        yield str(event["Actor"]["Attributes"]["name"]), str(event["Action"])
        except (OSError, WireError, ValueError, LookupError) as fault:
            raise DockerError(f"Docker's events break off: {fault or type(fault).__name__}") from fault
        raise DockerError("Docker's events have ended")

    async def _asked(self, method: str, target: str, seconds: float = 10.0) -> Answer:
        try:
            answer = await self._server.ask(method, await self._version() + target, seconds)
        except (OSError, WireError) as fault:
            raise DockerError(f"Docker does not answer: {fault or type(fault).__name__}") from fault
        if answer.status >= 400:
            raise DockerError(f"Docker answers {answer.status}: {_message(answer)}")
        return answer

    async def _version(self) -> str:
        """What every path begins with: the newest version of the API that both know."""
        if not self._prefix:
            try:
                async with self._server.asked("GET", "/_ping") as (head, _):
                    spoken = version(head.get("api-version"))
            except (OSError, WireError) as fault:
                raise DockerError(f"Docker does not answer: {fault or type(fault).__name__}") from fault
            self._prefix = "/v{}.{}".format(*min(NEWEST, max(OLDEST, spoken)))
        return self._prefix


def version(text: str) -> tuple[int, int]:
    """A version of the API as numbers; the oldest where the text is none."""
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else OLDEST


def frames(data: bytes) -> bytes:
    """The text of a log stream whose frames have headers of 8 bytes: the kind, three zeros, the length."""
    text, at = b"", 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "big")
        text += data[at + 8 : at + 8 + length]
        at += 8 + length
    return text


def _message(answer: Answer) -> str:
    try:
        document: Any = answer.json()
        return str(document["message"])
    except (WireError, LookupError, TypeError):
        return answer.body[:200].decode("utf-8", "replace").strip()
