from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from portal_world import DOMAIN, HOME, PASSWORD, Authenticator, Browser, Clock, World
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from ez_homelab.runtime.gate.accounts import Refused
from ez_homelab.runtime.gate.portal.passkeys import GOOD_FOR, Challenges, Purpose

if TYPE_CHECKING:
    from portal_world import Page

METRICS = "https://metrics.lab.localhost/"


async def _add(browser: Browser, device: Authenticator, name: str = "Blue key") -> Page:
    options = (await browser.send("/passkeys/add/options")).document
    return await browser.send("/passkeys/add", {"credential": device.make(options), "name": name})


async def _enrolled(world: World, **how: Any) -> Authenticator:
    """anna's passkey, added in a browser of its own."""
    browser, device = world.browser(), Authenticator(**how)
    await browser.sign_in()
    assert (await _add(browser, device)).status == 200
    return device


async def _sign_in(browser: Browser, device: Authenticator, **more: Any) -> Page:
    await browser.get("/")
    options = (await browser.send("/passkeys/sign-in/options")).document
    return await browser.send("/passkeys/sign-in", {"credential": device.show(options), **more})


async def test_a_passkey_is_added_with_a_name(world: World, browser: Browser) -> None:
    await browser.sign_in()
    page = await _add(browser, Authenticator(), "  Blue <b>key</b>\n ")
    assert page.document == {"location": "/account?done=passkey-added"}
    (kept,) = world.accounts.passkeys("anna")
    assert (kept.name, kept.transports) == ("Blue <b>key</b>", ("internal",))
    page = await browser.get("/account")
    assert "Blue &lt;b&gt;key" in page.text


async def test_the_browser_is_asked_for_a_passkey_of_the_lab(browser: Browser) -> None:
    await browser.sign_in()
    options = (await browser.send("/passkeys/add/options")).document
    assert options["rp"]["id"] == DOMAIN
    assert options["user"]["name"] == "anna"
    assert b"anna" not in base64url_to_bytes(options["user"]["id"])
    asked = (await browser.send("/passkeys/sign-in/options")).document
    assert asked["rpId"] == DOMAIN
    assert asked["userVerification"] == "required"
    assert asked["allowCredentials"] == []


async def test_a_passkey_signs_in_without_a_name_and_counts_as_two_factors(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    page = await _sign_in(browser, device, rd=METRICS, rm="GET", remember=True)
    assert (page.status, page.document) == (200, {"location": METRICS})
    cookie = page.set_cookies["ez_session"]
    assert (cookie["domain"], int(cookie["max-age"])) == (DOMAIN, 2_592_000)
    session = world.accounts.session_of(browser.cookies["ez_session"])
    assert session is not None
    assert (session.user, session.factors, session.remembered) == ("anna", 2, True)


async def test_a_passkey_is_the_second_step_after_a_password(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    await browser.sign_in(rd=METRICS)
    page = await browser.get(f"/second-factor?rd={METRICS}")
    assert 'data-passkey="second-factor"' in page.text
    options = (await browser.send("/passkeys/second-factor/options")).document
    assert [one["id"] for one in options["allowCredentials"]] == [bytes_to_base64url(device.credential_id)]
    before = browser.cookies["ez_session"]
    page = await browser.send("/passkeys/second-factor", {"credential": device.show(options), "rd": METRICS})
    assert page.document == {"location": METRICS}
    assert world.accounts.session_of(before) is None
    session = world.accounts.session_of(browser.cookies["ez_session"])
    assert session is not None
    assert session.factors == 2


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({}, "/"),
        ({"rd": "https://evil.example/"}, "/"),
        ({"rd": METRICS, "rm": "POST"}, "/?rd=https%3A%2F%2Fmetrics.lab.localhost%2F&rm=POST"),
        ({"rd": "https://books.lab.localhost/"}, "/?rd=https%3A%2F%2Fbooks.lab.localhost%2F"),
        ({"rd": 7, "rm": ["GET"]}, "/"),
    ],
)
async def test_a_passkey_leads_where_a_password_would(
    world: World, browser: Browser, fields: dict[str, Any], location: str
) -> None:
    page = await _sign_in(browser, await _enrolled(world), **fields)
    assert page.document == {"location": location}


async def test_a_device_that_does_not_know_its_owner_does_not_sign_in(world: World, browser: Browser) -> None:
    page = await _sign_in(browser, await _enrolled(world, verifies=False))
    assert page.status == 401
    assert "ez_session" not in browser.cookies


