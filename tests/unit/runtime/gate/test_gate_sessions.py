"""Sessions: how long they live, who ends them, and what a clock that jumps does to them."""

from __future__ import annotations

import pytest
from gate_world import ABROAD, DAY, HOME, PASSWORD, PEOPLE, Gate

from ez_homelab.runtime.gate.kinds import Refused
from ez_homelab.runtime.gate.sessions import AT_MOST


@pytest.mark.parametrize("tampered", ["", "x", "{}x", "{} ", "{}=", "é", "\udc80", "None", "' OR 1=1 --", "x" * 9000])
async def test_only_the_token_itself_is_a_session(gate: Gate, tampered: str) -> None:
    token, session = await gate.sign_in()
    assert gate.accounts.session_of(token) == session

    assert gate.accounts.session_of(tampered.format(token)) is None
    assert gate.accounts.session_of(token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    assert gate.accounts.session_of(session.id) is None


async def test_a_session_ends_when_nothing_happens(gate: Gate) -> None:
    token, _ = await gate.sign_in()
    for _ in range(3):
        gate.clock.now += 7100
        assert gate.accounts.session_of(token) is not None
    gate.clock.now += 7200

    assert gate.accounts.session_of(token) is None
    gate.restart()
    assert gate.accounts.session_of(token) is None


async def test_a_session_ends_after_its_lifetime_however_busy(gate: Gate) -> None:
    token, _ = await gate.sign_in()
    for _ in range(int(DAY // 3600) - 1):
        gate.clock.now += 3600
        assert gate.accounts.session_of(token) is not None
    gate.clock.now += 3600

    assert gate.accounts.session_of(token) is None


async def test_a_remembered_session_may_rest_for_days(gate: Gate) -> None:
    token, session = await gate.sign_in(remember=True)
    gate.clock.now += 29 * DAY
    assert session.remembered
    assert gate.accounts.session_of(token) is not None

    gate.clock.now += DAY
    assert gate.accounts.session_of(token) is None


async def test_a_shorter_lifetime_holds_for_sessions_that_are_there(gate: Gate) -> None:
    token, _ = await gate.sign_in()
    path = gate.folder / "policy.json"
    path.write_text(path.read_text().replace('"lifetime": 86400', '"lifetime": 600'))
    gate.accounts.look()
    gate.clock.now += 599
    assert gate.accounts.session_of(token) is not None
    gate.clock.now += 16

    assert gate.accounts.session_of(token) is None


async def test_sessions_survive_a_restart_with_their_last_activity(gate: Gate) -> None:
    token, session = await gate.sign_in(remember=True, agent="Firefox on a phone")
    gate.clock.now += 6000
    gate.accounts.session_of(token)

    gate.restart()

    (kept,) = gate.accounts.sessions("anna")
    assert (kept.id, kept.agent, kept.remembered, kept.from_link) == (session.id, "Firefox on a phone", True, False)
    assert kept.seen == gate.clock.now
    assert gate.accounts.session_of(token) == kept


async def test_activity_is_not_written_down_for_every_request(gate: Gate) -> None:
    token, session = await gate.sign_in()
    gate.clock.now += 14
    assert gate.accounts.session_of(token) is session
    gate.clock.now += 1
    assert gate.accounts.session_of(token) is not session


async def test_the_token_is_nowhere_in_the_files(gate: Gate) -> None:
    token, _ = await gate.sign_in()
    link, _ = gate.accounts.make_link("ben", "invite", 5)
    gate.accounts.close()

    for path in gate.folder.glob("gate.db*"):
        assert token.encode() not in path.read_bytes()
        assert link.encode() not in path.read_bytes()
        assert PASSWORD.encode() not in path.read_bytes()
    gate.restart_after_close()


async def test_a_disabled_person_is_signed_out_and_stays_out(gate: Gate) -> None:
    token, _ = await gate.sign_in()
    gate.write_people(anna={**PEOPLE["anna"], "disabled": True})
    assert gate.accounts.session_of(token) is None

    gate.write_people()
    assert gate.accounts.session_of(token) is None
    assert gate.accounts.sessions("anna") == ()


async def test_somebody_taken_out_of_the_file_is_signed_out_and_stays_out(gate: Gate) -> None:
    token, _ = await gate.sign_in()
    other, _ = await gate.sign_in("ben")
    gate.write_people(anna=None)
    gate.write_people()

    assert gate.accounts.session_of(token) is None
    assert gate.accounts.session_of(other) is not None


async def test_somebody_taken_out_while_the_gate_was_down_is_signed_out(gate: Gate) -> None:
    token, _ = await gate.sign_in()
    people = (gate.folder / "people.json").read_text()
    (gate.folder / "people.json").write_text(people.replace('"disabled": false', '"disabled": true'))
    gate.restart()
    (gate.folder / "people.json").write_text(people)
    gate.accounts.look()

    assert gate.accounts.session_of(token) is None


async def test_groups_are_those_of_the_file_as_it_is_now(gate: Gate) -> None:
    token, _ = await gate.sign_in()
    gate.write_people(anna={**PEOPLE["anna"], "groups": ["club"]})

    session = gate.accounts.session_of(token)
    assert session is not None
    person = gate.accounts.person(session.user)
    assert person is not None
    assert person.groups == ("club",)


async def test_signing_out_one_browser_leaves_the_others(gate: Gate) -> None:
    (first, one), (second, _), (third, other) = [await gate.sign_in(user) for user in ("anna", "anna", "ben")]

    gate.accounts.end_session("anna", other.id)
    assert gate.accounts.session_of(third) is not None
    gate.accounts.end_session("anna", one.id)
    assert gate.accounts.session_of(first) is None
    assert gate.accounts.session_of(second) is not None
    assert gate.accounts.end_all("anna") == 1
    assert gate.accounts.session_of(second) is None
    assert gate.accounts.session_of(third) is not None


async def test_of_too_many_sessions_the_idlest_ends(gate: Gate) -> None:
    idle, _ = await gate.sign_in()
    busy, _ = await gate.sign_in()
    gate.clock.now += 60
    gate.accounts.session_of(busy)
    for _ in range(AT_MOST - 1):
        await gate.sign_in()

    assert gate.accounts.session_of(idle) is None
    assert gate.accounts.session_of(busy) is not None
    assert len(gate.accounts.sessions("anna")) == AT_MOST


async def test_a_clock_put_back_a_day_signs_nobody_out_and_gives_nobody_longer(gate: Gate) -> None:
    token, session = await gate.sign_in()
    gate.clock.now -= DAY
    kept = gate.accounts.session_of(token)

    assert kept is not None
    assert kept.expires <= gate.clock.now + DAY
    assert not gate.accounts.is_fresh(kept)
    gate.clock.now += DAY
    assert gate.accounts.session_of(token) is None
    assert session.expires > gate.clock.now


async def test_a_clock_put_forward_a_day_ends_short_sessions_for_good(gate: Gate) -> None:
    short, _ = await gate.sign_in()
    long, _ = await gate.sign_in(remember=True)
    gate.clock.now += DAY
    gate.accounts.look()
    gate.clock.now -= DAY

    assert gate.accounts.session_of(short) is None
    assert gate.accounts.session_of(long) is not None


async def test_freshness_ends_after_ten_minutes_and_comes_back_with_the_password(gate: Gate) -> None:
    token, session = await gate.sign_in()
    assert gate.accounts.is_fresh(session)
    gate.clock.now += 600
    assert not gate.accounts.is_fresh(session)

    with pytest.raises(Refused, match="wrong"):
        await gate.accounts.verify_password(session, "not it at all", HOME)
    assert not gate.accounts.is_fresh(session)
    await gate.accounts.verify_password(session, PASSWORD, HOME)
    assert gate.accounts.is_fresh(session)
    assert gate.accounts.session_of(token) is not None


async def test_a_session_that_has_ended_cannot_become_fresh(gate: Gate) -> None:
    _, session = await gate.sign_in()
    gate.accounts.end_all("anna")

    with pytest.raises(Refused, match="gone"):
        await gate.accounts.verify_password(session, PASSWORD, HOME)


async def test_a_proof_identity_lives_in_memory_only(gate: Gate) -> None:
    user, token = gate.accounts.make_identity(["admins"], 2, 5)
    session, person = gate.accounts.session_of(token), gate.accounts.person(user)
    assert session is not None and person is not None
    assert (session.factors, person.groups, user[:7]) == (2, ("admins",), "verify-")
    gate.accounts.session_of(token)
    gate.restart()

    assert gate.accounts.session_of(token) is None
    assert gate.accounts.person(user) is None


async def test_a_proof_identity_ends_at_its_time_or_when_forgotten(gate: Gate) -> None:
    _, token = gate.accounts.make_identity([], 1, 5)
    user, other = gate.accounts.make_identity([], 1, 500)
    gate.clock.now += 299
    gate.accounts.look()
    assert gate.accounts.session_of(token) is not None
    gate.clock.now += 1
    gate.accounts.look()
    assert gate.accounts.session_of(token) is None
    assert gate.accounts.session_of(other) is not None

    gate.accounts.forget(user)
    assert gate.accounts.session_of(other) is None


async def test_nobody_signs_in_as_a_proof_identity(gate: Gate) -> None:
    user, _ = gate.accounts.make_identity(["admins"], 2, 5)

    with pytest.raises(Refused, match="wrong"):
        await gate.sign_in(user, "")
    with pytest.raises(LookupError):
        await gate.accounts.set_password(user, PASSWORD)
    with pytest.raises(LookupError):
        gate.accounts.make_link(user, "login", 5)


async def test_where_a_session_came_from_is_kept_but_not_without_end(gate: Gate) -> None:
    _, session = await gate.sign_in(address=ABROAD, agent="x" * 5000)

    assert session.address == ABROAD
    assert len(session.agent) == 300
