"""What is asked about people, of the real gate: it runs as a process, on the files that the lab renders for it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gate_in_memory import ARGV

from ez_homelab.config.people import Person
from ez_homelab.doctor import examine
from ez_homelab.doctor.checks.second_factor import SecondFactor
from ez_homelab.gate_admin import GateError
from ez_homelab.hosts.protocol import Completed
from ez_homelab.runtime import gate as package
from ez_homelab.secrets.value import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine_in_memory import LabOnFakeServer

    from ez_homelab.config.files import Edit
    from ez_homelab.hosts import Command

PASSWORD = "correct horse battery staple"


class GateProcess:
    """The gate of a lab whose server is in memory; its files are where the server's would be mounted."""

    def __init__(self, there: LabOnFakeServer, folder: Path) -> None:
        self.there = there
        self.folder = folder
        places = {"CONFIG": "", "DATA": "", "KEY": "key", "SOCKET": "admin.sock"}
        ports = {"ADDRESS": "127.0.0.1", "PORTAL_PORT": "0", "AUTHORIZE_PORT": "0"}
        values = ports | {name: str(folder / path) for name, path in places.items()}
        self.environment = {**os.environ, **{f"GATE_{name}": value for name, value in values.items()}}
        (folder / "key").write_text("0f" * 32)
        self.render()
        there.host.answer(ARGV, does=self._ask)

    def render(self) -> None:
        for file in self.there.lab.desired.servers["core"].files:
            if file.path.startswith("/opt/stacks/core/config/gate/"):
                (self.folder / Path(file.path).name).write_bytes(file.content)

    def write(self, edit: Edit) -> None:
        edit.write()
        self.render()

    @contextmanager
    def running(self) -> Iterator[None]:
        process = subprocess.Popen(
            [sys.executable, "-m", "gate"], cwd=Path(package.__file__).parent.parent, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            said: list[str] = []
            for line in process.stdout:
                said.append(line)
                if "ready:" in line:
                    break
            else:
                raise AssertionError("".join(said))
            yield
        finally:
            process.kill()
            process.communicate()

    def stored(self, user: str) -> list[object]:
        """What the gate keeps of the person's password."""
        with closing(sqlite3.connect(self.folder / "gate.db")) as database:
            return database.execute("SELECT * FROM credentials WHERE user = ?", (user,)).fetchall()

    def _ask(self, command: Command) -> Completed:
        ended = subprocess.run(
            [sys.executable, "-m", "gate.admin"], cwd=Path(package.__file__).parent.parent, env=self.environment,
            input=command.stdin, capture_output=True, check=False,
        )  # fmt: skip
        return Completed(command, ended.returncode, ended.stdout.decode(), ended.stderr.decode())


@pytest.fixture
def process(there: LabOnFakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GateProcess:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    (there.folder / "users.yaml").write_text("version: 1\nusers:\n  anna: {groups: [admins]}\n")
    folder = tmp_path / "gate"
    folder.mkdir()
    return GateProcess(there, folder)


async def test_a_person_comes_is_given_all_there_is_and_goes(there: LabOnFakeServer, process: GateProcess) -> None:
    with process.running():
        first = await there.lab.users.first_admin_way()
        assert first is not None
        assert first.url.reveal().startswith("https://auth.lab.localhost/link/")
        assert [(row.user, row.state) for row in (await there.lab.users.look()).rows] == [("anna", "invited")]
        assert [one.code for one in await examine(there.host, there.lab.subject, (SecondFactor(),))] == [
            "no-admin-password"
        ]
        await there.lab.users.set_password("anna", Secret(PASSWORD))
        assert await there.lab.users.first_admin_way() is None
        assert [one.code for one in await examine(there.host, there.lab.subject, (SecondFactor(),))] == [
            "admin-without-second-factor"
        ]
        with pytest.raises(GateError) as refused:
            await there.lab.users.set_password("anna", Secret("short"))
        assert refused.value.fix

        process.write(there.lab.users.adding("bob", Person("Bob", groups=("kids",)))[0])
        await asyncio.sleep(1)  # a link tells whole seconds
        invited = await there.lab.users.invite_new("bob")
        assert invited.expires > first.expires
        assert (await there.lab.users.login_link("anna")).url != first.url
        await there.lab.users.set_password("bob", Secret(PASSWORD))
        await there.lab.users.reset_second_factor("bob")
        await there.lab.users.sign_out("bob")
        assert [row.state for row in (await there.lab.users.look()).rows] == ["active", "active"]

        process.write(there.lab.users.changing("bob", lambda person: replace(person, disabled=True))[0])
        process.write(there.lab.users.removing("bob")[0])
        await there.lab.users.forget("bob")
        process.write(there.lab.users.adding("bob", Person("Another Bob"))[0])
        await there.lab.users.invite_new("bob")
        assert [row.state for row in (await there.lab.users.look()).rows] == ["active", "invited"]


async def test_what_somebody_left_who_went_by_hand_opens_nothing(there: LabOnFakeServer, process: GateProcess) -> None:
    users = there.folder / "users.yaml"
    users.write_text(users.read_text() + "  bob: {}\n")
    process.render()
    with process.running():
        await there.lab.users.set_password("bob", Secret(PASSWORD))
        before = process.stored("bob")
        await there.lab.users.invite_new("bob")
        after = process.stored("bob")
    assert len(before) == len(after) == 1
    assert before != after


async def test_without_a_running_gate_nothing_is_taken_for_known(there: LabOnFakeServer, process: GateProcess) -> None:
    found = await there.lab.users.look()
    assert "the gate does not answer" in found.unknown
    assert [row.state for row in found.rows] == ["unknown"]
