"""What opens the door, and for how long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sso_lab import LAB, lab, outside, start

from ez_homelab.testing.front.browser import form_of
from ez_homelab.testing.front.gate import SESSION_COOKIE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ez_homelab.testing.front import Front
    from ez_homelab.testing.front.browser import Browser

PAGE = "https://one.lab.localhost/"
PASSWORDS = LAB["passwords"]
LOOK_SECONDS = 15


def signed_in(front: Front, user: str = "carol") -> Browser:
    browser = front.browser(outside())
    assert browser.sign_in(user, PASSWORDS[user]).status == 303
    return browser


def opens(front: Front, token: str) -> bool:
    answer = front.client.ask("GET", PAGE, [("Cookie", f"{SESSION_COOKIE}={token}")], address=outside())
    assert answer.status in (200, 302), answer
    return answer.status == 200


def until(holds: Callable[[], bool]) -> bool:
    """Whether it holds within some seconds; the gate looks at its files each second."""
    deadline = time.monotonic() + LOOK_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_signing_in_leads_on_to_the_app(front: Front) -> None:
    browser = front.browser(outside())
    led = browser.get(PAGE + "page?a=1&b=%20")
    assert led.status == 302
    answer = browser.post("/", form_of(browser.get(led.location), "/").fields | who("carol"))
    assert (answer.status, answer.location) == (303, PAGE + "page?a=1&b=%20")
    seen = browser.get(answer.location).seen
    assert seen is not None
    assert seen.header("Remote-User") == "carol"


def who(user: str) -> dict[str, str]:
    return {"user": user, "password": PASSWORDS[user]}


def test_the_cookie_is_for_https_and_no_script_and_the_lab_only(front: Front) -> None:
    answer = front.browser(outside()).sign_in("carol", PASSWORDS["carol"])
    line = next(line for line in answer.all("set-cookie") if line.startswith(f"{SESSION_COOKIE}="))
    attributes = {part.strip().lower() for part in line.split(";")[1:]}
    assert {"secure", "httponly", "samesite=lax", "path=/", "domain=lab.localhost"} <= attributes
    assert not {part for part in attributes if part.startswith(("max-age", "expires"))}
    assert len(line.split(";")[0].partition("=")[2]) >= 43


def test_a_cookie_that_was_there_before_is_never_signed_in(front: Front) -> None:
    browser = front.browser(outside())
    planted = "A" * 43
    browser.cookies[SESSION_COOKIE] = planted
    browser.sign_in("carol", PASSWORDS["carol"])
    assert browser.cookies[SESSION_COOKIE] != planted
    assert not opens(front, planted)
    assert opens(front, browser.cookies[SESSION_COOKIE])


def test_signing_in_over_somebody_elses_session_leaves_that_one_behind(front: Front) -> None:
    attacker = signed_in(front, "ben")
    victim = front.browser(outside())
    victim.cookies[SESSION_COOKIE] = attacker.cookies[SESSION_COOKIE]
    victim.post("/", form_of(victim.get("/sign-out"), "/sign-out").fields | who("carol"))
    seen = victim.get(PAGE).seen
    assert seen is not None
    assert seen.header("Remote-User") == "carol"
    answer = attacker.get(PAGE)
    assert answer.status == 302 or (answer.seen is not None and answer.seen.header("Remote-User") == "ben")


def test_two_peoples_sessions_at_once_open_nothing_and_lead_round_in_no_circle(front: Front) -> None:
    """One of them was planted, and there is no telling which: the portal asks who it is, as the app does."""
    browser = signed_in(front)
    planted = f"{SESSION_COOKIE}={signed_in(front, 'ben').cookies[SESSION_COOKIE]}"
    both = [("Cookie", f"{SESSION_COOKIE}={browser.cookies[SESSION_COOKIE]}; {planted}")]
    assert front.client.ask("GET", PAGE, both).status == 302
    assert 'name="password"' in front.client.ask("GET", "https://auth.lab.localhost/", both).text


def test_two_sign_ins_have_two_tokens(front: Front) -> None:
    first, second = signed_in(front), signed_in(front)
    assert first.cookies[SESSION_COOKIE] != second.cookies[SESSION_COOKIE]


@pytest.mark.parametrize("position", [0, 1, 20, -2])
def test_a_tampered_token_opens_nothing(front: Front, position: int) -> None:
    token = signed_in(front).cookies[SESSION_COOKIE]
    letters = list(token)
    letters[position] = "B" if letters[position] == "A" else "A"
    assert not opens(front, "".join(letters))
    assert opens(front, token)


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t[1:], lambda t: t + "A", lambda t: t.swapcase()])
def test_a_token_cut_or_grown_opens_nothing(front: Front, change: Callable[[str], str]) -> None:
    assert not opens(front, change(signed_in(front).cookies[SESSION_COOKIE]))


def test_signing_out_ends_the_session_for_every_copy_of_its_cookie(front: Front) -> None:
    browser = signed_in(front)
    token = browser.cookies[SESSION_COOKIE]
    assert opens(front, token)
    browser.submit("/sign-out", "/sign-out")
    assert SESSION_COOKIE not in browser.cookies
    assert not opens(front, token)


def test_signing_out_everywhere_ends_the_other_browsers_too(front: Front) -> None:
    one, other, stranger = signed_in(front, "dora"), signed_in(front, "dora"), signed_in(front, "ben")
    tokens = [browser.cookies[SESSION_COOKIE] for browser in (one, other)]
    one.submit("/account", "/account/sessions/end-all")
    assert not any(opens(front, token) for token in tokens)
    assert opens(front, stranger.cookies[SESSION_COOKIE])


def test_nobody_ends_somebody_elses_session(front: Front) -> None:
    victim, attacker = signed_in(front), signed_in(front, "ben")
    page = victim.get("/account").text
    ids = [part.partition('"')[0] for part in page.split('<li data-id="')[1:]]
    assert ids
    token = form_of(attacker.get("/account"), "/account/sessions/end-all").fields
    for one in ids:
        attacker.post("/account/sessions/end", token | {"id": one})
    assert opens(front, victim.cookies[SESSION_COOKIE])


def test_a_second_factor_brings_a_new_token_and_the_old_one_is_worth_nothing(own_front: Front) -> None:
    browser = own_front.browser("127.0.1.50")
    browser.sign_in("anna", PASSWORDS["anna"])
    before = browser.cookies[SESSION_COOKIE]
    browser.enrol_totp()
    assert browser.cookies[SESSION_COOKIE] != before
    assert not opens(own_front, before)
    assert browser.get("https://two.lab.localhost/").status == 200


def test_a_changed_password_ends_the_other_sessions_and_renews_this_one(own_front: Front) -> None:
    one, other = signed_in(own_front, "ben"), signed_in(own_front, "ben")
    before = one.cookies[SESSION_COOKIE]
    new = "an-entirely-new-password-9"
    fields = {"old_password": PASSWORDS["ben"], "new_password": new, "new_password_again": new}
    assert one.submit("/account", "/account/password", fields).status == 303
    assert one.cookies[SESSION_COOKIE] != before
    assert not opens(own_front, before)
    assert not opens(own_front, other.cookies[SESSION_COOKIE])
    assert opens(own_front, one.cookies[SESSION_COOKIE])


def test_who_is_disabled_or_taken_out_is_signed_out_everywhere(own_front: Front) -> None:
    engine = own_front.engine
    assert isinstance(engine, Gate)
    carol, dora = (signed_in(own_front, user).cookies[SESSION_COOKIE] for user in ("carol", "dora"))
    assert opens(own_front, carol)
    assert opens(own_front, dora)
    people = lab()["people"]
    people["users"]["carol"]["disabled"] = True
    del people["users"]["dora"]
    engine.write("people.json", people)
    assert until(lambda: not opens(own_front, carol) and not opens(own_front, dora))
    engine.write("people.json", lab()["people"])
    assert not opens(own_front, carol)
    assert own_front.browser(outside()).sign_in("eve", PASSWORDS["eve"]).status != 303


def test_sessions_outlive_a_restart_and_temporary_identities_do_not(own_front: Front) -> None:
    engine = own_front.engine
    assert isinstance(engine, Gate)
    token = signed_in(own_front, "anna").cookies[SESSION_COOKIE]
    identity = engine.identity(["family"]).partition("=")[2]
    assert opens(own_front, identity)
    engine.stop()
    engine.run()
    assert opens(own_front, token)
    assert not opens(own_front, identity)


def test_a_forgotten_identity_opens_nothing(gate: Gate, front: Front) -> None:
    made = gate.admin(do="identity", groups=["family"], factors=2, minutes=5)
    assert opens(front, made["token"])
    gate.admin(do="forget", user=made["user"])
    assert not opens(front, made["token"])


def test_an_expired_session_opens_nothing(tmp_path: Path) -> None:
    described = lab()
    described["policy"]["session"] = {"idle": 2, "lifetime": 2, "remembered": 2}
    described["passwords"] = {"carol": PASSWORDS["carol"]}
    with start(tmp_path, Gate(), described) as front:
        token = signed_in(front).cookies[SESSION_COOKIE]
        assert until(lambda: not opens(front, token))


def test_no_session_and_no_link_stands_in_the_gates_files(front: Front, gate: Gate) -> None:
    token = signed_in(front).cookies[SESSION_COOKIE]
    link = gate.admin(do="login-link", user="carol", minutes=5)["link"].rpartition("/")[2]
    kept = b"".join(path.read_bytes() for path in (gate.folder / "data").iterdir()) + gate.program_log()
    assert token.encode() not in kept
    assert link.encode() not in kept
    for password in PASSWORDS.values():
        assert password.encode() not in kept
