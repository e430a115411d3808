"""Second factors in a running Authelia: given, counted, taken away; no secret on the way."""

from __future__ import annotations

import pytest
from authelia_in_memory import AutheliaInMemory

from ez_homelab.authelia_people import AutheliaError
from ez_homelab.authelia_storage import forget_passkeys, forget_totp, new_totp, passkeys, totp_users
from ez_homelab.redaction import clean
from ez_homelab.testing.fake_host import FakeHost


@pytest.fixture
def core() -> FakeHost:
    return FakeHost("core")


async def test_one_time_codes_come_and_go(core: FakeHost) -> None:
    AutheliaInMemory(core)
    secret = await new_totp(core, "anna")
    assert secret.reveal() == "ZNJPZ3DPTFYLGJB7FQBD2JHMHWIAQ7N6ZVE4GIIFR3PAYGXGLE2A"
    assert secret.reveal() not in clean(f"it is {secret.reveal()}")
    assert await totp_users(core) == {"anna"}
    await forget_totp(core, "anna")
    await forget_totp(core, "anna")
    assert await totp_users(core) == frozenset()


async def test_passkeys_are_counted_by_person(core: FakeHost) -> None:
    there = AutheliaInMemory(core)
    assert await passkeys(core) == {}
    there.passkeys = {"anna": 2, "ben": 1}
    assert await passkeys(core) == {"anna": 2, "ben": 1}
    await forget_passkeys(core, "anna")
    assert await passkeys(core) == {"ben": 1}


async def test_an_authelia_that_does_not_run_is_an_error_that_says_why(core: FakeHost) -> None:
    core.answer(
        lambda command: command.argv[0] == "docker",
        status=1,
        stdout="otpauth://totp/EZ-Homelab:anna?secret=KEEPTHISAWAY",
        stderr="Error response from daemon: No such container: authelia\n",
    )
    for ask in (lambda: new_totp(core, "anna"), lambda: totp_users(core), lambda: passkeys(core)):
        with pytest.raises(AutheliaError) as raised:
            await ask()
        assert "No such container" in (raised.value.evidence or "")
        assert "KEEPTHISAWAY" not in f"{raised.value}{raised.value.evidence}"
