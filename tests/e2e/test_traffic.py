"""How requests reach apps, and what does not: headers, TLS, the proxy's own API, the filter before Docker's socket."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from real_lab import ASK, DOMAIN, asked_from, listening, wait_for

if TYPE_CHECKING:
    from real_lab import RealLab

ECHO = f"https://echo.{DOMAIN}/"
FORGED = ("Remote-User", "remote-user", "Remote_User", "Remote.User", "REMOTE_GROUPS", "Remote-Email", "Remote-Name")


def asked_from_traefik(lab: RealLab, request: str) -> str:
    """The same from Traefik's network namespace, with the server's own Python: Traefik's image has none."""
    pid = lab.server.docker(["inspect", "--format", "{{.State.Pid}}", "traefik"]).stdout.strip()
    address = address_of(lab, "docker-socket-proxy", "socket-proxy")
    ask = ["nsenter", f"--net=/proc/{pid}/ns/net", "python3", "-c", ASK, address, "2375", request]
    ended = lab.server.run(ask, check=False)
    return (ended.stdout or ended.stderr).strip()


def address_of(lab: RealLab, container: str, network: str) -> str:
    """The container's address on that network."""
    template = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
    return lab.server.docker(["inspect", "--format", template, container]).stdout.strip()


# --- headers -----------------------------------------------------------------------------------------------------


def test_security_headers_are_there_and_programs_are_not_named(echo: RealLab) -> None:
    head = echo.curl(ECHO, "-D", "-", "-o", "/dev/null").stdout.lower()
    assert "x-content-type-options: nosniff" in head
    assert "x-frame-options: sameorigin" in head
    assert "referrer-policy: strict-origin-when-cross-origin" in head
    assert "strict-transport-security" not in head
    assert "server:" not in head
    assert "x-powered-by" not in head


def test_forged_identity_headers_do_not_reach_an_app(echo: RealLab) -> None:
    sent = [word for name in (*FORGED, "X-Other") for word in ("-H", f"{name}: forged-{name}")]
    received = echo.curl(ECHO, *sent).stdout
    assert "forged-X-Other" in received
    assert re.findall(r"forged-(?!X-Other).*", received) == []
    told = dict(re.findall(r"^(remote[-_.]\w+): (\S*)", received, re.IGNORECASE | re.MULTILINE))
    assert told.keys() == {"Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name"}
    assert told["Remote-Groups"] == "admins"
    assert told["Remote-User"].startswith("verify-")
    assert "ez_session" not in received, "the session is nothing for apps"


def test_forged_forwarding_headers_are_replaced_by_what_is_true(echo: RealLab) -> None:
    sent = (
        "-H",
        "X-Forwarded-For: 203.0.113.7",
        "-H",
        "X-Forwarded-Host: evil.example",
        "-H",
        "X-Real-Ip: 203.0.113.7",
    )
    received = echo.curl(ECHO, *sent).stdout
    assert "203.0.113.7" not in received
    assert "evil.example" not in received
    assert f"X-Forwarded-Host: echo.{DOMAIN}" in received
    assert "X-Forwarded-Proto: https" in received


def test_a_container_with_labels_of_its_own_gets_no_way_past_the_middlewares(echo: RealLab) -> None:
    image = echo.server.docker(["inspect", "--format", "{{.Config.Image}}", "echo"]).stdout.strip()
    labels = {"traefik.enable": "true", "traefik.http.routers.byhand.rule": f"Host(`byhand.{DOMAIN}`)"}
    options = [word for item in labels.items() for word in ("--label", "=".join(item))]
    echo.server.docker(["run", "-d", "--name", "byhand", "--network", "traefik-network", *options, image])
    try:
        wait_for("Traefik knows it", lambda: echo.status_of(f"https://byhand.{DOMAIN}/", signed_in=False) != "404")
        assert echo.status_of(f"https://byhand.{DOMAIN}/", signed_in=False).startswith(f"302 https://auth.{DOMAIN}/")
        answer = echo.curl(f"https://byhand.{DOMAIN}/", "-i", "-H", "Remote-User: forged", "--retry", "5",
                           "--retry-all-errors", "--retry-delay", "1", "--fail").stdout  # fmt: skip
        assert "x-content-type-options: nosniff" in answer
        assert "forged" not in answer
        notes = [check for check in echo.document("verify")["checks"] if check["state"] == "note"]
        assert any("byhand" in note["evidence"] for note in notes)
    finally:
        echo.server.docker(["rm", "-f", "byhand"])


