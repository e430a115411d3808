"""A proof that looks several times: its people come once, stay, and go at the end, whatever happens on the way."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from authelia_in_memory import AutheliaInMemory
from gate_in_memory import ARGV

from ez_homelab.hosts import Completed
from ez_homelab.sso.authelia.people import guests_of, merge_users
from ez_homelab.verify.dial import Answer, Reply
from ez_homelab.verify.server import UNDECLARED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from engine_in_memory import LabOnFakeServer

    from ez_homelab.hosts import Command

LOOKS = 5
NO_APPS = "version: 1\ndomain: lab.localhost\nstacks: {}\n"


class OutOfOrderError(Exception):
    """Nothing that anybody expects."""


class Door:
    """In the place of the dialer: no app answers; Authelia's portal says what is in `refuses`, then signs people in.

    After its last look it is out of order.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses: list[int] = []
        self.looks = 0
        self.last_look = LOOKS

    async def get(self, url: str, **_: object) -> Answer:
        self.looks += UNDECLARED in url
        if self.looks > self.last_look:
            raise OutOfOrderError
        return Answer(0, problem=f"no answer from {url}")

    async def post(self, url: str, document: Any, *, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        path = url.partition("/api/")[2]
        self.asked.append(path)
        if path == "firstfactor" and self.refuses:
            return Reply(self.refuses.pop(0), "")
        cookies = {"authelia_session": document["username"]} if path == "firstfactor" else {}
        return Reply(200, '{"status":"OK"}', cookies)


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    made = Door()

    @asynccontextmanager
    async def dialer(*_: object) -> AsyncIterator[Door]:
        yield made

    monkeypatch.setattr("ez_homelab.verify.dial.dialer", dialer)
    monkeypatch.setattr("ez_homelab.lab.SETTLE_PAUSES", (0.0,) * LOOKS)
    monkeypatch.setattr("ez_homelab.authelia_people.LOOKS", (0.0,))
    monkeypatch.setattr("ez_homelab.authelia_people.COOLDOWN", 0.0)
    return made


@pytest.fixture
def gate(there: LabOnFakeServer) -> list[str]:
    """What a gate in memory was asked to do for the proof."""
    asked: list[str] = []

    def answer(command: Command) -> Completed:
        request = json.loads(command.stdin)
        asked.append(request["do"])
        made = {"user": f"verify-{len(asked):08}", "token": f"token-{len(asked)}"}
        return Completed(command, 0, json.dumps(made), "")

    there.host.answer(ARGV, does=answer)
    return asked


async def test_the_gates_people_are_made_once_for_all_looks(
    there: LabOnFakeServer, door: Door, gate: list[str]
) -> None:
    there.write(NO_APPS)
    await there.apply()
    await there.lab.verify_applied(await there.lab.plan(), whole=True)
    assert door.looks == LOOKS
    assert gate == ["identity"] * 3 + ["forget"] * 3


async def test_whoever_breaks_off_leaves_nobody(there: LabOnFakeServer, door: Door, gate: list[str]) -> None:
    there.write(NO_APPS)
    await there.apply()
    door.last_look = 1
    with pytest.raises(OutOfOrderError):
        await there.lab.verify_applied(await there.lab.plan(), whole=True)
    assert gate == ["identity"] * 3 + ["forget"] * 3


# By what Authelia's portal answers first: how often somebody signs in during all looks.
SIGN_INS: dict[str, tuple[list[int], int]] = {
    "all three at the first look": ([], 3),
    "nobody tries again after a refusal": ([401] * LOOKS, 1),
    "the reverse proxy does not know the portal yet": ([404, 502, 0], 6),
}


@pytest.mark.parametrize("case", SIGN_INS)
async def test_authelias_people_sign_in_once_for_all_looks(case: str, there: LabOnFakeServer, door: Door) -> None:
    door.refuses, sign_ins = [*SIGN_INS[case][0]], SIGN_INS[case][1]
    there.write("version: 1\ndomain: lab.localhost\nsign_on: {engine: authelia}\nstacks: {}\n")
    people = merge_users(None, there.lab.people, {})
    authelia = AutheliaInMemory(there.host, people)
    await there.apply()
    await there.lab.verify_applied(await there.lab.plan(), whole=True)
    assert door.looks == LOOKS
    assert door.asked.count("firstfactor") == sign_ins
    assert guests_of(authelia.users) == frozenset()
    assert authelia.totp == set()
