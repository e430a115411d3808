"""Forms: sent by nobody but the portal's own pages, and leading nowhere but into the lab."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest
from sso_lab import LAB, outside

from ez_homelab.runtime.gate.portal.app import CHANGES
from ez_homelab.testing.front.browser import form_of
from ez_homelab.testing.front.gate import SESSION_COOKIE, Gate

if TYPE_CHECKING:
    from ez_homelab.testing.front import Front
    from ez_homelab.testing.front.browser import Browser

PORTAL = "https://auth.lab.localhost"
PASSWORDS = LAB["passwords"]
FORMS = sorted(path for path in CHANGES if not path.startswith("/passkeys/"))
SCRIPTS = sorted(path for path in CHANGES if path.startswith("/passkeys/"))
NEW = "an-entirely-new-password-7"
# Every field that any form has: what is missing is only what proves where the form comes from.
FIELDS = {
    "user": "carol",
    "password": PASSWORDS["carol"],
    "old_password": PASSWORDS["carol"],
    "new_password": NEW,
    "new_password_again": NEW,
    "code": "123456",
    "id": "x",
    "name": "x",
}


def signed_in(front: Front) -> Browser:
    browser = front.browser(outside())
    assert browser.sign_in("carol", PASSWORDS["carol"]).status == 303
    return browser


@pytest.fixture(scope="module")
def victim(front: Front) -> Browser:
    """Somebody who is signed in, and stays so: nothing that is refused here may change that."""
    return signed_in(front)


@pytest.fixture
def owner(front: Front) -> Browser:
    """Somebody who is signed in for one test."""
    return signed_in(front)


def token_of(browser: Browser) -> str:
    return form_of(browser.get("/sign-out"), "/sign-out").fields["csrf"]


def place(path: str, gate: Gate) -> str:
    """The form's address; for links one that is good."""
    if "{token}" not in path:
        return path
    return urlsplit(gate.admin(do="login-link", user="carol", minutes=5)["link"]).path


def nothing_happened(victim: Browser, front: Front) -> bool:
    """Still signed in by the same cookie, as the same person."""
    cookie = ("Cookie", f"{SESSION_COOKIE}={victim.cookies[SESSION_COOKIE]}")
    seen = front.client.ask("GET", "https://one.lab.localhost/", [cookie]).seen
    return seen is not None and seen.header("Remote-User") == "carol"


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_its_token_is_refused(front: Front, gate: Gate, victim: Browser, path: str) -> None:
    assert victim.post(place(path, gate), FIELDS).status == 403
    assert nothing_happened(victim, front)


@pytest.mark.parametrize("path", FORMS)
def test_a_form_with_a_wrong_token_is_refused(front: Front, gate: Gate, victim: Browser, path: str) -> None:
    right = token_of(victim)
    for wrong in ("", "x", right[:-4] + "AAAA", right[::-1], "A" * 4096, "\xff\x00", "é"):
        assert victim.post(place(path, gate), FIELDS | {"csrf": wrong}).status in (400, 403), wrong
    assert nothing_happened(victim, front)


@pytest.mark.parametrize("path", FORMS)
def test_a_form_with_another_browsers_token_is_refused(front: Front, gate: Gate, victim: Browser, path: str) -> None:
    attacker = front.browser(outside())
    attacker.sign_in("ben", PASSWORDS["ben"])
    assert victim.post(place(path, gate), FIELDS | {"csrf": token_of(attacker)}).status == 403
    assert nothing_happened(victim, front)


FOREIGN = {
    "another site": [("Origin", "https://evil.example.org")],
    "an app of the lab": [("Origin", "https://open.lab.localhost")],
    "the portal over http": [("Origin", "http://auth.lab.localhost")],
    "another port": [("Origin", "https://auth.lab.localhost:8443")],
    "a longer name": [("Origin", "https://auth.lab.localhost.evil.example.org")],
    "null": [("Origin", "null")],
    "fetch metadata of another site": [("Sec-Fetch-Site", "cross-site")],
    "fetch metadata of an app of the lab": [("Sec-Fetch-Site", "same-site")],
}


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("path", FORMS)
def test_a_form_from_elsewhere_is_refused_even_with_its_token(
    front: Front, gate: Gate, victim: Browser, path: str, origin: str
) -> None:
    answer = victim.post(place(path, gate), FIELDS | {"csrf": token_of(victim)}, FOREIGN[origin])
    assert answer.status == 403
    assert SESSION_COOKIE not in str(answer.all("set-cookie"))


@pytest.mark.parametrize("path", FORMS)
def test_a_form_with_everything_in_its_place_is_taken(gate: Gate, owner: Browser, path: str) -> None:
    """The same fields are not refused for where they come from."""
    if path in ("/account/password", "/account/sessions/end-all", "/sign-out"):
        pytest.skip("tests of its own send this one")
    answer = owner.post(place(path, gate), FIELDS | {"csrf": token_of(owner)})
    assert "This form has expired" not in answer.text


def test_passwords_are_what_they_were_after_all_of_that(front: Front) -> None:
    assert signed_in(front).get("https://one.lab.localhost/").status == 200


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "", "application/json"])
def test_a_form_of_another_kind_is_refused(victim: Browser, kind: str) -> None:
    body = f"csrf={quote(token_of(victim))}".encode()
    headers = [("Origin", PORTAL), *([("Content-Type", kind)] if kind else [])]
    assert victim.ask("POST", "/sign-out", headers, body).status in (400, 403, 415)
    assert victim.get("https://one.lab.localhost/").status == 200