# --- TLS ---------------------------------------------------------------------------------------------------------


def test_old_tls_is_refused(home: RealLab) -> None:
    for version in ("1.0", "1.1"):
        old = ("--tls-max", version, "--tlsv1.0", "--ciphers", "DEFAULT:@SECLEVEL=0")
        told = home.curl(f"https://dokuwiki.{DOMAIN}/", *old, status=35).stderr
        assert "protocol version" in told
    for version in ("1.2", "1.3"):
        home.curl(f"https://dokuwiki.{DOMAIN}/", f"--tlsv{version}", "--tls-max", version)


def test_the_certificate_is_good_for_the_labs_names_and_no_other(home: RealLab) -> None:
    call = ["openssl", "s_client", "-connect", "127.0.0.1:443", "-servername", f"prometheus.{DOMAIN}"]
    shown = home.server.run(call, check=False).stdout
    text = home.server.run(["openssl", "x509", "-noout", "-ext", "subjectAltName"], input=shown.encode()).stdout
    names = {name.strip().removeprefix("DNS:") for name in text.splitlines()[1].split(",")}
    assert names == {DOMAIN, f"*.{DOMAIN}", f"*.core.{DOMAIN}"}
    home.curl("https://evil.example/", "--resolve", "evil.example:443:127.0.0.1", status=60)


def test_the_key_is_readable_to_nobody_but_traefik(home: RealLab) -> None:
    path = "/opt/stacks/core/config/traefik/dynamic/certificate.yml"
    assert home.server.run(["stat", "-c", "%a %u:%g", path]).stdout == "600 65532:65532\n"
    assert home.server.run(["stat", "-c", "%a %u:%g", "/var/lib/ez-homelab/tls/ca.key"]).stdout == "600 0:0\n"


# --- the proxy's own API -----------------------------------------------------------------------------------------


def test_traefiks_api_answers_in_its_own_namespace_only(echo: RealLab) -> None:
    echo.server.docker(["exec", "traefik", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/api/rawdata"])
    edge = address_of(echo, "traefik", "edge-echo")
    assert asked_from(echo, "echo", edge, 80).startswith("HTTP/1.1 30")
    for host in ("traefik", edge):
        assert "Connection refused" in asked_from(echo, "echo", host, 8080, "GET /api/rawdata")
    assert "8080" not in {address.rpartition(":")[2] for address in listening(echo.server)}
    for network in ("socket-proxy", "traefik-network", "edge-echo"):
        address = address_of(echo, "traefik", network)
        ended = echo.server.run(["curl", "-s", "--max-time", "3", f"http://{address}:8080/api/rawdata"], check=False)
        assert ended.returncode == 7
    for name in ("traefik", "api", "dashboard", "traefik.core"):
        assert echo.status_of(f"https://{name}.{DOMAIN}/api/rawdata") == "404"


# --- the filter before Docker's socket ---------------------------------------------------------------------------


def test_no_app_reaches_the_socket_proxy(echo: RealLab) -> None:
    address = address_of(echo, "docker-socket-proxy", "socket-proxy")
    for host in ("docker-socket-proxy", address):
        assert "closed: " in asked_from(echo, "echo", host, 2375, "GET /_ping")
    assert asked_from_traefik(echo, "GET /_ping").split()[1] == "200"
    on_it = json.loads(echo.server.docker(["network", "inspect", "socket-proxy"]).stdout)[0]
    assert {end["Name"] for end in on_it["Containers"].values()} == {"traefik", "docker-socket-proxy"}
    assert on_it["Internal"]


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /_ping", "200"),
        ("GET /v1.41/containers/json", "200"),
        ("GET /v1.41/containers/echo/json", "200"),
        ("GET /v1.41/containers/echo/logs?stdout=1", "403"),
        ("GET /v1.41/containers/echo/archive?path=/", "403"),
        ("GET /v1.41/images/json", "403"),
        ("GET /v1.41/info", "403"),
        ("POST /v1.41/containers/create", "403"),
        ("POST /v1.41/containers/echo/stop", "403"),
        ("DELETE /v1.41/containers/echo", "403"),
        ("GET /v1.41/containers/../containers/echo/logs", "400"),
    ],
)
def test_traefik_may_look_and_nothing_else(echo: RealLab, request_line: str, status: str) -> None:
    assert asked_from_traefik(echo, request_line).split()[1] == status
