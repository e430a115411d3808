"""MediaWiki installs itself, and what people write stays: over restarts and over the end of its database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from real_lab import DOMAIN, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_lab import RealLab

ADDRESS = f"https://mediawiki.{DOMAIN}"
JAR = "/root/mediawiki-cookies"
TEXT = "Bins: Tuesday. 'Quotes', $HOME & ümläuts."


@pytest.fixture(scope="module")
def wiki(home: RealLab) -> Iterator[RealLab]:
    """The session's lab with MediaWiki in it."""
    before = home.text
    home.ez("add", "mediawiki", "--stack", "pages", "--yes")
    yield home
    home.write(before)
    home.restore()


def call(lab: RealLab, **fields: str) -> dict[str, dict[str, object]]:
    """One call of the wiki's own interface, in the session of the cookies."""
    words = [word for pair in fields.items() for word in ("--data-urlencode", "=".join(pair))]
    answer = lab.curl(f"{ADDRESS}/api.php?format=json", "-b", JAR, "-c", JAR, "--fail", *words).stdout
    return json.loads(answer)


def token(lab: RealLab, kind: str) -> str:
    return call(lab, action="query", meta="tokens", type=kind)["query"]["tokens"][f"{kind}token"]


def write_page(lab: RealLab, title: str, text: str) -> None:
    """Sign in as the administrator that the first start made, and write."""
    password = lab.server.read("/opt/stacks/pages/secrets/mediawiki/admin_password").decode()
    lab.server.run(["rm", "-f", JAR])
    signed_in = call(lab, action="login", lgname="Admin", lgpassword=password, lgtoken=token(lab, "login"))
    assert signed_in["login"]["result"] == "Success"
    edited = call(lab, action="edit", title=title, text=text, token=token(lab, "csrf"))
    assert edited["edit"]["result"] == "Success"


def stored(lab: RealLab, title: str) -> str:
    return lab.curl(f"{ADDRESS}/index.php?title={title}&action=raw", "--fail").stdout


def is_well(lab: RealLab) -> bool:
    answer = lab.server.run(
        ["curl", "-sk", "--max-time", "5", "-H", f"Cookie: {lab.cookie}", f"{ADDRESS}/health.php"], check=False
    )
    return answer.stdout == "ok"


def sql(lab: RealLab, statement: str) -> None:
    script = 'MYSQL_PWD=$(cat /run/secrets/db_password) mariadb --user=mediawiki mediawiki --execute "$1"'
    lab.server.docker(["exec", "mediawiki-database", "bash", "-c", script, "sql", statement])


def test_a_page_survives_the_restart_of_both_containers(wiki: RealLab) -> None:
    write_page(wiki, "Kept", TEXT)
    assert stored(wiki, "Kept") == TEXT
    wiki.server.docker(["restart", "mediawiki-database", "mediawiki"])
    wait_for("the wiki answers", lambda: is_well(wiki), seconds=120)
    assert stored(wiki, "Kept") == TEXT


def process_of(wiki: RealLab, container: str) -> str:
    """The number of its first process; 0 where it does not run."""
    return wiki.server.docker(["inspect", "--format", "{{.State.Pid}}", container]).stdout.strip()


def test_a_killed_database_comes_back_with_every_page(wiki: RealLab) -> None:
    write_page(wiki, "Killed", TEXT)
    pid = process_of(wiki, "mediawiki-database")
    # It is looked at while it hangs: once it is killed Docker may have it back before anybody looks.
    wiki.server.run(["kill", "-STOP", pid])
    wait_for("the wiki is without its database", lambda: not is_well(wiki))
    wiki.server.run(["kill", "-KILL", pid])
    wait_for("Docker starts it again", lambda: process_of(wiki, "mediawiki-database") not in (pid, "0"), seconds=120)
    wait_for("the wiki answers again", lambda: is_well(wiki), seconds=120)
    assert stored(wiki, "Killed") == TEXT


def test_a_wiki_that_lacks_a_table_is_not_well(wiki: RealLab) -> None:
    sql(wiki, "RENAME TABLE page TO page_away")
    try:
        assert wiki.status_of(f"{ADDRESS}/health.php").startswith("500")
    finally:
        sql(wiki, "RENAME TABLE page_away TO page")
    assert is_well(wiki)


def test_the_database_is_out_of_reach_for_other_apps(wiki: RealLab) -> None:
    inspect = ["inspect", "--format", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"]
    assert wiki.server.docker([*inspect, "mediawiki-database"]).stdout.split() == ["private-mediawiki"]


def test_no_part_of_the_program_is_served_as_a_file(wiki: RealLab) -> None:
    for path in ("/includes/Defines.php", "/maintenance/update.php", "/vendor/autoload.php", "/images/"):
        assert wiki.status_of(f"{ADDRESS}{path}").split()[0] in ("403", "404"), path
