"""Guessing: passwords, codes, names; and what stops it without locking out whom it is about."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from sso_lab import LAB, outside

from ez_homelab.testing.front.browser import code, form_of
from ez_homelab.testing.front.gate import SESSION_COOKIE, Gate

if TYPE_CHECKING:
    from ez_homelab.testing.front import Answer, Front
    from ez_homelab.testing.front.browser import Browser

PASSWORDS = LAB["passwords"]
ANY_PASSWORD = "never-the-password"
TRIES = 80
"""More wrong tries than anybody needs."""


def tries_until_stopped(browser: Browser, users: list[str]) -> int | None:
    """How many wrong sign-ins got an ordinary answer before the address was told to wait; None: it never was."""
    for number in range(TRIES):
        answer = browser.sign_in(users[number % len(users)], f"{ANY_PASSWORD}-{number}")
        if answer.status == 429:
            assert int(answer.header("retry-after")) > 0
            return number
        assert answer.status != 303
    return None


def test_guessing_one_persons_password_is_stopped_and_the_person_is_not(front: Front) -> None:
    stopped = tries_until_stopped(front.browser(outside()), ["ben"])
    assert stopped is not None
    assert stopped <= 10
    assert front.browser(outside()).sign_in("ben", PASSWORDS["ben"]).status == 303


def test_the_right_password_opens_nothing_while_the_address_waits(front: Front) -> None:
    browser = front.browser(outside())
    assert tries_until_stopped(browser, ["ben"]) is not None
    assert browser.sign_in("ben", PASSWORDS["ben"]).status == 429
    assert SESSION_COOKIE not in browser.cookies


def test_another_browser_at_the_same_address_has_no_more_tries(front: Front) -> None:
    address = outside()
    assert tries_until_stopped(front.browser(address), ["ben"]) is not None
    assert front.browser(address).sign_in("ben", ANY_PASSWORD).status == 429


def test_spraying_over_many_names_is_stopped_and_nobody_elsewhere_is(front: Front) -> None:
    names = [*PASSWORDS, *(f"user{number}" for number in range(TRIES))]
    stopped = tries_until_stopped(front.browser(outside()), names)
    assert stopped is not None
    assert stopped <= 50
    for user in ("anna", "ben", "carol", "dora"):
        assert front.browser(outside()).sign_in(user, PASSWORDS[user]).status == 303


def test_many_addresses_that_guess_do_not_lock_the_owner_out(front: Front) -> None:
    for _ in range(15):
        front.browser(outside()).sign_in("dora", ANY_PASSWORD)
    assert front.browser(outside()).sign_in("dora", PASSWORDS["dora"]).status == 303


def test_a_forged_address_gets_no_more_tries(front: Front) -> None:
    browser = front.browser(outside())
    fields = form_of(browser.get("/"), "/").fields | {"user": "ben", "password": ANY_PASSWORD}
    statuses = [
        browser.post("/", fields, [("X-Forwarded-For", f"10.0.0.{number}"), ("X-Real-Ip", f"10.0.0.{number}")]).status
        for number in range(20)
    ]
    assert 429 in statuses


def test_many_tries_at_once_are_no_more_than_one_after_another(front: Front) -> None:
    browser = front.browser(outside())
    fields = form_of(browser.get("/"), "/").fields | {"user": "ben", "password": ANY_PASSWORD}
    with ThreadPoolExecutor(20) as threads:
        statuses = list(threads.map(lambda _: browser.post("/", fields).status, range(40)))
    assert len([status for status in statuses if status not in (429, 503)]) <= 10


def said(answer: Answer, user: str) -> str:
    """A page without what differs each time."""
    text = re.sub(r'name="csrf" value="[^"]*"|data-csrf="[^"]*"', "", answer.text)
    return text.replace(f'value="{user}"', "")


def test_names_that_exist_are_answered_like_names_that_do_not(front: Front) -> None:
    answers = {user: front.browser(outside()).sign_in(user, ANY_PASSWORD) for user in ("carol", "nobody", "eve", "zz9")}
    assert len({answer.status for answer in answers.values()}) == 1
    assert len({said(answer, user) for user, answer in answers.items()}) == 1
    names = [sorted(name for name, _ in answer.headers) for answer in answers.values()]
    assert all(one == names[0] for one in names)


def test_a_disabled_person_is_answered_like_a_wrong_password(front: Front) -> None:
    right = front.browser(outside()).sign_in("eve", PASSWORDS["eve"])
    wrong = front.browser(outside()).sign_in("eve", ANY_PASSWORD)
    assert right.status == wrong.status
    assert said(right, "eve") == said(wrong, "eve")


@pytest.mark.parametrize(
    "user", ["CAROL", " carol ", "carol\x00", "carol'--", "..", "a" * 64, "c\u0430rol", "verify-00000000"]
)
def test_odd_names_are_no_way_in(front: Front, user: str) -> None:
    answer = front.browser(outside()).sign_in(user, ANY_PASSWORD)
    assert answer.status in (400, 401, 403), answer


def processor_seconds(gate: Gate) -> float:
    """What the gate has used of the processor: it does not depend on what else this machine does."""
    assert gate.program is not None
    fields = Path(f"/proc/{gate.program.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost(front: Front, gate: Gate, user: str, tries: int = 8) -> float:
    browsers = [front.browser(outside()) for _ in range(tries)]
    forms = [form_of(browser.get("/"), "/").fields for browser in browsers]
    before = processor_seconds(gate)
    for browser, fields in zip(browsers, forms, strict=True):
        browser.post("/", fields | {"user": user, "password": ANY_PASSWORD})
    return processor_seconds(gate) - before


def test_a_name_that_does_not_exist_costs_as_much_work_as_one_that_does(front: Front, gate: Gate) -> None:
    known, unknown, disabled = (cost(front, gate, user) for user in ("carol", "nobody", "eve"))
    assert known > 0.05
    for other in (unknown, disabled):
        assert 0.4 < other / known < 2.5, (known, unknown, disabled)


def test_a_code_works_once(own_front: Front) -> None:
    secret = enrolled(own_front, "anna")
    now = code(secret)
    first, second = (half_signed_in(own_front, "anna") for _ in range(2))
    assert first.submit("/second-factor", "/second-factor", {"code": now}).status == 303
    assert second.submit("/second-factor", "/second-factor", {"code": now}).status != 303
    assert second.get("https://two.lab.localhost/").status == 302
    assert first.get("https://two.lab.localhost/").status == 200


def test_a_code_from_before_or_for_later_does_not_work(own_front: Front) -> None:
    secret = enrolled(own_front, "ben")
    browser = half_signed_in(own_front, "ben")
    for steps in (-20, -3, 3, 20):
        assert browser.submit("/second-factor", "/second-factor", {"code": code(secret, steps)}).status != 303
    assert browser.get("https://two.lab.localhost/").status == 302


def test_two_browsers_with_one_code_at_once_are_one(own_front: Front) -> None:
    secret = enrolled(own_front, "dora")
    browsers = [half_signed_in(own_front, "dora") for _ in range(6)]
    forms = [form_of(browser.get("/second-factor"), "/second-factor").fields for browser in browsers]
    fields = [form | {"code": code(secret)} for form in forms]
    with ThreadPoolExecutor(6) as threads:
        answers = threads.map(lambda pair: pair[0].post("/second-factor", pair[1]), zip(browsers, fields, strict=True))
    assert [answer.status for answer in answers].count(303) == 1


def test_guessing_codes_is_stopped_also_from_many_addresses(own_front: Front) -> None:
    enrolled(own_front, "carol")
    statuses = []
    for _ in range(12):
        browser = half_signed_in(own_front, "carol", outside())
        form = form_of(browser.get("/second-factor"), "/second-factor").fields
        statuses += [browser.post("/second-factor", form | {"code": f"{n:06d}"}).status for n in range(5)]
    assert 303 not in statuses
    assert 429 in statuses[-10:]


def test_a_recovery_code_works_once(own_front: Front) -> None:
    enrolled(own_front, "anna")
    codes = CODES["anna"]
    first, second = (half_signed_in(own_front, "anna") for _ in range(2))
    assert recover(first, codes[0]).status == 303
    assert recover(second, codes[0]).status != 303
    assert recover(second, codes[1]).status == 303


SECRETS: dict[str, str] = {}
CODES: dict[str, list[str]] = {}


def enrolled(front: Front, user: str) -> str:
    """The secret of that person's authenticator app, set up at home."""
    if user not in SECRETS:
        browser = front.browser("127.0.1.60")
        assert browser.sign_in(user, PASSWORDS[user]).status == 303
        SECRETS[user], CODES[user] = browser.enrol_totp()
    return SECRETS[user]


