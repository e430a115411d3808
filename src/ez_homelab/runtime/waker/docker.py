"""What the waker asks of Docker, through control.py, which asks Docker itself and answers nothing else.

Docker Engine API 1.41 (Engine 20.10) and later: `GET /_ping`, `GET /containers/json`, `GET /containers/NAME/json`,
`GET /containers/NAME/logs`, `GET /events`, `POST /containers/NAME/start`, `POST /containers/NAME/stop`, and `restart`
of the waker itself. https://docs.docker.com/reference/api/engine/version/v1.41/
"""

from __future__ import annotations

import asyncio
import calendar
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from .client import LARGEST_ANSWER, SECONDS, Answer, Server
from .wire import WireError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OLDEST = (1, 41)
NEWEST = (1, 47)
"""Asked for where Docker speaks a later one; Engine 29 speaks 1.44 and later."""
START_SECONDS = 90.0
STOP_SECONDS = 90.0
LOG_LINES = 20
LIST_QUERY = "all=true"
LOG_QUERY = f"stdout=true&stderr=true&tail={LOG_LINES}"
EVENTS_QUERY = "filters=" + quote(json.dumps({"type": ["container"], "event": ["start", "die", "destroy"]}))
LARGEST_EVENT = 1_000_000
NEVER = ("0001-01-01T00:00:00", "0" * 9)


Kind = TypeVar("Kind")


