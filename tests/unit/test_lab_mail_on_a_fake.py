"""A lab whose Authelia sends mail: what it is told, the password that a person gives, the way out for it alone."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from ez_homelab.errors import UsageError
from ez_homelab.redaction import clean
from ez_homelab.secrets.store import SecretStore
from ez_homelab.secrets.value import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from engine_in_memory import LabOnFakeServer

    from ez_homelab.lab import Homelab

LAB = """\
version: 1
domain: lab.localhost
sign_on:
  engine: authelia
  smtp: {address: "submissions://smtp.example.org", sender: lab@example.org, username: lab@example.org}
stacks: {}
"""
PASSWORD = "/opt/stacks/core/secrets/authelia/smtp_password"
CONFIGURATION = "/opt/stacks/core/config/authelia/config/configuration.yml"
MAIL_NETWORK = "sign-on-mail"


def files_of(lab: Homelab) -> dict[str, bytes]:
    return {file.path: file.content for file in lab.desired.servers["core"].files}


@pytest.fixture
def lab(there: LabOnFakeServer) -> Homelab:
    there.write(LAB)
    return there.lab


def test_it_is_told_where_to_send_and_no_password(lab: Homelab) -> None:
    notifier = yaml.safe_load(files_of(lab)[CONFIGURATION])["notifier"]
    assert notifier == {
        "disable_startup_check": True,
        "smtp": {
            "address": "submissions://smtp.example.org",
            "sender": "lab@example.org",
            "username": "lab@example.org",
        },
    }


def test_a_password_that_nobody_gave_is_an_empty_file_and_a_warning(there: LabOnFakeServer, lab: Homelab) -> None:
    assert files_of(lab)[PASSWORD] == b""
    assert [text for text in lab.desired.warnings if "secrets set authelia/smtp_password" in text]
    assert [row.id for row in lab.secrets_table() if row.id == "smtp_password"] == []
    with pytest.raises(UsageError) as raised:
        lab.secret("authelia", "smtp_password")
    assert raised.value.fix == "ez-homelab secrets set authelia/smtp_password"
    there.write(LAB.replace(", username: lab@example.org", ""))
    assert not [text for text in there.lab.desired.warnings if "smtp_password" in text]


def test_a_password_that_is_given_reaches_the_file_and_stays(lab: Homelab) -> None:
    given = lab.giving("authelia", "smtp_password", Secret("mail-Password-1"))
    assert files_of(given)[PASSWORD] == b"mail-Password-1"
    assert not [text for text in given.desired.warnings if "smtp_password" in text]
    others = [path for path, content in files_of(given).items() if b"mail-Password-1" in content and path != PASSWORD]
    assert others == []
    assert SecretStore.open(lab.folder).get("authelia", "smtp_password") is None, "nothing is written before an apply"
    given.save_secrets()
    kept = SecretStore.open(lab.folder).get("authelia", "smtp_password")
    assert kept is not None
    assert kept.reveal() == "mail-Password-1"
    assert "mail-Password-1" not in clean("it is mail-Password-1")


def test_another_password_takes_the_place_of_the_one_before(there: LabOnFakeServer, lab: Homelab) -> None:
    lab.giving("authelia", "smtp_password", Secret("mail-Password-1")).save_secrets()
    second = there.lab.giving("authelia", "smtp_password", Secret("mail-Password-2"))
    assert files_of(second)[PASSWORD] == b"mail-Password-2"
    [row] = [row for row in second.secrets_table() if row.id == "smtp_password"]
    assert (row.pending, row.used_by) == (True, ("authelia",))


@pytest.mark.parametrize(
    ("instance", "secret_id", "value", "refusal"),
    [
        ("authelia", "session_secret", "x", "made by the lab"),
        ("authelia", "smtp_passwort", "x", "no secret called smtp_passwort"),
        ("authelio", "smtp_password", "x", "no app called authelio"),
        ("authelia", "smtp_password", "two\nlines", "not one printable line"),
        ("authelia", "smtp_password", "", "not one printable line"),
        ("authelia", "smtp_password", "x" * 257, "not one printable line"),
    ],
)
def test_what_nobody_gives_is_refused(lab: Homelab, instance: str, secret_id: str, value: str, refusal: str) -> None:
    with pytest.raises(UsageError, match=refusal):
        lab.giving(instance, secret_id, Secret(value))


def test_it_is_never_rotated(lab: Homelab) -> None:
    with pytest.raises(UsageError, match="cannot be rotated"):
        lab.rotating("authelia", "smtp_password")


def test_authelia_alone_gets_a_way_out_and_only_for_mail(there: LabOnFakeServer, lab: Homelab) -> None:
    server = lab.desired.servers["core"]
    assert [service.name for service in server.services if MAIL_NETWORK in service.networks] == ["authelia"]
    [network] = [network for network in server.networks if network.name == MAIL_NETWORK]
    assert network.internal is False
    there.write(LAB[: LAB.index("  smtp:")] + "stacks: {}\n")
    without = there.lab.desired.servers["core"]
    assert MAIL_NETWORK not in {network.name for network in without.networks}
    internal = {network.name: network.internal for network in without.networks}
    [authelia] = [service for service in without.services if service.name == "authelia"]
    assert all(internal[name] for name in authelia.networks)


@pytest.mark.parametrize(
    ("mails", "password", "told"),
    [(True, "mail-Password-1", True), (True, "", False), (False, "mail-Password-1", False)],
)
def test_the_container_is_told_of_the_password_where_there_is_one(
    tmp_path: Path, lab: Homelab, mails: bool, password: str, told: bool
) -> None:
    """start.sh itself, with a real shell and a program that says what it is given."""
    script = files_of(lab)["/opt/stacks/core/config/authelia/start.sh"].decode()
    for folder in ("/etc/authelia/config/", "/config/", "/run/secrets/"):
        (tmp_path / folder.strip("/")).mkdir(parents=True)
    script = re.sub(
        r"/(etc/authelia/(config|people)|config|run/secrets)/", lambda found: f"{tmp_path}{found[0]}", script
    )
    (tmp_path / "config/users.yml").write_text("users: {}")
    (tmp_path / "run/secrets/smtp_password").write_text(password)
    told_of = files_of(lab)[CONFIGURATION].decode()
    written = told_of if mails else told_of.replace("  smtp:", "  filesystem:")
    (tmp_path / "etc/authelia/config/configuration.yml").write_text(written)
    (tmp_path / "authelia").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "authelia").chmod(0o755)
    ran = subprocess.run(
        ["sh", "-c", script], env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert "X_AUTHELIA_CONFIG=" in ran.stdout
    assert (f"AUTHELIA_NOTIFIER_SMTP_PASSWORD_FILE={tmp_path}/run/secrets/smtp_password" in ran.stdout) is told
    assert "mail-Password-1" not in ran.stdout