async def test_an_answer_counts_once(world: World, browser: Browser) -> None:
    device = await _enrolled(world, counts=False)
    await browser.get("/")
    credential = device.show((await browser.send("/passkeys/sign-in/options")).document)
    assert (await browser.send("/passkeys/sign-in", {"credential": credential})).status == 200
    assert (await browser.send("/passkeys/sign-in", {"credential": credential})).status == 401


async def test_an_answer_to_another_browsers_question_does_not_count(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    other = world.browser()
    await other.get("/")
    options = (await other.send("/passkeys/sign-in/options")).document
    await browser.get("/")
    assert (await browser.send("/passkeys/sign-in", {"credential": device.show(options)})).status == 401


async def test_an_answer_after_five_minutes_does_not_count(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    await browser.get("/")
    options = (await browser.send("/passkeys/sign-in/options")).document
    world.clock.go_on(GOOD_FOR + 1)
    assert (await browser.send("/passkeys/sign-in", {"credential": device.show(options)})).status == 401


async def test_an_answer_given_to_an_apps_page_does_not_count(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    device.origin = "https://photos.lab.localhost"
    assert (await _sign_in(browser, device)).status == 401


async def test_an_answer_for_another_lab_does_not_count(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    device.domain = "evil.example"
    assert (await _sign_in(browser, device)).status == 401


async def test_a_copied_device_is_noticed_by_its_counter(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    assert (await _sign_in(browser, device)).status == 200
    device.sign_count -= 1
    assert (await _sign_in(world.browser(), device)).status == 401
    (noted,) = world.accounts._store.rows("SELECT user, address FROM audit WHERE event = 'passkey-copied'")
    assert noted == ("anna", HOME)


async def test_a_question_for_one_purpose_answers_no_other(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    await browser.sign_in()
    options = (await browser.send("/passkeys/second-factor/options")).document
    assert (await browser.send("/passkeys/sign-in", {"credential": device.show(options)})).status == 401


async def test_a_made_up_challenge_does_not_count(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    await browser.get("/")
    credential = device.show({"challenge": bytes_to_base64url(bytes(56))})
    assert (await browser.send("/passkeys/sign-in", {"credential": credential})).status == 401


async def test_a_signature_by_another_key_does_not_count(world: World, browser: Browser) -> None:
    device, other = await _enrolled(world), Authenticator()
    device.key = other.key
    assert (await _sign_in(browser, device)).status == 401


async def test_an_unknown_passkey_does_not_sign_in(browser: Browser) -> None:
    assert (await _sign_in(browser, Authenticator())).status == 401


async def test_a_device_that_names_another_owner_does_not_sign_in(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    device.user_handle = bytes_to_base64url(world.accounts.user_handle("ben"))
    assert (await _sign_in(browser, device)).status == 401


async def test_somebody_elses_passkey_is_no_second_step(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    await browser.sign_in("ben")
    options = (await browser.send("/passkeys/second-factor/options")).document
    page = await browser.send("/passkeys/second-factor", {"credential": device.show(options)})
    assert page.status == 401
    session = world.accounts.session_of(browser.cookies["ez_session"])
    assert session is not None
    assert session.factors == 1


async def test_a_passkey_that_was_removed_does_not_sign_in(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    await _sign_in(browser, device)
    await browser.get("/account")
    (kept,) = world.accounts.passkeys("anna")
    page = await browser.post("/account/passkeys/remove", {"id": kept.id})
    assert page.location == "/account?done=passkey-removed"
    assert (await _sign_in(world.browser(), device)).status == 401


async def test_nobody_removes_the_passkey_of_somebody_else(world: World, browser: Browser) -> None:
    await _enrolled(world)
    (kept,) = world.accounts.passkeys("anna")
    await browser.sign_in("ben")
    await browser.post("/account/passkeys/remove", {"id": kept.id})
    assert len(world.accounts.passkeys("anna")) == 1


@pytest.mark.parametrize(
    ("said", "kept"),
    [("Blue key", "Blue key"), ("  a <b>\u202e\x07 ", "a <b>"), ("", "Passkey"), ("x" * 99, "x" * 60)],
)
async def test_a_passkey_gets_another_name(world: World, browser: Browser, said: str, kept: str) -> None:
    device = await _enrolled(world)
    await _sign_in(browser, device)
    page = await browser.get("/account")
    (key,) = re.findall(r'action="/account/passkeys/rename".*?name="id" value="([^"]+)"', page.text)
    page = await browser.post("/account/passkeys/rename", {"id": key, "name": said})
    page = await browser.get(page.location)
    assert "has its new name" in page.words
    assert [one.name for one in world.accounts.passkeys("anna")] == [kept]
    assert kept in page.words
    assert "<b>" not in page.text
    assert (await _sign_in(world.browser(), device)).status == 200


async def test_nobody_renames_the_passkey_of_somebody_else(world: World, browser: Browser) -> None:
    await _enrolled(world)
    (before,) = world.accounts.passkeys("anna")
    await browser.sign_in("ben")
    await browser.post("/account/passkeys/rename", {"id": before.id, "name": "Mine now"})
    assert world.accounts.passkeys("anna") == (before,)


async def test_the_script_is_told_in_words_that_nobody_is_signed_in(browser: Browser) -> None:
    await browser.get("/")
    page = await browser.send("/passkeys/add/options")
    assert page.status == 401
    assert "no longer signed in" in page.document["error"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PARTS = ("clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle")


BROKEN = st.dictionaries(st.sampled_from([*PARTS, "id", "rawId", "type", "response"]), JSON, min_size=1)


def _break(credential: dict[str, Any], broken: dict[str, Any]) -> dict[str, Any]:
    response = credential["response"] | {name: value for name, value in broken.items() if name in PARTS}
    return {**credential, "response": response, **{name: broken[name] for name in broken if name not in PARTS}}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken=BROKEN)
async def test_a_broken_new_passkey_is_refused_and_nothing_else(world: World, broken: dict[str, Any]) -> None:
    world.accounts.reset_second_factors("anna")
    browser = world.browser()
    await browser.sign_in()
    credential = Authenticator().make((await browser.send("/passkeys/add/options")).document)
    page = await browser.send("/passkeys/add", {"credential": _break(credential, broken)})
    matters = {"clientDataJSON", "attestationObject", "response", "id", "rawId"} & {*broken}
    assert page.status in ((401,) if matters else (200, 401))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken=BROKEN.filter(lambda broken: not {*broken} <= {"attestationObject", "type", "userHandle"}))
async def test_a_broken_signature_is_refused_and_nothing_else(world: World, broken: dict[str, Any]) -> None:
    world.accounts.reset_second_factors("anna")
    device, browser = await _enrolled(world), world.browser()
    await browser.get("/")
    credential = device.show((await browser.send("/passkeys/sign-in/options")).document)
    page = await browser.send("/passkeys/sign-in", {"credential": _break(credential, broken)})
    assert page.status == 401


@pytest.mark.parametrize("what", ["clientDataJSON", "attestationObject"])
@pytest.mark.parametrize("junk", ["", "AAAA", "e30", "oA", "W10", "____", "é", bytes_to_base64url(b"\xa1\x61a\xff")])
async def test_junk_in_an_answer_is_refused(browser: Browser, what: str, junk: str) -> None:
    await browser.sign_in()
    credential = Authenticator().make((await browser.send("/passkeys/add/options")).document)
    credential["response"][what] = junk
    assert (await browser.send("/passkeys/add", {"credential": credential})).status == 401


@pytest.mark.parametrize("what", ["clientDataJSON", "authenticatorData", "signature", "userHandle"])
@pytest.mark.parametrize("junk", ["AAAA", "e30", "____", "é", 7, ["x"]])
async def test_junk_in_a_signature_is_refused(world: World, browser: Browser, what: str, junk: Any) -> None:
    device = await _enrolled(world)
    await browser.get("/")
    credential = device.show((await browser.send("/passkeys/sign-in/options")).document)
    credential["response"][what] = junk
    assert (await browser.send("/passkeys/sign-in", {"credential": credential})).status == 401


@pytest.mark.parametrize("purpose", ["add", "sign-in", "second-factor"])
def test_a_challenge_is_taken_back_once(purpose: Purpose) -> None:
    challenges = Challenges(Clock())
    challenge = challenges.issue(purpose, "browser")
    challenges.spend(challenge, purpose, "browser")
    with pytest.raises(Refused):
        challenges.spend(challenge, purpose, "browser")


def test_spent_challenges_are_forgotten_when_they_have_expired_anyway() -> None:
    clock = Clock()
    challenges = Challenges(clock)
    for _ in range(5):
        challenges.spend(challenges.issue("sign-in", "browser"), "sign-in", "browser")
    clock.go_on(GOOD_FOR + 2)
    challenges.spend(challenges.issue("sign-in", "browser"), "sign-in", "browser")
    assert len(challenges._answered) == 1


def test_a_challenge_of_another_gate_is_not_taken() -> None:
    clock = Clock()
    with pytest.raises(Refused):
        Challenges(clock).spend(Challenges(clock).issue("sign-in", "browser"), "sign-in", "browser")


async def test_after_a_reset_the_password_is_what_signs_in(world: World, browser: Browser) -> None:
    device = await _enrolled(world)
    world.accounts.reset_second_factors("anna")
    assert (await _sign_in(browser, device)).status == 401
    assert (await browser.sign_in("anna", PASSWORD)).status == 303