class DockerError(Exception):
    """Docker has not done it; the text says why. `status` and `detail` are those of its answer, where there was one."""

    def __init__(self, sentence: str, status: int = 0, detail: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Found:
    """One container: Docker's word for what it does, its exit code, and its health ("" where it has no check).

    `error`: why its last start failed, "" where it did not. `started`: when that was, to be compared with others.
    """

    status: str
    exit_code: int = 0
    health: str = ""
    tty: bool = False
    error: str = ""
    started: tuple[str, str] = NEVER

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self.status == "running"

    @property
    def over(self) -> bool:
        """Whether it has ended and Docker does not start it again by itself."""
        return self.status in ("exited", "dead", "created", "removing")


class Docker:
    """Docker, or what stands before it."""

    def __init__(self, address: str, largest: int = LARGEST_ANSWER) -> None:
        """`largest`: bytes of an answer."""
        self._server = Server(address, largest)
        self._prefix = ""

    async def ping(self) -> str:
        """The version of the API that is spoken with it. Raises `DockerError`."""
        await self._asked("GET", "/_ping")
        return self._prefix.removeprefix("/v")

    async def states(self) -> dict[str, str]:
        """Every container by its name: Docker's word for what it does. Raises `DockerError`."""
        document = await self._document(f"/containers/json?{LIST_QUERY}", list)
        return {name.lstrip("/"): str(entry.get("State")) for entry in document for name in entry.get("Names") or ()}

    async def running(self) -> dict[str, bool]:
        """Every container by its name: whether it runs. Raises `DockerError`."""
        return {name: state == "running" for name, state in (await self.states()).items()}

    async def find(self, name: str) -> Found:
        """One container. Raises `DockerError`."""
        document = await self._document(f"/containers/{quote(name)}/json", dict)
        state, config = document.get("State") or {}, document.get("Config") or {}
        return Found(
            str(state.get("Status")),
            int(state.get("ExitCode", 0)),
            (state.get("Health") or {}).get("Status", ""),
            bool(config.get("Tty")),
            str(state.get("Error") or ""),
            moment(str(state.get("StartedAt") or "")),
        )

    async def identity(self, name: str) -> str:
        """The id of the container of exactly this name: Docker itself takes what is no name for how an id begins.

        Raises `DockerError`.
        """
        for entry in await self._document(f"/containers/json?{LIST_QUERY}", list):
            if f"/{name}" in (entry.get("Names") or ()):
                return str(entry["Id"])
        detail = f"No such container: {name}"
        raise DockerError(f"Docker answers 404: {detail}", 404, detail)

    async def start(self, name: str) -> bool:
        """Start it; whether it did not run before. One that runs is left as it is. Raises `DockerError`."""
        return await self.tell(name, "start") != 304

    async def stop(self, name: str) -> None:
        """Stop it, in the time it is given by its own settings; one that is not there is. Raises `DockerError`."""
        try:
            await self.tell(name, "stop")
        except DockerError:
            if (await self.running()).get(name):
                raise

    async def tell(self, name: str, what: str) -> int:
        """`start`, `stop` or `restart` it; Docker's status: 304 where it was so before. Raises `DockerError`."""
        seconds = START_SECONDS if what == "start" else STOP_SECONDS
        return (await self._asked("POST", f"/containers/{quote(name)}/{what}", seconds)).status

    async def log(self, name: str, *, tty: bool) -> list[str]:
        """Its last lines, none where Docker does not tell them."""
        try:
            answer = await self.raw_log(name, LARGEST_ANSWER)
        except DockerError:
            return []
        data = answer if tty else frames(answer)
        return data.decode("utf-8", "replace").replace("\r", "").split("\n")[-LOG_LINES - 1 :]

    async def raw_log(self, name: str, most: int, *, since: str = "") -> bytes:
        """Its last lines as Docker sends them, cut off after so many bytes; `since`: a Unix time.

        Raises `DockerError`.
        """
        target, text = f"/containers/{quote(name)}/logs?{LOG_QUERY}", b""
        target += f"&since={since}" if since else ""
        prefix = await self._version()
        try:
            async with asyncio.timeout(SECONDS), self._server.asked("GET", prefix + target) as (head, body):
                while len(text) < most and (piece := await body.read()):
                    text += piece
        except (OSError, WireError) as fault:
            raise DockerError(f"Docker does not answer: {fault or type(fault).__name__}") from fault
        if head.status != 200:
            raise _refused(Answer(head.status, text))
        return text[:most]

    async def events(self) -> AsyncIterator[tuple[str, str]]:
        """First two empty texts, once Docker listens; then name and `start`, `die` or `destroy` of each container that
        this happens to. Raises `DockerError` when the stream breaks off."""
        prefix = await self._version()
        try:
            async with self._server.asked("GET", f"{prefix}/events?{EVENTS_QUERY}") as (head, body):
                if head.status != 200:
                    raise DockerError(f"Docker's events are answered with {head.status}")
                yield "", ""
                unread = b""
                while piece := await body.read():
                    *lines, unread = (unread + piece).split(b"\n")
                    if len(unread) > LARGEST_EVENT:
                        raise DockerError("Docker's events cannot be read")
                    for line in filter(None, lines):
                        event = json.loads(line)
                        yield str(event["Actor"]["Attributes"]["name"]), str(event["Action"])
        except (OSError, WireError, ValueError, LookupError) as fault:
            raise DockerError(f"Docker's events break off: {fault or type(fault).__name__}") from fault
        raise DockerError("Docker's events have ended")

    async def _document(self, target: str, kind: type[Kind]) -> Kind:
        try:
            document = (await self._asked("GET", target)).json()
        except WireError as fault:
            raise DockerError(f"Docker's answer cannot be read: {fault}") from fault
        if not isinstance(document, kind):
            raise DockerError("Docker's answer has another form")
        return document

    async def _asked(self, method: str, target: str, seconds: float = SECONDS) -> Answer:
        try:
            answer = await self._server.ask(method, await self._version() + target, seconds)
        except (OSError, WireError) as fault:
            raise DockerError(f"Docker does not answer: {fault or type(fault).__name__}") from fault
        if answer.status >= 400:
            # 400 is what an engine says to a version it no longer speaks, as after an upgrade under live-restore.
            self._prefix = "" if answer.status == 400 else self._prefix
            raise _refused(answer)
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


def moment(text: str) -> tuple[str, str]:
    """A time of Docker's (2026-11-23T04:27:39.12Z, zeros at its end left out) as what can be compared."""
    second, _, part = text.removesuffix("Z").partition(".")
    return (second, part.ljust(9, "0")) if text else NEVER


def unix_time(moment: tuple[str, str]) -> int:
    """Whole seconds since 1970 of such a time; 0 for never."""
    return 0 if moment == NEVER else calendar.timegm(time.strptime(moment[0], "%Y-%m-%dT%H:%M:%S"))


def frames(data: bytes) -> bytes:
    """The text of a log stream whose frames have headers of 8 bytes: the kind, three zeros, the length."""
    text, at = b"", 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "big")
        text += data[at + 8 : at + 8 + length]
        at += 8 + length
    return text


def _refused(answer: Answer) -> DockerError:
    detail = _message(answer)
    return DockerError(f"Docker answers {answer.status}: {detail}", answer.status, detail)


def _message(answer: Answer) -> str:
    try:
        document: Any = answer.json()
        return str(document["message"])
    except (WireError, LookupError, TypeError):
        return answer.body[:200].decode("utf-8", "replace").strip()
