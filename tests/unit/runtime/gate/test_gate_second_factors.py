"""Second factors: each code once, each change only by whoever may make it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from gate_world import ABROAD, DAY, HOME, PASSWORD, Gate, refusal

from ez_homelab.runtime.gate.kinds import Refused
from ez_homelab.runtime.gate.seal import Seal, SealBrokenError

if TYPE_CHECKING:
    from ez_homelab.runtime.gate.kinds import Session

KEY = (b"credential", b"public")


async def show(gate: Gate, count: int, credential_id: bytes = KEY[0]) -> tuple[str, Session]:
    """Sign in with a passkey whose counter says this."""
    return await gate.accounts.sign_in_with_passkey(
        credential_id, count, user_verified=True, address=HOME, agent="phone", remember=False
    )


def refused_for(gate: Gate, session: Session) -> set[str]:
    """What every change of second factors is refused for."""
    accounts, reasons = gate.accounts, set()
    for change in (
        lambda: accounts.begin_totp(session),
        lambda: accounts.remove_totp(session),
        lambda: accounts.new_recovery_codes(session),
        lambda: accounts.add_passkey(session, b"new", b"key", 0, "Phone", ()),
        lambda: accounts.remove_passkey(session, "x"),
        lambda: accounts.rename_passkey(session, "x", "Mine"),
    ):
        with pytest.raises(Refused) as refused:
            change()
        reasons.add(refused.value.reason)
    return reasons


async def test_the_first_code_makes_two_factors_a_new_token_and_recovery_codes(gate: Gate) -> None:
    token, session = await gate.sign_in()
    offer = gate.accounts.begin_totp(session)
    assert offer == gate.accounts.begin_totp(session)
    assert offer.uri.startswith("otpauth://totp/EZ-Homelab:anna?secret=" + offer.secret)
    assert not gate.accounts.second_factors("anna").any

    raised, now_two, codes = await gate.accounts.finish_totp(token, gate.code(offer.secret))

    assert (now_two.id, now_two.factors) == (session.id, 2)
    assert gate.accounts.session_of(token) is None
    assert gate.accounts.session_of(raised) == now_two
    assert gate.accounts.second_factors("anna").totp
    assert gate.accounts.has_second_factor("anna")
    assert len(set(codes)) == gate.accounts.second_factors("anna").recovery_left == 10


async def test_a_wrong_first_code_keeps_the_offer_and_enrols_nothing(gate: Gate) -> None:
    token, session = await gate.sign_in()
    secret = gate.accounts.begin_totp(session).secret

    assert (await refusal(gate.accounts.finish_totp(token, "12345"))).reason == "wrong"
    assert not gate.accounts.second_factors("anna").any
    await gate.accounts.finish_totp(token, gate.code(secret))


async def test_an_offer_is_good_for_its_own_session_and_ten_minutes(gate: Gate) -> None:
    token, session = await gate.sign_in()
    secret = gate.accounts.begin_totp(session).secret
    other, _ = await gate.sign_in()
    assert (await refusal(gate.accounts.finish_totp(other, gate.code(secret)))).reason == "gone"

    gate.clock.now += 599
    await gate.accounts.verify_password(session, PASSWORD, HOME)
    assert gate.accounts.begin_totp(session).secret == secret
    gate.clock.now += 1
    assert (await refusal(gate.accounts.finish_totp(token, gate.code(secret)))).reason == "gone"
    assert gate.accounts.begin_totp(session).secret != secret


@pytest.mark.parametrize("steps", [-1, 0, 1])
async def test_a_code_raises_a_session_and_is_good_once(gate: Gate, steps: int) -> None:
    secret, _, _ = await gate.enrol()
    token, _ = await gate.sign_in()
    other, _ = await gate.sign_in()
    code = gate.code(secret, steps)

    raised, session = await gate.accounts.check_totp(token, f" {code[:3]} {code[3:]} ", HOME)

    assert session.factors == 2
    assert gate.accounts.session_of(token) is None
    assert gate.accounts.session_of(raised) == session
    assert (await refusal(gate.accounts.check_totp(other, code, HOME))).reason == "wrong"
    assert (await refusal(gate.accounts.check_totp(raised, code, HOME))).reason == "wrong"


async def test_the_code_that_enrolled_is_used_as_well(gate: Gate) -> None:
    token, session = await gate.sign_in()
    code = gate.code(gate.accounts.begin_totp(session).secret)
    await gate.accounts.finish_totp(token, code)
    other, _ = await gate.sign_in()

    assert (await refusal(gate.accounts.check_totp(other, code, HOME))).reason == "wrong"


@pytest.mark.parametrize("code", ["", "000000000", "abcdef", "٠١٢٣٤٥", "\udc80", "-1", "12345"])
async def test_what_is_no_code_is_wrong(gate: Gate, code: str) -> None:
    await gate.enrol()
    token, _ = await gate.sign_in()

    assert (await refusal(gate.accounts.check_totp(token, code, HOME))).reason == "wrong"


async def test_a_code_of_another_time_is_wrong(gate: Gate) -> None:
    secret, _, _ = await gate.enrol()
    token, _ = await gate.sign_in()

    for steps in (-2, 2, 2880):
        assert (await refusal(gate.accounts.check_totp(token, gate.code(secret, steps), HOME))).reason == "wrong"


async def test_a_used_code_stays_used_when_the_clock_is_put_back_and_after_a_restart(gate: Gate) -> None:
    secret, _, _ = await gate.enrol()
    token, _ = await gate.sign_in()
    code = gate.code(secret)
    await gate.accounts.check_totp(token, code, HOME)
    then = gate.clock.now
    for jump in (DAY, -DAY):
        gate.clock.now = then + jump
        token, _ = await gate.sign_in()
        await gate.accounts.check_totp(token, gate.code(secret), HOME)
    gate.clock.now = then
    gate.restart()
    token, _ = await gate.sign_in()

    assert (await refusal(gate.accounts.check_totp(token, code, HOME))).reason == "wrong"


async def test_a_clock_that_was_a_day_ahead_locks_no_authenticator(gate: Gate) -> None:
    secret, _, _ = await gate.enrol()
    gate.clock.now += DAY
    token, _ = await gate.sign_in()
    await gate.accounts.check_totp(token, gate.code(secret), HOME)
    gate.clock.now -= DAY
    token, _ = await gate.sign_in()

    await gate.accounts.check_totp(token, gate.code(secret), HOME)


async def test_nobodys_code_fits_somebody_else(gate: Gate) -> None:
    secret, _, codes = await gate.enrol()
    token, _ = await gate.sign_in("ben")

    assert (await refusal(gate.accounts.check_totp(token, gate.code(secret), HOME))).reason == "wrong"
    assert (await refusal(gate.accounts.check_recovery(token, codes[0], HOME))).reason == "wrong"
    assert (await refusal(gate.accounts.check_totp("no token", gate.code(secret), HOME))).reason == "gone"


async def test_a_recovery_code_is_good_once_however_it_is_written(gate: Gate) -> None:
    _, _, codes = await gate.enrol()
    for written in (codes[0], codes[1].replace("-", ""), f" {codes[2].upper().replace('-', ' ')} "):
        token, _ = await gate.sign_in()
        raised, session = await gate.accounts.check_recovery(token, written, HOME)
        assert session.factors == 2
        assert (await refusal(gate.accounts.check_recovery(raised, written, HOME))).reason == "wrong"
    assert gate.accounts.second_factors("anna").recovery_left == 7


async def test_new_recovery_codes_void_those_before(gate: Gate) -> None:
    _, token, before = await gate.enrol()
    session = gate.accounts.session_of(token)
    assert session is not None
    after = gate.accounts.new_recovery_codes(session)

    assert not set(before) & set(after)
    assert (await refusal(gate.accounts.check_recovery(token, before[0], HOME))).reason == "wrong"
    await gate.accounts.check_recovery(token, after[0], HOME)


async def test_without_a_second_factor_there_are_no_recovery_codes(gate: Gate) -> None:
    _, session = await gate.sign_in()

    with pytest.raises(Refused, match="second-factor"):
        gate.accounts.new_recovery_codes(session)


async def test_recovery_codes_go_with_the_last_second_factor(gate: Gate) -> None:
    _, token, _ = await gate.enrol()
    session = gate.accounts.session_of(token)
    assert session is not None
    key = gate.accounts.add_passkey(session, *KEY, 0, "Phone", ("usb",))
    gate.accounts.remove_totp(session)
    assert gate.accounts.second_factors("anna").recovery_left == 10
    gate.accounts.remove_passkey(session, key.id)

    assert gate.accounts.second_factors("anna").recovery_left == 0
    assert not gate.accounts.has_second_factor("anna")


async def test_one_factor_changes_no_second_factor_of_somebody_who_has_one(gate: Gate) -> None:
    await gate.enrol()
    _, session = await gate.sign_in()

    assert refused_for(gate, session) == {"second-factor"}
    assert not gate.accounts.may_enrol(session, HOME)


async def test_changes_need_a_password_given_shortly_before(gate: Gate) -> None:
    _, token, _ = await gate.enrol()
    gate.clock.now += 600
    session = gate.accounts.session_of(token)
    assert session is not None
    assert refused_for(gate, session) == {"stale"}

    await gate.accounts.verify_password(session, PASSWORD, HOME)
    gate.accounts.remove_totp(session)


async def test_a_session_that_has_ended_changes_nothing(gate: Gate) -> None:
    _, token, _ = await gate.enrol()
    session = gate.accounts.session_of(token)
    assert session is not None
    gate.accounts.end_all("anna")

    assert refused_for(gate, session) == {"gone"}


async def test_where_a_first_second_factor_may_be_enrolled(gate: Gate) -> None:
    _, session = await gate.sign_in()
    link, _ = gate.accounts.make_link("ben", "login", 10)
    _, from_link = await gate.accounts.use_link(link, None, address=ABROAD, agent="")

    assert gate.accounts.may_enrol(session, HOME)
    assert not gate.accounts.may_enrol(session, ABROAD)
    assert not gate.accounts.may_enrol(session, "")
    assert gate.accounts.may_enrol(from_link, ABROAD)


async def test_reset_from_outside_forgets_them_all_and_signs_out(gate: Gate) -> None:
    _, token, codes = await gate.enrol()
    gate.accounts.reset_second_factors("anna")
    assert gate.accounts.session_of(token) is None
    token, _ = await gate.sign_in()

    assert not gate.accounts.second_factors("anna").any
    assert (await refusal(gate.accounts.check_recovery(token, codes[0], HOME))).reason == "wrong"
    with pytest.raises(LookupError):
        gate.accounts.reset_second_factors("nobody")


async def test_the_secret_is_sealed_in_the_files_and_codes_are_hashed(gate: Gate) -> None:
    secret, _, codes = await gate.enrol()
    gate.accounts.close()
    kept = b"".join(path.read_bytes() for path in gate.folder.glob("gate.db*"))
    gate.restart_after_close()

    assert secret.encode() not in kept
    assert not any(code.encode() in kept or code.replace("-", "").encode() in kept for code in codes)


async def test_with_another_key_no_code_is_right_and_the_factor_is_still_asked_for(gate: Gate) -> None:
    secret, _, _ = await gate.enrol()
    gate.accounts._store.change("UPDATE credentials SET totp = ?", Seal(b"x" * 32).close(secret, "anna"))
    token, _ = await gate.sign_in()

    assert (await refusal(gate.accounts.check_totp(token, gate.code(secret), HOME))).reason == "wrong"
    assert gate.accounts.has_second_factor("anna")


async def test_a_sealed_secret_moved_to_somebody_else_is_good_for_nothing(gate: Gate) -> None:
    secret, _, _ = await gate.enrol()
    gate.accounts._store.change(
        "UPDATE credentials SET totp = (SELECT totp FROM credentials WHERE user = 'anna') WHERE user = 'ben'"
    )
    token, _ = await gate.sign_in("ben")

    assert (await refusal(gate.accounts.check_totp(token, gate.code(secret), HOME))).reason == "wrong"


@pytest.mark.parametrize("sealed", [b"", b"x", b"x" * 12, b"x" * 60])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(SealBrokenError):
        Seal(bytes(32)).open(sealed, "anna")


async def test_a_passkey_with_its_owner_checked_is_two_factors(gate: Gate) -> None:
    _, session = await gate.sign_in()
    gate.accounts.add_passkey(session, *KEY, 3, "Phone", ("internal", "hybrid"))
    asked = {"address": HOME, "agent": "", "remember": True}

    _, one = await gate.accounts.sign_in_with_passkey(KEY[0], 4, user_verified=False, **asked)
    _, two = await gate.accounts.sign_in_with_passkey(KEY[0], 5, user_verified=True, **asked)

    assert (one.factors, two.factors, two.user, two.remembered) == (1, 2, "anna", True)
    kept = gate.accounts.passkey(KEY[0])
    assert kept is not None
    assert (kept.sign_count, kept.transports, kept.name) == (5, ("internal", "hybrid"), "Phone")
    assert kept.used == gate.clock.now


async def test_a_counter_that_does_not_grow_tells_a_copied_key(gate: Gate) -> None:
    _, session = await gate.sign_in()
    gate.accounts.add_passkey(session, *KEY, 5, "Phone", ())
    for count in (5, 4, 0):
        assert (await refusal(show(gate, count))).reason == "wrong"
    await show(gate, 6)

    assert (await refusal(show(gate, 7, b"unknown"))).reason == "gone"


async def test_a_key_that_counts_nothing_is_fine(gate: Gate) -> None:
    _, session = await gate.sign_in()
    gate.accounts.add_passkey(session, *KEY, 0, "Phone", ())

    await show(gate, 0)
    await show(gate, 0)


async def test_a_passkey_raises_only_its_owners_session(gate: Gate) -> None:
    token, session = await gate.sign_in()
    gate.accounts.add_passkey(session, *KEY, 0, "Phone", ())
    others, _ = await gate.sign_in("ben")

    raised, now_two = await gate.accounts.raise_with_passkey(token, KEY[0], 1)
    assert (now_two.factors, gate.accounts.session_of(token), gate.accounts.session_of(raised)) == (2, None, now_two)
    assert (await refusal(gate.accounts.raise_with_passkey(others, KEY[0], 2))).reason == "wrong"
    assert (await refusal(gate.accounts.raise_with_passkey(raised, b"unknown", 2))).reason == "wrong"


async def test_a_passkey_belongs_to_one_person_who_alone_removes_it(gate: Gate) -> None:
    _, session = await gate.sign_in()
    _, other = await gate.sign_in("ben")
    added = gate.accounts.add_passkey(session, *KEY, 0, "Phone", ())

    with pytest.raises(Refused, match="wrong"):
        gate.accounts.add_passkey(other, *KEY, 0, "Mine now", ())
    with pytest.raises(Refused, match="gone"):
        gate.accounts.remove_passkey(other, added.id)
    assert [key.id for key in gate.accounts.passkeys("anna")] == [added.id]


async def test_a_passkey_is_renamed_by_its_owner_alone(gate: Gate) -> None:
    _, session = await gate.sign_in()
    _, other = await gate.sign_in("ben")
    added = gate.accounts.add_passkey(session, *KEY, 3, "Phone", ())
    _, proven = await gate.accounts.sign_in_with_passkey(
        KEY[0], 4, user_verified=True, address=HOME, agent="", remember=False
    )
    before = gate.accounts.passkeys("anna")

    for who, key in ((other, added.id), (proven, "unknown")):
        with pytest.raises(Refused, match="gone"):
            gate.accounts.rename_passkey(who, key, "Mine now")
    assert gate.accounts.passkeys("anna") == before

    gate.accounts.rename_passkey(proven, added.id, "Blue key" + "!" * 100)
    (kept,) = gate.accounts.passkeys("anna")
    assert kept == replace(before[0], name=("Blue key" + "!" * 100)[:60])


async def test_a_disabled_persons_passkey_opens_nothing(gate: Gate) -> None:
    gate.accounts._factors.passkeys.add("eve", *KEY, 0, "Phone", ())
    asked = {"user_verified": True, "address": HOME, "agent": "", "remember": False}

    assert (await refusal(gate.accounts.sign_in_with_passkey(KEY[0], 1, **asked))).reason == "disabled"
    gate.write_people(eve=None)
    assert (await refusal(gate.accounts.sign_in_with_passkey(KEY[0], 2, **asked))).reason == "wrong"
    assert (await refusal(gate.accounts.sign_in_with_passkey(b"x", 2, **asked))).reason == "gone"


async def test_a_user_handle_is_stable_and_says_nothing(gate: Gate) -> None:
    handle = gate.accounts.user_handle("anna")
    gate.restart()

    assert gate.accounts.user_handle("anna") == handle != gate.accounts.user_handle("ben")
    assert len(handle) == 32


async def test_a_second_factor_whose_removal_could_not_be_kept_is_still_asked_for(gate: Gate) -> None:
    _, token, _ = await gate.enrol()
    session = gate.accounts.session_of(token)
    assert session is not None
    store = gate.accounts._store
    store.change("PRAGMA foreign_keys = ON")
    store.change("CREATE TABLE refusing (user REFERENCES nowhere (user) DEFERRABLE INITIALLY DEFERRED)")
    store.change("CREATE TABLE nowhere (user PRIMARY KEY)")
    store.change(
        "CREATE TEMP TRIGGER full AFTER UPDATE ON main.credentials BEGIN INSERT INTO refusing VALUES ('x'); END"
    )

    with pytest.raises(sqlite3.IntegrityError):
        gate.accounts.remove_totp(session)

    assert gate.accounts.second_factors("anna").totp
    assert gate.accounts.has_second_factor("anna")
    again, _ = await gate.sign_in()
    assert (await refusal(gate.accounts.change_password(again, PASSWORD, "x" * 9, HOME))).reason == "second-factor"


async def test_factors_survive_a_restart(gate: Gate) -> None:
    secret, _, codes = await gate.enrol()
    gate.restart()
    assert gate.accounts.has_second_factor("anna")
    token, _ = await gate.sign_in()
    await gate.accounts.check_totp(token, gate.code(secret), HOME)
    await gate.accounts.check_recovery((await gate.sign_in())[0], codes[0], HOME)


async def test_somebody_forgotten_leaves_nothing_behind(gate: Gate) -> None:
    await gate.enrol()
    gate.accounts.make_link("anna", "login", 10)
    with pytest.raises(LookupError):
        gate.accounts.forget("anna")
    gate.write_people(anna=None)
    gate.accounts.forget("anna")
    gate.accounts.close()

    with sqlite3.connect(gate.folder / "gate.db") as database:
        left = [line for line in database.iterdump() if "'anna'" in line and "audit" not in line]
    gate.restart_after_close()
    assert left == []
