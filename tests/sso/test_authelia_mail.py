"""A real Authelia sends mail as the lab file says: over TLS, signed in with the password that a file holds."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from mail_server import mail_server
from sso_lab import AUTHELIA, lab

from ez_homelab.config.model import Smtp
from ez_homelab.sso.authelia.configuration import configuration
from ez_homelab.testing.front import authelia as front
from ez_homelab.testing.front.described import lab_of
from ez_homelab.tls.authority import create_authority
from ez_homelab.tls.certificate import CertificateSpec, issue, wanted_names

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "mail-Password-1"


async def test_a_link_for_a_new_password_goes_by_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = os.environ.get(AUTHELIA)
    if not program:
        pytest.skip(f"{AUTHELIA} names no executable")
    described, trusted = lab(), tmp_path / "trusted"
    trusted.mkdir()
    authority = create_authority("lab.localhost", datetime.now(UTC))
    issued = issue(authority, CertificateSpec(wanted_names("lab.localhost", ())), datetime.now(UTC))
    (trusted / "authority.pem").write_bytes(authority.certificate_pem)
    for name, content in (
        ("chain.pem", issued.chain_pem),
        ("key.pem", issued.key_pem.reveal()),
        ("password", PASSWORD.encode()),
    ):
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("AUTHELIA_NOTIFIER_SMTP_PASSWORD_FILE", str(tmp_path / "password"))
    async with mail_server(tmp_path / "chain.pem", tmp_path / "key.pem") as server:
        smtp = Smtp(f"submissions://127.0.0.1:{server.port}", "Homelab <lab@example.org>", "lab@example.org")
        monkeypatch.setattr(front, "_configuration", _with_mail(smtp, trusted))
        engine = front.Authelia(program)
        try:
            engine.start(tmp_path, described["policy"], described["people"], described["passwords"])
            start = "/api/reset-password/identity/start"
            await asyncio.to_thread(engine._post, start, {"username": "ben"})
        finally:
            engine.stop()
    assert server.signed_in == [("lab@example.org", PASSWORD)]
    [mail] = server.mails
    assert "ben@example.org" in mail
    assert "lab@example.org" in mail
    assert "reset-password/step2" in mail


def _with_mail(smtp: Smtp, trusted: Path) -> Any:
    """What the product writes of mail, in the place of the file; only whom to trust, and as whom, is the test's."""
    original = front._configuration

    def made(policy: dict[str, Any], folder: Path, port: int) -> dict[str, Any]:
        named = lab_of(policy)
        mails = replace(named, sign_on=replace(named.sign_on, smtp=smtp))
        notifier = yaml.safe_load(configuration(mails, []))["notifier"]
        notifier["smtp"]["tls"] = {"server_name": "mail.lab.localhost"}
        return original(policy, folder, port) | {"notifier": notifier, "certificates_directory": str(trusted)}

    return made
