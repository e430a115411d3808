"""Signing in with a password: who gets in, and what somebody learns who does not."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest
from gate_world import ABROAD, HOME, OTHER_PASSWORD, PASSWORD, PEOPLE, WRONG, Gate, refusal

from ez_homelab.runtime.gate.kinds import Refused
from ez_homelab.runtime.gate.passwords import NICE, THREADS, WAITING, Effort, Passwords, weakness


@pytest.mark.parametrize("typed", ["anna", " anna ", "Anna", "ANNA"])
async def test_the_right_password_signs_in(gate: Gate, typed: str) -> None:
    token, session = await gate.sign_in(typed)

    assert (session.user, session.factors, session.from_link) == ("anna", 1, False)
    assert len(token) == 43
    assert gate.accounts.session_of(token) == session


async def test_every_sign_in_has_a_token_of_its_own(gate: Gate) -> None:
    tokens = {(await gate.sign_in())[0] for _ in range(5)}

    assert len(tokens) == 5


@pytest.mark.parametrize("user", ["anna", "nobody", "", "verify-12345678", "an|na", "a" * 5000, "anna\n", "'--"])
async def test_every_name_gets_the_same_no(gate: Gate, user: str) -> None:
    refused = await refusal(gate.sign_in(user, WRONG))

    assert (refused.reason, refused.retry_after, refused.detail) == ("wrong", 0, "")


async def test_an_unknown_name_costs_as_many_hashes_as_a_known_one(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[list[str]] = []
    verified = Passwords._verified

    def counting(self: Passwords, stored: str, password: str) -> bool:
        checked.append(stored.split("$")[:4])
        return verified(self, stored, password)

    monkeypatch.setattr(Passwords, "_verified", counting)
    gate.write_people(new={**PEOPLE["ben"]})
    for user in ("anna", "nobody", "new", "eve"):
        await refusal(gate.sign_in(user, WRONG))

    assert checked == [["", "argon2id", "v=19", "m=8,t=1,p=1"]] * 4


async def test_somebody_without_a_password_cannot_sign_in_with_any(gate: Gate) -> None:
    gate.write_people(new={**PEOPLE["ben"]})

    for password in ("", "None", PASSWORD):
        assert (await refusal(gate.sign_in("new", password))).reason == "wrong"


async def test_only_the_right_password_tells_that_somebody_is_disabled(gate: Gate) -> None:
    assert (await refusal(gate.sign_in("eve", WRONG))).reason == "wrong"
    assert (await refusal(gate.sign_in("eve"))).reason == "disabled"
    assert gate.accounts.sessions("eve") == ()


async def test_somebody_disabled_while_the_password_was_checked_stays_out(gate: Gate) -> None:
    asked = asyncio.ensure_future(gate.sign_in())
    await asyncio.sleep(0)
    gate.write_people(anna={**PEOPLE["anna"], "disabled": True})

    assert (await refusal(asked)).reason == "disabled"


async def test_letters_may_be_composed_or_not(gate: Gate) -> None:
    await gate.accounts.set_password("anna", "Köln Brücke Straße")

    await gate.sign_in(password="Ko\u0308ln Bru\u0308cke Straße")


async def test_a_changed_password_ends_the_other_sessions_and_the_token(gate: Gate) -> None:
    token, session = await gate.sign_in()
    elsewhere, _ = await gate.sign_in()

    changed, kept = await gate.accounts.change_password(token, PASSWORD, OTHER_PASSWORD, HOME)

    assert kept.id == session.id
    assert gate.accounts.session_of(changed) == kept
    assert gate.accounts.session_of(token) is None
    assert gate.accounts.session_of(elsewhere) is None
    assert (await refusal(gate.sign_in())).reason == "wrong"
    await gate.sign_in(password=OTHER_PASSWORD)


async def test_a_password_is_not_changed_without_the_old_one_or_for_a_weak_one(gate: Gate) -> None:
    token, _ = await gate.sign_in()

    assert (await refusal(gate.accounts.change_password(token, WRONG, OTHER_PASSWORD, HOME))).reason == "wrong"
    weak = await refusal(gate.accounts.change_password(token, PASSWORD, "short", HOME))
    assert (weak.reason, weak.detail[:22]) == ("weak", "Use at least 12 charac")
    assert (await refusal(gate.accounts.change_password("x", PASSWORD, OTHER_PASSWORD, HOME))).reason == "gone"
    await gate.sign_in()


async def test_whoever_has_a_second_factor_needs_it_to_change_the_password(gate: Gate) -> None:
    await gate.enrol()
    token, _ = await gate.sign_in()

    refused = await refusal(gate.accounts.change_password(token, PASSWORD, OTHER_PASSWORD, HOME))

    assert refused.reason == "second-factor"


async def test_a_password_set_from_outside_signs_out_everywhere(gate: Gate) -> None:
    token, _ = await gate.sign_in()
    await gate.accounts.set_password("anna", OTHER_PASSWORD)

    assert gate.accounts.session_of(token) is None
    assert (await refusal(gate.accounts.set_password("anna", "x"))).reason == "weak"
    await gate.sign_in(password=OTHER_PASSWORD)


@pytest.mark.parametrize(
    "password",
    [
        *("short", "elevenchars", "aaaaaaaaaaaaaaaa", "abababababababab", "x" * 257),
        *("123456789012", "2024-11-23 01:27", "Password1234!", "administrator", "12345anna67890", "QWERTYuiop99"),
    ],
)
def test_a_weak_password_is_told_why(password: str) -> None:
    assert weakness(password, "anna").endswith((".", "easy to remember."))


@pytest.mark.parametrize("password", [PASSWORD, "tr0ub4dor&3xyz", "Это хороший пароль", "anna likes candles"])
def test_a_good_password_has_no_fault(password: str) -> None:
    assert weakness(password, "anna") == ""


async def test_a_flood_of_checks_is_refused_before_it_takes_memory() -> None:
    passwords = Passwords(Effort(memory_kib=8, passes=1, lanes=1))
    many = 100
    asked = [asyncio.ensure_future(passwords.fits(None, WRONG)) for _ in range(many)]

    answers = await asyncio.gather(*asked, return_exceptions=True)

    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(refused) == many - THREADS - WAITING
    assert {(one.reason, one.retry_after > 0) for one in refused} == {("busy", True)}
    await asyncio.sleep(0)
    assert await passwords.fits(await passwords.hash(PASSWORD), PASSWORD)
    passwords.close()


async def test_checks_step_back_behind_everything_else() -> None:
    passwords = Passwords(Effort(memory_kib=8, passes=1, lanes=1))

    nice = await passwords._run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    assert nice == NICE > os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    passwords.close()


async def test_no_room_for_a_check_is_no_wrong_try(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ez_homelab.runtime.gate.passwords.WAITING", -THREADS)
    for _ in range(50):
        assert (await refusal(gate.sign_in(password=WRONG, address=ABROAD))).reason == "busy"
    monkeypatch.undo()

    await gate.sign_in(address=ABROAD)


async def test_a_hash_made_with_another_effort_is_made_anew_at_the_next_sign_in(gate: Gate) -> None:
    stronger = Passwords(Effort(memory_kib=16, passes=2, lanes=1))
    stored = await stronger.hash(PASSWORD)
    stronger.close()
    gate.accounts._credentials.keep("anna", stored)

    await gate.sign_in()

    renewed = gate.accounts._credentials.of("anna")
    assert renewed is not None
    assert "m=8,t=1,p=1" in renewed
    await gate.sign_in()


async def test_a_password_that_is_changed_while_it_is_checked_signs_nobody_in(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = Passwords.fits

    async def slowly(self: Passwords, stored: str | None, password: str) -> bool:
        found = await fits(self, stored, password)
        await gate.accounts.set_password("anna", OTHER_PASSWORD)
        return found

    monkeypatch.setattr(Passwords, "fits", slowly)

    assert (await refusal(gate.sign_in())).reason == "wrong"
    assert gate.accounts.sessions("anna") == ()


async def test_a_hash_made_anew_does_not_bring_a_password_back_that_was_changed_meanwhile(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Passwords.hash

    async def slowly(self: Passwords, password: str) -> str:
        found = await made(self, password)
        monkeypatch.setattr(Passwords, "hash", made)
        await gate.accounts.set_password("anna", OTHER_PASSWORD)
        return found

    monkeypatch.setattr(Passwords, "hash", slowly)
    monkeypatch.setattr(Passwords, "is_outdated", lambda *_: True)
    await refusal(gate.sign_in())
    monkeypatch.undo()

    assert (await refusal(gate.sign_in())).reason == "wrong"
    await gate.sign_in(password=OTHER_PASSWORD)


async def test_a_stored_hash_that_is_none_lets_nobody_in(gate: Gate) -> None:
    for stored in ("", "x", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AAAA$"):
        gate.accounts._credentials.keep("anna", stored)
        assert (await refusal(gate.sign_in(password=""))).reason == "wrong"