def test_a_form_is_not_sent_by_an_address(victim: Browser) -> None:
    for path in FORMS:
        if "{token}" not in path:
            victim.get(f"{path}?csrf={quote(token_of(victim))}&user=carol")
    assert victim.get("https://one.lab.localhost/").status == 200


@pytest.mark.parametrize("path", SCRIPTS)
def test_a_script_without_its_token_is_refused(victim: Browser, path: str) -> None:
    for headers in ([], [("X-CSRF-Token", "x")], [("X-CSRF-Token", token_of(victim)), ("Origin", "https://evil.org")]):
        told = [("Content-Type", "application/json"), *headers]
        assert victim.ask("POST", path, told, b"{}").status == 403


def test_nobody_is_signed_in_as_somebody_else_by_a_foreign_form(front: Front) -> None:
    """Signing somebody in as the attacker (login CSRF): a browser that never saw the form has no token that fits."""
    attacker, victim = front.browser(outside()), front.browser(outside())
    fields = form_of(attacker.get("/"), "/").fields | {"user": "ben", "password": PASSWORDS["ben"]}
    assert victim.post("/", fields).status == 403
    assert SESSION_COOKIE not in victim.cookies


EVIL = [
    "https://evil.example.org",
    "https://evil.example.org/",
    "http://evil.example.org",
    "//evil.example.org",
    "///evil.example.org",
    "/\\evil.example.org",
    "\\\\evil.example.org",
    "https:evil.example.org",
    "https:/evil.example.org",
    "https:///evil.example.org",
    "https:\\\\evil.example.org",
    "https://one.lab.localhost@evil.example.org/",
    "https://one.lab.localhost:pass@evil.example.org/",
    "https://evil.example.org\\@one.lab.localhost/",
    "https://evil.example.org#.lab.localhost",
    "https://evil.example.org?.lab.localhost",
    "https://evil.example.org/.lab.localhost",
    "https://evil.example.org%2f.lab.localhost/",
    "https://evil.example.org%00.lab.localhost/",
    "https://evil.example.org\t.lab.localhost/",
    "https://one.lab.localhost.evil.example.org/",
    "https://evillab.localhost/",
    "https://evil.example.org;.lab.localhost/",
    "https://lab.localhost\r\nSet-Cookie: a=b",
    "https://lab.localhost%0d%0aSet-Cookie:%20a=b@evil.example.org",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)//https://one.lab.localhost/",
    "data:text/html,<script>alert(1)</script>",
    "https://one.lab.localhost:8443/",
    "http://one.lab.localhost/",
    "ftp://one.lab.localhost/",
    "https://[evil.example.org].lab.localhost/",
    "https://\uff45vil.example.org/",
    "https://evil\u3002example.org/",
    "https://one.lab.localhost\u2044.evil.example.org/",
    " https://evil.example.org",
    "\thttps://evil.example.org",
    "https://evil.example.org/" + "a" * 5000,
]


def leads_into_the_lab(location: str) -> bool:
    if not location:
        return True
    parts = urlsplit(location)
    if not parts.scheme and not parts.netloc:
        return location.startswith("/") and not location.startswith(("//", "/\\"))
    host = parts.netloc
    return parts.scheme == "https" and re.fullmatch(r"([a-z0-9-]+\.)*lab\.localhost", host) is not None


@pytest.mark.parametrize("where", EVIL)
def test_signing_in_leads_into_the_lab_only(front: Front, where: str) -> None:
    browser = front.browser(outside())
    fields = form_of(browser.get("/"), "/").fields | {"user": "carol", "password": PASSWORDS["carol"], "rd": where}
    answer = browser.post("/", fields)
    assert answer.status in (303, 400), answer
    assert leads_into_the_lab(answer.location), answer.location
    assert answer.header("refresh") == ""
    assert "evil" not in urlsplit(answer.location).netloc
    assert not [line for line in answer.all("set-cookie") if line.startswith("a=")]


@pytest.mark.parametrize("where", EVIL)
def test_a_page_carries_no_foreign_target(front: Front, victim: Browser, where: str) -> None:
    """Neither as a link, nor in a form, nor as a Location: anonymous and signed in."""
    query = f"/?rd={quote(where, safe='')}&rm=GET"
    for browser in (front.browser(outside()), victim):
        answer = browser.get(query)
        assert leads_into_the_lab(answer.location), answer.location
        if answer.status == 200:
            addresses = re.findall(r'(?:href|action|value|data-rd|src)="([^"]*)"', answer.text)
            assert not [found for found in addresses if "evil" in found or "script:" in found.lower()]


def test_a_script_in_what_is_asked_for_is_only_text(front: Front) -> None:
    attack = '"><script>alert(1)</script>'
    browser = front.browser(outside())
    for page in (
        browser.get(f"/?rd={quote('https://one.lab.localhost/' + attack)}&rm={quote(attack)}"),
        browser.get(f"/link/{quote(attack, safe='')}"),
        browser.get(f"/{quote(attack, safe='')}"),
        browser.submit("/", "/", {"user": attack, "password": attack}),
    ):
        assert "<script>alert" not in page.text


def test_every_page_of_the_portal_says_how_it_may_be_used(front: Front, victim: Browser) -> None:
    for page in ("/", "/account", "/sign-out", "/nowhere", "/link/x"):
        answer = victim.get(page)
        policy = answer.header("content-security-policy")
        assert "default-src 'none'" in policy, page
        assert "frame-ancestors 'none'" in policy, page
        assert "unsafe" not in policy, page
        assert answer.header("x-content-type-options") == "nosniff", page
        assert answer.header("cache-control") == "no-store", page
        assert not re.search(r"<script(?![^>]*\ssrc=)|\son[a-z]+=|style=", answer.text), page