def half_signed_in(front: Front, user: str, address: str = "127.0.1.62") -> Browser:
    """With the password only."""
    browser = front.browser(address)
    assert browser.sign_in(user, PASSWORDS[user]).status == 303
    return browser


def recover(browser: Browser, recovery_code: str) -> Answer:
    return browser.post(
        "/second-factor",
        {
            "csrf": form_of(browser.get("/second-factor"), "/second-factor").fields["csrf"],
            "recovery_code": recovery_code,
        },
    )


def link(gate: Gate, do: str, user: str) -> str:
    return urlsplit(gate.admin(do=do, user=user, minutes=5)["link"]).path


def test_a_one_time_link_works_once(front: Front, gate: Gate) -> None:
    path = link(gate, "login-link", "carol")
    first, second = front.browser(outside()), front.browser(outside())
    fields = {name: form_of(one.get(path), path).fields for name, one in (("first", first), ("second", second))}
    assert first.post(path, fields["first"]).status == 303
    assert first.get("https://one.lab.localhost/").status == 200
    assert second.post(path, fields["second"]).status == 410
    assert second.get(path).status == 410
    assert SESSION_COOKIE not in second.cookies


def test_looking_at_a_link_does_not_use_it(front: Front, gate: Gate) -> None:
    path = link(gate, "login-link", "carol")
    for method in ("GET", "HEAD", "GET"):
        scanner = front.browser(outside())
        assert scanner.ask(method, path).status == 200
        assert SESSION_COOKIE not in scanner.cookies
    assert front.browser(outside()).submit(path, path).status == 303


def test_a_link_used_by_many_at_once_lets_one_in(front: Front, gate: Gate) -> None:
    path = link(gate, "login-link", "carol")
    browsers = [front.browser(outside()) for _ in range(8)]
    pairs = [(browser, form_of(browser.get(path), path).fields) for browser in browsers]
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda pair: pair[0].post(path, pair[1]).status, pairs))
    assert statuses.count(303) == 1


def test_a_newer_link_voids_the_one_before(front: Front, gate: Gate) -> None:
    old = link(gate, "login-link", "carol")
    new = link(gate, "login-link", "carol")
    assert front.browser(outside()).get(old).status == 410
    assert front.browser(outside()).get(new).status == 200


@pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: p + "A", lambda p: p.swapcase(), lambda _: "/link/x"])
def test_a_link_that_is_not_quite_right_is_none(front: Front, gate: Gate, change: object) -> None:
    assert callable(change)
    path = link(gate, "login-link", "carol")
    assert front.browser(outside()).get(change(path)).status in (404, 410)
