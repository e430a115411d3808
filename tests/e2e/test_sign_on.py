"""Sign-on on a real server: nobody comes in without it or past it, and it survives what happens to a server."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from real_lab import DOMAIN, LAB, asked_from, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_lab import RealLab

PORTAL = f"https://auth.{DOMAIN}"
ECHO = f"https://echo.{DOMAIN}/"
FOREIGN = "/opt/stacks/foreign"
COMPOSE = """\
services:
  foreign:
    image: %s
    networks: [traefik-network]
    labels:
      traefik.enable: "true"
      traefik.http.routers.foreign.rule: Host(`foreign.%s`)
      traefik.http.routers.foreign.priority: "2000000"
      traefik.http.services.foreign.loadbalancer.server.port: "8080"
networks:
  traefik-network:
    external: true
"""
# Every answer from before the container is there until its end; `gone` where there was none.
WATCH = """
while [ -e /run/watching ]; do
  curl -sk -o /dev/null --max-time 2 -w '%{http_code}\\n' "$1" || echo gone
done
"""


def leads_to_portal(answer: str) -> bool:
    return answer.startswith(f"302 {PORTAL}/?rd=")


def test_the_proof_has_a_row_for_every_claim_about_every_route(home: RealLab) -> None:
    home.ez("wake", "dokuwiki")
    proof = home.document("verify")
    rows: dict[str, set[str]] = {}
    for check in proof["checks"]:
        rows.setdefault(check["subject"], set()).add(check["claim"])
    assert proof["holds"]
    for name in ("dokuwiki", "prometheus", "glances"):
        assert rows[name] >= {"anonymous is not let in", "forged names are no sign-on", "signed-in gets the app"}
    for name in ("prometheus", "glances"):
        assert rows[name] >= {"only admins get in", "asks for a second factor"}
    assert "nobody between Traefik and an app" in rows["lab"]
    state = home.server.run(["docker", "exec", "-i", "gate", "python3", "-m", "gate.admin"], input=b'{"do": "state"}\n')
    assert "verify-" not in state.stdout, "the proof's people are gone again"


def test_without_signing_in_there_is_no_app(home: RealLab) -> None:
    for name in ("dokuwiki", "prometheus", "glances"):
        url = f"https://{name}.{DOMAIN}/"
        assert leads_to_portal(home.status_of(url, signed_in=False))
        assert home.status_of(url, "-H", "Accept: application/json", signed_in=False) == "401"
        assert home.status_of(url, "-X", "POST", "-d", "x=1", signed_in=False).startswith(f"303 {PORTAL}/?rd=")
    page = home.curl(f"{PORTAL}/", "--fail", signed_in=False).stdout
    assert 'type="password"' in page


def test_a_foreign_compose_file_is_behind_sign_on_from_its_first_answer(echo: RealLab) -> None:
    url = f"https://foreign.{DOMAIN}/"
    image = echo.server.docker(["inspect", "--format", "{{.Config.Image}}", "echo"]).stdout.strip()
    echo.server.write(f"{FOREIGN}/compose.yaml", COMPOSE % (image, DOMAIN))
    compose = ["docker", "compose", "--project-directory", FOREIGN]
    try:
        with watched(echo, url) as answers:
            echo.server.run([*compose, "up", "-d"])
            wait_for("Traefik knows it", lambda: leads_to_portal(echo.status_of(url, signed_in=False)))
            echo.server.run([*compose, "restart"])
            wait_for("it is back", lambda: "GET /" in echo.curl(url).stdout)
            time.sleep(1)
        assert "302" in answers
        assert not [answer for answer in answers if answer.startswith("2")], "nobody was ever let in"
        assert "GET /" in echo.curl(url).stdout
        notes = [check for check in echo.document("verify")["checks"] if check["state"] == "note"]
        assert any("foreign" in note["evidence"] for note in notes)
    finally:
        echo.server.run([*compose, "down"], check=False)
        echo.server.run(["rm", "-rf", FOREIGN])


@contextmanager
def watched(lab: RealLab, url: str) -> Iterator[list[str]]:
    """Ask for it without signing in all the time; afterwards the list holds every answer's status."""
    lab.server.write("/run/watching", "")
    said: list[str] = []
    answers: list[str] = []
    ask = threading.Thread(
        target=lambda: said.append(lab.server.run(["bash", "-c", WATCH, "watch", url], timeout=300).stdout)
    )
    ask.start()
    try:
        yield answers
    finally:
        lab.server.run(["rm", "-f", "/run/watching"])
        ask.join()
        answers += "".join(said).split()


