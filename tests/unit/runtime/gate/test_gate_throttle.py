"""Guessing gets slower, a restart forgives nothing, and nobody locks somebody else out."""

from __future__ import annotations

import asyncio

import pytest
from gate_world import ABROAD, DAY, HOME, PASSWORD, STRANGE, WRONG, Gate, refusal

from ez_homelab.runtime.gate import throttle
from ez_homelab.runtime.gate.kinds import Refused
from ez_homelab.runtime.gate.throttle import ADDRESS, CODE, CODE_OF_STRANGERS, Throttle, bucket
from ez_homelab.runtime.gate.throttle import PASSWORD as RULE


async def guess(gate: Gate, times: int, user: str = "anna", address: str = ABROAD) -> list[str]:
    """Wrong passwords; what each was refused for."""
    return [(await refusal(gate.sign_in(user, WRONG, address=address))).reason for _ in range(times)]


async def test_guessing_is_locked_and_each_lock_is_longer(gate: Gate) -> None:
    assert await guess(gate, RULE.free + 1) == ["wrong"] * (RULE.free + 1)
    waits = []
    for _ in range(8):
        locked = await refusal(gate.sign_in(address=ABROAD))
        assert locked.reason == "locked"
        waits.append(locked.retry_after)
        gate.clock.now += locked.retry_after
        assert await guess(gate, 1) == ["wrong"]

    assert waits == [15, 30, 60, 120, 240, 480, 900, 900]


async def test_tries_while_locked_do_not_make_it_longer(gate: Gate) -> None:
    await guess(gate, RULE.free + 1)
    assert await guess(gate, 100) == ["locked"] * 100
    gate.clock.now += 15

    await gate.sign_in(address=ABROAD)


async def test_a_stranger_does_not_lock_the_owner_out(gate: Gate) -> None:
    for last in range(40):
        await guess(gate, 10, address=f"203.0.113.{last}")
        await guess(gate, 10, address=f"2001:db8:{last}::1")

    await gate.sign_in(address=HOME)
    await gate.sign_in(address=STRANGE)


async def test_many_names_from_one_address_lock_the_address(gate: Gate) -> None:
    for number in range(ADDRESS.free + 1):
        assert await guess(gate, 1, f"name{number}") == ["wrong"]

    assert (await refusal(gate.sign_in("ben", address=ABROAD))).reason == "locked"
    await gate.sign_in("ben", address=HOME)


async def test_an_account_of_ones_own_does_not_help_guessing_others(gate: Gate) -> None:
    for number in range(ADDRESS.free):
        await guess(gate, 1, f"name{number}")
        await gate.sign_in("ben", address=ABROAD)
    await guess(gate, 1, "anna")

    assert (await refusal(gate.sign_in("ben", address=ABROAD))).reason == "locked"


async def test_many_at_once_get_no_more_tries(gate: Gate) -> None:
    asked = [gate.sign_in("anna", WRONG, address=ABROAD) for _ in range(30)]
    refused = await asyncio.gather(*asked, return_exceptions=True)

    assert [str(one) for one in refused].count("wrong") == RULE.free + 1


async def test_a_right_password_forgets_the_wrong_ones(gate: Gate) -> None:
    for _ in range(5):
        await guess(gate, RULE.free)
        await gate.sign_in(address=ABROAD)


async def test_locks_survive_a_restart(gate: Gate) -> None:
    await guess(gate, RULE.free + 1)
    gate.restart()

    assert (await refusal(gate.sign_in(address=ABROAD))).reason == "locked"
    (lock,) = gate.accounts.locks()
    assert (lock.kind, lock.user, lock.address, lock.until) == ("password", "anna", ABROAD, gate.clock.now + 15)


async def test_wrong_tries_are_forgotten_after_a_day(gate: Gate) -> None:
    await guess(gate, RULE.free)
    gate.clock.now += DAY
    await guess(gate, RULE.free)

    await gate.sign_in(address=ABROAD)


async def test_a_clock_put_back_a_day_locks_nobody_for_a_day(gate: Gate) -> None:
    await guess(gate, RULE.free + 1)
    gate.clock.now -= DAY

    locked = await refusal(gate.sign_in(address=ABROAD))
    assert (locked.reason, locked.retry_after) == ("locked", RULE.longest)
    gate.clock.now += RULE.longest
    await gate.sign_in(address=ABROAD)


async def test_a_clock_put_forward_only_ends_locks(gate: Gate) -> None:
    await guess(gate, RULE.free + 1)
    gate.clock.now += DAY

    await gate.sign_in(address=ABROAD)


async def test_asking_for_the_password_again_counts_as_well(gate: Gate) -> None:
    token, session = await gate.sign_in()
    for _ in range(RULE.free + 1):
        assert (await refusal(gate.accounts.verify_password(session, WRONG, HOME))).reason == "wrong"

    assert (await refusal(gate.accounts.verify_password(session, PASSWORD, HOME))).reason == "locked"
    assert (await refusal(gate.accounts.change_password(token, PASSWORD, PASSWORD + "x", HOME))).reason == "locked"


async def test_codes_are_limited_by_person_and_address(gate: Gate) -> None:
    secret, _, _ = await gate.enrol()
    token, _ = await gate.sign_in()
    for _ in range(CODE.free + 1):
        assert (await refusal(gate.accounts.check_totp(token, "000000", ABROAD))).reason == "wrong"

    assert (await refusal(gate.accounts.check_totp(token, gate.code(secret), ABROAD))).reason == "locked"
    assert (await refusal(gate.accounts.check_recovery(token, "x", ABROAD))).reason == "locked"
    await gate.accounts.check_totp(token, gate.code(secret), HOME)


async def test_many_addresses_at_once_do_not_guess_codes_and_the_owner_gets_in(gate: Gate) -> None:
    secret, _, _ = await gate.enrol()
    token, _ = await gate.sign_in(address=ABROAD)
    for last in range(CODE_OF_STRANGERS.free + 1):
        assert (await refusal(gate.accounts.check_totp(token, "000000", f"203.0.113.{last}"))).reason == "wrong"

    assert (await refusal(gate.accounts.check_totp(token, "000000", STRANGE))).reason == "locked"
    own, _ = await gate.sign_in()
    await gate.accounts.check_totp(own, gate.code(secret), HOME)


async def test_what_is_kept_does_not_grow_without_end(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ez_homelab.runtime.gate.throttle.KEPT", 50)
    monkeypatch.setattr("ez_homelab.runtime.gate.throttle.TRIM_EVERY", 10)
    throttle = Throttle(gate.accounts._store, gate.clock)
    for number in range(300):
        gate.clock.now += 1
        throttle.password_try(f"x{number}", f"10.0.{number % 250}.{number // 250}")

    assert gate.accounts._store.row("SELECT count(*) < 62 FROM tries") == (1,)


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("", "unknown"),
        ("192.0.2.1, 192.0.2.2", "unknown"),
        ("home|x", "unknown"),
    ],
)
def test_what_counts_as_one_address(address: str, counts_as: str) -> None:
    assert bucket(address) == counts_as


async def test_a_flood_of_names_does_not_make_guessed_codes_forgotten(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "KEPT", 10)
    monkeypatch.setattr(throttle, "TRIM_EVERY", 1)
    await gate.enrol()
    counts = gate.accounts._throttle
    for number in range(CODE_OF_STRANGERS.free + 1):
        counts.code_try("anna", f"203.0.113.{number}")

    for number in range(50):
        counts.password_try(f"name{number}", f"198.51.100.{number}")

    with pytest.raises(Refused, match="locked"):
        counts.code_try("anna", "203.0.113.99")
