"""The gate as a process: it starts, answers, ends at SIGTERM, and a SIGKILL loses nothing that was promised."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gate_world import PASSWORD, PEOPLE, POLICY, open_gate

from ez_homelab.runtime import gate as package
from ez_homelab.runtime.gate import admin
from ez_homelab.runtime.gate.__main__ import MOST_FILES
from ez_homelab.runtime.gate.store import MIGRATIONS, Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policy.json").write_text(json.dumps(POLICY))
    (tmp_path / "people.json").write_text(json.dumps({"version": 1, "users": PEOPLE}))
    (tmp_path / "key").write_text("0f" * 32 + "\n")
    return tmp_path


@contextmanager
def started(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A gate as its container starts it, on ports of the system's choice."""
    places = {"CONFIG": "", "DATA": "", "KEY": "key", "SOCKET": "admin.sock"}
    environment = {f"GATE_{name}": str(folder / path) for name, path in places.items()}
    ports = {"GATE_ADDRESS": "127.0.0.1", "GATE_PORTAL_PORT": "0", "GATE_AUTHORIZE_PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gate"],
        cwd=Path(package.__file__).parent.parent,
        env={**os.environ, **environment, **ports},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until_ready(process: subprocess.Popen[str]) -> list[int]:
    """The ports of the portal and of forward-auth."""
    assert process.stdout is not None
    for line in process.stdout:
        if "ready:" in line:
            return [int(word.strip(",\n")) for word in line.split() if word.strip(",\n").isdigit()]
    raise AssertionError("it ended before it was ready")


def status_of(port: int, path: str, fields: dict[str, str]) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=fields)
    status = connection.getresponse().status
    connection.close()
    return status


def ask(folder: Path, do: str, **more: object) -> dict[str, Any]:
    return dict(json.loads(admin.ask(str(folder / "admin.sock"), json.dumps({"do": do, **more}).encode())))


def test_it_serves_and_survives_a_kill_and_ends_at_a_signal(folder: Path) -> None:
    with started(folder) as process:
        portal, authorize = until_ready(process)
        fields = {"Method": "GET", "Proto": "https", "Host": "auth.lab.localhost", "Uri": "/", "For": "192.168.1.5"}
        assert status_of(portal, "/api/health", {}) == 200
        told = {f"X-Forwarded-{name}": value for name, value in fields.items()}
        assert status_of(authorize, "/api/authz/forward-auth", told) == 200
        assert ask(folder, "passwd", user="anna", password=PASSWORD) == {"user": "anna"}
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    with started(folder) as process:
        until_ready(process)
        assert ask(folder, "state")["users"]["anna"]["password"] is True
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not list(folder.glob("gate.db-wal"))
    assert (folder / "gate.db").stat().st_mode & 0o777 == 0o600


def test_it_takes_as_many_connections_as_it_may_where_docker_gives_few(folder: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    try:
        with started(folder) as process:
            until_ready(process)
            soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert soft == min(hard, MOST_FILES)
    assert soft > 512


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda folder: (folder / "key").write_text("short"), "the gate's key"),
        (lambda folder: (folder / "people.json").unlink(), "people.json cannot be read"),
        (lambda folder: (folder / "gate.db").write_text("no database at all" * 100), "cannot be used"),
    ],
    ids=["key", "people", "database"],
)
def test_what_keeps_it_from_starting_is_one_line(folder: Path, break_it: Any, says: str) -> None:
    break_it(folder)

    with started(folder) as process:
        told, _ = process.communicate(timeout=30)

    assert process.returncode == 1
    assert says in told.splitlines()[-1]
    assert "Traceback" not in told


def test_a_database_of_a_newer_gate_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "gate.db") as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    with pytest.raises(StoreError, match="this gate knows"):
        Store(tmp_path / "gate.db")


def test_what_breaks_off_half_way_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "gate.db")
    with pytest.raises(ZeroDivisionError), store.transaction(durable=True), store.transaction():
        store.change("INSERT INTO links VALUES (x'00', 'anna', 'login', 0, 0)")
        raise ZeroDivisionError

    assert store.row("SELECT count(*) FROM links") == (0,)
    with store.transaction():
        assert store.change("INSERT INTO links VALUES (x'00', 'anna', 'login', 0, 0)") == 1
    store.close()


async def test_what_was_answered_is_in_the_files_without_an_orderly_end(tmp_path: Path) -> None:
    with open_gate(tmp_path) as gate:
        await gate.accounts.set_password("anna", PASSWORD)
        secret, token, codes = await gate.enrol()
        await gate.accounts.check_recovery(token, codes[0], "192.168.1.5")
        copied = tmp_path / "as-after-a-kill"
        copied.mkdir()
        for path in tmp_path.glob("gate.db*"):
            (copied / path.name).write_bytes(path.read_bytes())
        for name in ("policy.json", "people.json"):
            (copied / name).write_bytes((tmp_path / name).read_bytes())
    with open_gate(copied) as again:
        assert again.accounts.second_factors("anna").recovery_left == 9
        assert [session.factors for session in again.accounts.sessions("anna")] == [2]
        again.clock.now = gate.clock.now
        token, _ = await again.sign_in()
        raised, _ = await again.accounts.check_totp(token, again.code(secret), "192.168.1.5")
        assert again.accounts.session_of(raised) is not None