def test_a_neighbour_reaches_neither_the_question_nor_the_portal(echo: RealLab) -> None:
    networks = json.loads(
        echo.server.docker(["inspect", "--format", "{{json .NetworkSettings.Networks}}", "gate"]).stdout
    )
    assert networks.keys() == {"edge-gate"}
    address = networks["edge-gate"]["IPAddress"]
    for host in ("gate", address):
        for port in (9091, 9092):
            assert asked_from(echo, "echo", host, port).startswith("closed:")


@pytest.mark.parametrize(("how", "back"), [(["stop", "-t", "1"], ["start"]), (["pause"], ["unpause"])])
def test_without_the_gate_every_route_is_shut(echo: RealLab, how: list[str], back: list[str]) -> None:
    cookie = echo.cookie
    echo.server.docker([*how, "gate"])
    try:
        began = time.monotonic()
        for known in ("x=y", cookie):
            status = echo.status_of(ECHO, "-H", f"Cookie: {known}", "--max-time", "60", signed_in=False)
            assert status.split()[0] in ("500", "502", "504"), status
        assert time.monotonic() - began < 90
    finally:
        echo.server.docker([*back, "gate"])
        wait_for("the gate is back", lambda: leads_to_portal(echo.status_of(ECHO, signed_in=False)), seconds=60)


def test_sessions_survive_a_new_gate(echo: RealLab) -> None:
    """As a person has them: by a one-time link and a password of one's own."""
    told = echo.ez("users", "add", "nora", "--groups", "readers", "--yes").stdout
    (link,) = set(re.findall(rf"{PORTAL}/link/\S+", told))
    jar = "/root/nora.jar"
    session = ("-b", jar, "-c", jar)
    try:
        form = echo.curl(link, *session, "--fail", signed_in=False).stdout
        token = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        words = [word for name, value in token.items() for word in ("--data-urlencode", f"{name}={value}")]
        for name in re.findall(r'<input[^>]*type="password"[^>]*name="(\w+)"|name="(\w+)"[^>]*type="password"', form):
            words += ["--data-urlencode", f"{''.join(name)}=a long enough passphrase 7"]
        echo.curl(link, *session, *words, "-H", f"Origin: {PORTAL}", "--fail", signed_in=False)
        assert "Remote-User: nora" in echo.curl(ECHO, *session, signed_in=False).stdout
        before = echo.containers()
        echo.server.docker(["restart", "-t", "5", "gate"])
        wait_for("the gate is back", lambda: leads_to_portal(echo.status_of(ECHO, signed_in=False)), seconds=60)
        received = echo.curl(ECHO, *session, signed_in=False).stdout
        assert "Remote-User: nora" in received
        assert "Remote-Groups: readers" in received
        echo.ez("users", "disable", "nora", "--yes")
        wait_for(
            "nora is out",
            lambda: leads_to_portal(echo.status_of(ECHO, *session, signed_in=False)),
        )
        others = {name: state for name, state in echo.containers().items() if name != "gate"}
        assert others == {name: state for name, state in before.items() if name != "gate"}
    finally:
        echo.ez("users", "remove", "nora", "--yes")
        echo.server.run(["rm", "-f", jar])


def test_a_lan_app_says_no_to_the_outside_and_yes_at_home(lab: RealLab, echo: RealLab) -> None:
    lab.write(re.sub(r"^sign_on:$", "sign_on:\n  lan: [203.0.113.0/24]", lab.text, flags=re.MULTILINE))
    lab.write(re.sub(r"- echo\b", "- echo: {access: lan}", lab.text))
    before = lab.containers()
    lab.ez("apply", "--yes")
    wait_for("the policy is in force", lambda: lab.status_of(ECHO) == "403")
    assert lab.status_of(ECHO, "-H", "X-Forwarded-For: 203.0.113.9") == "403"
    assert lab.containers() == before, "a policy is no reason for a new container"
    lab.server.run(["test", "-f", f"{LAB}/homelab.yaml"])
