"""The gate against what a real Authelia answered (records/*.yaml), and that Authelia against it where one is given.

Where the two differ the record says how the gate answers and why. The configurations in records/accepted/ are those
that Authelia took by `authelia config validate`; what is rendered today must be the same.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import recorded
import yaml
from sso_lab import AUTHELIA, LAB, start

from ez_homelab.config.model import Smtp
from ez_homelab.secrets.value import Secret
from ez_homelab.sso.authelia.configuration import configuration
from ez_homelab.sso.engine import Client
from ez_homelab.testing.front.authelia import SESSION_COOKIE as AUTHELIA_COOKIE
from ez_homelab.testing.front.client import exchange
from ez_homelab.testing.front.described import lab_of, routes_of
from ez_homelab.testing.front.gate import SESSION_COOKIE, Gate
from ez_homelab.testing.make_lab import desired_of, make_lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ez_homelab.testing.front import Front

# Who shows a second factor has one from then on, which the gate takes into account: the others never do here.
SIGNED_IN = (("anna", 1), ("anna", 2), ("carol", 1), ("carol", 2), ("ben", 1), ("dora", 1))
DIFFERENCES = recorded.load("differences.yaml")
ACCEPTED = recorded.RECORDS / "accepted"


@dataclass(frozen=True, slots=True)
class Asked:
    """An engine that can be asked as Traefik asks it, with everybody signed in."""

    port: int
    cookie_name: str
    sessions: dict[tuple[str, int], str]

    def answer(self, record: dict[str, Any]) -> dict[str, Any]:
        """What it says to a record's request, in a record's words."""
        session = self.sessions[record["as"], record["factors"]] if "as" in record else ""
        request = recorded.request(record | {"cookie_name": self.cookie_name}, self.port, session)
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            return recorded.told(exchange(connection, request))


@pytest.fixture(scope="module")
def gate_asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A gate of this module's own."""
    with start(tmp_path_factory.mktemp("records"), Gate()) as front:
        assert isinstance(front.engine, Gate)
        yield Asked(front.engine.authorize_port, SESSION_COOKIE, _sessions(front))


@pytest.fixture(scope="module")
def authelia_asked(authelia_front: Front) -> Asked:
    """The Authelia that EZ_TEST_AUTHELIA names."""
    port = int(authelia_front.engine.portal.rpartition(":")[2])
    return Asked(port, AUTHELIA_COOKIE, _sessions(authelia_front))


def _sessions(front: Front) -> dict[tuple[str, int], str]:
    return {(user, factors): front.engine.sign_in(user, factors) for user, factors in SIGNED_IN}


def _records() -> list[Any]:
    names = ("decisions", "methods", "paths", "hosts", "addresses", "sessions")
    return [
        pytest.param(record, id=f"{name}: {record['name']}")
        for name in names
        for record in recorded.load(f"{name}.yaml")
    ]


@pytest.mark.parametrize("record", _records())
def test_the_gate_answers_as_authelia_did_or_as_its_differences_say(gate_asked: Asked, record: dict[str, Any]) -> None:
    assert gate_asked.answer(record) == record.get("gate", record["answer"])


@pytest.mark.parametrize("record", _records())
def test_authelia_answers_as_it_did(authelia_asked: Asked, record: dict[str, Any]) -> None:
    assert authelia_asked.answer(record) == record["answer"]


def test_every_difference_has_its_reason_and_every_reason_a_difference() -> None:
    differing = [record for [record] in (param.values for param in _records()) if "gate" in record]
    assert {record["why"] for record in differing} == set(DIFFERENCES)
    assert [record["name"] for record in differing if record["gate"] == record["answer"]] == []


def test_no_record_has_a_session_in_it() -> None:
    for path in recorded.RECORDS.glob("*.yaml"):
        assert f"{AUTHELIA_COOKIE}=" not in path.read_text(encoding="utf-8"), path.name


MAIL = Smtp("submissions://smtp.example.org:465", "Homelab <lab@example.org>", "lab@example.org")


def _clients() -> tuple[Client, ...]:
    return tuple(
        Client(route, ("https://{host}/callback",), ("openid", "profile", "email"), Secret("not-a-secret-" * 3))
        for route in routes_of(LAB["policy"])
    )


def _configurations() -> dict[str, bytes]:
    """Those of the lab of the cases, with and without clients of OpenID Connect, and of other labs."""
    lab, routes, starter, large = lab_of(LAB["policy"]), routes_of(LAB["policy"]), make_lab(), make_lab(apps=300)
    return {
        "cases.yml": configuration(lab, routes),
        "clients.yml": configuration(lab, routes, _clients()),
        "starter.yml": configuration(starter, desired_of(starter).routes),
        "300-apps.yml": configuration(large, desired_of(large).routes),
        "no-app.yml": configuration(lab, []),
        "mail.yml": configuration(replace(lab, sign_on=replace(lab.sign_on, smtp=MAIL)), []),
        "mail-without-user.yml": configuration(
            replace(lab, sign_on=replace(lab.sign_on, smtp=replace(MAIL, username=""))), []
        ),
        **{
            f"{domain}.yml": configuration(replace(lab, domain=domain), [])
            for domain in ("name.duckdns.org", "lab.home.arpa", "home.lan", "lab.internal")
        },
    }


@pytest.mark.parametrize("name", ["cases.yml", "clients.yml"])
def test_what_is_rendered_is_what_authelia_accepted(name: str) -> None:
    accepted = (ACCEPTED / name).read_text(encoding="utf-8")
    assert yaml.safe_load(_configurations()[name]) == yaml.safe_load(accepted)


def test_authelia_accepts_what_is_rendered(tmp_path: Path) -> None:
    program = os.environ.get(AUTHELIA)
    if not program:
        pytest.skip(f"{AUTHELIA} names no executable")
    key = _write(tmp_path / "oidc.yml", _keys(program, tmp_path))
    for name, content in _configurations().items():
        clients = b"\nidentity_providers:" in content
        files = [_write(tmp_path / name, content), *([key] if clients else [])]
        argv = [program, "config", "validate", "--config", ",".join(files)]
        environment = os.environ | _secrets(tmp_path, clients=clients, mail=name == "mail.yml")
        ran = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, f"{name}: {ran.stdout}{ran.stderr}"
        assert "warning" not in (ran.stdout + ran.stderr).lower(), name


def _secrets(folder: Path, *, clients: bool, mail: bool) -> dict[str, str]:
    """The variables of the app's compose.yaml and start.sh, with files that they name."""
    names = ["STORAGE_ENCRYPTION_KEY", "SESSION_SECRET", "SESSION_REDIS_PASSWORD"]
    names.append("IDENTITY_VALIDATION_RESET_PASSWORD_JWT_SECRET")
    if clients:
        names.append("IDENTITY_PROVIDERS_OIDC_HMAC_SECRET")
    if mail:
        names.append("NOTIFIER_SMTP_PASSWORD")
    return {f"AUTHELIA_{name}_FILE": _write(folder / name, secrets.token_hex(32).encode()) for name in names}


def _keys(program: str, folder: Path) -> bytes:
    """As the app's start.sh makes them."""
    argv = [program, "crypto", "pair", "rsa", "generate", "--bits", "2048", "--directory", str(folder)]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    key = "".join(f"          {line}\n" for line in (folder / "private.pem").read_text().splitlines())
    return f"identity_providers:\n  oidc:\n    jwks:\n      - key: |\n{key}".encode()


def _write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)
