"""Calibre-Web starts with an empty library, and its administrator has a password of the lab's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from real_lab import DOMAIN, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_lab import RealLab

ADDRESS = f"https://calibre-web.{DOMAIN}"
JAR = "/root/calibre-web-cookies"


@pytest.fixture(scope="module")
def library(home: RealLab) -> Iterator[RealLab]:
    """The session's lab with Calibre-Web in it."""
    before = home.text
    home.ez("add", "calibre-web", "--stack", "books", "--yes")
    yield home
    home.write(before)
    home.restore()


def sign_in(lab: RealLab, password: str) -> str:
    """Through the form, as a browser does; the status that answers it."""
    lab.server.run(["rm", "-f", JAR])
    session = ("-b", JAR, "-c", JAR)
    form = lab.curl(f"{ADDRESS}/login", *session, "--fail").stdout
    found = re.search(r'name="csrf_token" value="([^"]+)', form)
    assert found
    fields = {"csrf_token": found[1], "username": "admin", "password": password}
    words = [word for pair in fields.items() for word in ("--data-urlencode", "=".join(pair))]
    return lab.status_of(f"{ADDRESS}/login", *session, "-H", f"Referer: {ADDRESS}/login", *words).split()[0]


def own_password(lab: RealLab) -> str:
    return lab.server.read("/opt/stacks/books/secrets/calibre-web/admin_password").decode()


def test_the_empty_library_is_shown_to_the_administrator(library: RealLab) -> None:
    assert sign_in(library, own_password(library)) == "302"
    page = library.curl(ADDRESS, "-b", JAR, "--fail").stdout
    assert "<title>Calibre-Web | Books</title>" in page
    assert 'id="logout"' in page


def test_the_password_that_everybody_knows_opens_nothing(library: RealLab) -> None:
    assert sign_in(library, "admin123") == "401"


def test_settings_and_password_survive_a_kill(library: RealLab) -> None:
    pid = library.server.docker(["inspect", "--format", "{{.State.Pid}}", "calibre-web"]).stdout.strip()
    library.server.run(["kill", "-KILL", pid])
    health = ["inspect", "--format", "{{.State.Pid}} {{.State.Health.Status}}", "calibre-web"]
    wait_for(
        "it runs again and is well",
        lambda: (now := library.server.docker(health).stdout.split()) and now[0] != pid and now[1] == "healthy",
        seconds=90,
    )
    wait_for("its route is back", lambda: library.status_of(f"{ADDRESS}/login").startswith("200"))
    assert sign_in(library, own_password(library)) == "302"
