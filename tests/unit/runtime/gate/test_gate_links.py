"""One-time links: looking is free, using works once, and a link is good for what it was made for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from gate_world import ABROAD, DAY, HOME, OTHER_PASSWORD, PASSWORD, PEOPLE, Gate, refusal

from ez_homelab.runtime.gate.kinds import Refused

if TYPE_CHECKING:
    from ez_homelab.runtime.gate.kinds import Purpose, Session


async def use(gate: Gate, token: str, password: str | None = OTHER_PASSWORD) -> tuple[str, Session]:
    return await gate.accounts.use_link(token, password, address=ABROAD, agent="phone")


@pytest.mark.parametrize("purpose", ["invite", "reset"])
async def test_a_link_sets_a_password_once_and_ends_the_other_sessions(gate: Gate, purpose: Purpose) -> None:
    before, _ = await gate.sign_in()
    token, expires = gate.accounts.make_link("anna", purpose, 60)
    for _ in range(3):
        looked = await gate.accounts.open_link(token)
        assert looked is not None
        assert (looked.user, looked.purpose, looked.expires) == ("anna", purpose, expires)

    signed_in, session = await use(gate, token)

    assert (session.user, session.factors, session.from_link, session.address) == ("anna", 1, True, ABROAD)
    assert gate.accounts.session_of(signed_in) == session
    assert gate.accounts.session_of(before) is None
    assert await gate.accounts.open_link(token) is None
    assert (await refusal(use(gate, token))).reason == "gone"
    await gate.sign_in(password=OTHER_PASSWORD)


async def test_a_login_link_signs_in_and_leaves_the_password(gate: Gate) -> None:
    before, _ = await gate.sign_in()
    token, _ = gate.accounts.make_link("anna", "login", 10)
    await use(gate, token, None)

    assert (await refusal(use(gate, token, None))).reason == "gone"
    assert gate.accounts.session_of(before) is not None
    await gate.sign_in()


async def test_a_login_link_does_not_set_a_password_even_if_given_one(gate: Gate) -> None:
    token, _ = gate.accounts.make_link("anna", "login", 10)
    await use(gate, token, OTHER_PASSWORD)

    await gate.sign_in()
    assert (await refusal(gate.sign_in(password=OTHER_PASSWORD))).reason == "wrong"


@pytest.mark.parametrize("password", [None, "", "short"])
async def test_after_a_weak_password_the_link_is_still_good(gate: Gate, password: str | None) -> None:
    token, _ = gate.accounts.make_link("anna", "invite", 60)

    assert (await refusal(use(gate, token, password))).reason == "weak"
    await use(gate, token)


async def test_used_twice_at_once_it_works_once(gate: Gate) -> None:
    token, _ = gate.accounts.make_link("anna", "invite", 60)
    answers = await asyncio.gather(*(use(gate, token) for _ in range(5)), return_exceptions=True)

    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert {str(answer) for answer in answers if isinstance(answer, Refused)} == {"gone"}
    assert len(gate.accounts.sessions("anna")) == 1


async def test_a_link_expires_and_survives_a_restart_until_then(gate: Gate) -> None:
    token, _ = gate.accounts.make_link("anna", "login", 10)
    gate.clock.now += 599
    gate.restart()
    assert await gate.accounts.open_link(token) is not None
    gate.clock.now += 1

    assert await gate.accounts.open_link(token) is None
    assert (await refusal(use(gate, token, None))).reason == "gone"


async def test_a_clock_put_back_makes_no_link_good_for_longer(gate: Gate) -> None:
    token, _ = gate.accounts.make_link("anna", "login", 10)
    gate.clock.now -= DAY

    assert await gate.accounts.open_link(token) is None


async def test_a_new_link_voids_the_one_before_of_its_kind(gate: Gate) -> None:
    first, _ = gate.accounts.make_link("anna", "invite", 60)
    login, _ = gate.accounts.make_link("anna", "login", 60)
    second, _ = gate.accounts.make_link("anna", "invite", 60)

    assert await gate.accounts.open_link(first) is None
    assert await gate.accounts.open_link(login) is not None
    assert await gate.accounts.open_link(second) is not None


@pytest.mark.parametrize("by", ["another link", "its owner", "whoever runs the lab"])
async def test_a_new_password_voids_every_link_that_could_set_another(gate: Gate, by: str) -> None:
    left_over, _ = gate.accounts.make_link("anna", "invite", 60)
    of_somebody_else, _ = gate.accounts.make_link("ben", "invite", 60)
    if by == "another link":
        await use(gate, gate.accounts.make_link("anna", "reset", 60)[0])
    elif by == "its owner":
        token, _ = await gate.sign_in()
        await gate.accounts.change_password(token, PASSWORD, OTHER_PASSWORD, HOME)
    else:
        await gate.accounts.set_password("anna", OTHER_PASSWORD)

    assert (await refusal(use(gate, left_over, PASSWORD))).reason == "gone"
    assert gate.accounts.invited_until("anna") is None
    assert await gate.accounts.open_link(of_somebody_else) is not None


async def test_a_disabled_persons_link_is_good_for_nothing(gate: Gate) -> None:
    token, _ = gate.accounts.make_link("anna", "login", 60)
    gate.write_people(anna={**PEOPLE["anna"], "disabled": True})

    assert await gate.accounts.open_link(token) is None
    assert (await refusal(use(gate, token, None))).reason == "gone"


@pytest.mark.parametrize("user", ["nobody", "eve", "", "verify-12345678"])
async def test_links_are_made_for_people_who_may_sign_in(gate: Gate, user: str) -> None:
    with pytest.raises(LookupError):
        gate.accounts.make_link(user, "login", 10)


@pytest.mark.parametrize("minutes", [0, -1, 60 * 24 * 30 + 1])
async def test_links_are_not_made_for_ever(gate: Gate, minutes: int) -> None:
    with pytest.raises(ValueError, match="minutes"):
        gate.accounts.make_link("anna", "login", minutes)


@pytest.mark.parametrize("token", ["", "x", "\udc80", "' OR 1=1 --"])
async def test_what_is_no_link_is_gone(gate: Gate, token: str) -> None:
    gate.accounts.make_link("anna", "login", 10)

    assert await gate.accounts.open_link(token) is None
    assert (await refusal(use(gate, token))).reason == "gone"


async def test_a_link_does_not_get_round_the_second_factor(gate: Gate) -> None:
    await gate.enrol()
    token, _ = gate.accounts.make_link("anna", "login", 10)
    _, session = await use(gate, token, None)

    assert session.factors == 1
    assert not gate.accounts.may_enrol(session, HOME)
    with pytest.raises(Refused, match="second-factor"):
        gate.accounts.begin_totp(session)
    await gate.accounts.verify_password(session, PASSWORD, HOME)
    with pytest.raises(Refused, match="second-factor"):
        gate.accounts.remove_totp(session)
