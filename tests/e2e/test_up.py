"""From a bare Debian 12 to real apps over HTTPS by the one command."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest
from real_lab import CERTIFICATE, CHECKOUT, DOMAIN, LAB, listening, wait_for

if TYPE_CHECKING:
    from conftest import NewServer
    from real_lab import RealLab

APPS = (
    "dokuwiki",
    "prometheus",
    "node-exporter",
    "glances",
    "traefik",
    "docker-socket-proxy",
    "gate",
    "waker",
    "mirror",
)
OURS = {"127.0.0.1:80", "127.0.0.1:443", "127.0.0.1:20444"}
from_nothing = pytest.mark.skipif("EZ_TEST_HOME" in os.environ, reason="the lab was not made by this session")


@from_nothing
def test_it_says_what_it_will_do_then_every_step_with_its_time(home: RealLab) -> None:
    assert "No image registry answers" in home.first_up.stdout
    assert "Before the plan:" in home.first_up.stdout
    assert f"write a starter lab into {LAB}: domain {DOMAIN}, images from packages" in home.first_up.stdout
    assert "build image ez-homelab/base:" in home.first_up.stderr
    steps = [line for line in home.first_up.stderr.splitlines() if line.startswith("  ✓ ")]
    assert len(steps) > 20
    assert all(line.endswith(" s") for line in steps)
    assert "✗" not in home.first_up.stderr
    print(f"up from nothing: {home.seconds:.0f} s")  # noqa: T201 - a figure for the log, with pytest -rP


@from_nothing
def test_it_ends_with_a_table_of_apps_addresses_states_and_proofs(home: RealLab) -> None:
    _, _, table = home.first_up.stdout.rpartition("\nApp ")
    rows = {line.split()[0]: line for line in table.splitlines()[1:] if line.strip()}
    for name, proofs in {"auth": 4, "dokuwiki": 7, "prometheus": 7, "glances": 7}.items():
        row = rows["gate" if name == "auth" else name]
        assert f"https://{name}.{DOMAIN}" in row
        assert ("asleep" if name == "dokuwiki" else "running") in row
        assert f"{proofs} of {proofs} proofs hold" in row
    assert all("running" in rows[name] for name in APPS if name != "dokuwiki")
    assert "This machine only" in table
    assert "ez-homelab trust" in table
    assert f"https://auth.{DOMAIN}/link/" in table


@from_nothing
def test_nothing_of_ours_listens_but_three_ports_of_loopback(home: RealLab) -> None:
    assert listening(home.server) - home.listened_before == OURS
    assert not [at for at in home.listened_before if not at.endswith(":22")]


def test_no_docker_api_listens_on_a_network(home: RealLab) -> None:
    arguments = home.server.run(["ps", "-C", "dockerd", "-o", "args="]).stdout
    assert "tcp:" not in arguments
    assert home.server.docker(["-H", "tcp://127.0.0.1:2375", "version"], check=False).returncode != 0


def test_status_says_running_for_every_app(home: RealLab) -> None:
    states = {app["name"]: app["state"] for app in home.document("status")["apps"]}
    assert {*APPS} <= states.keys()
    assert {*states.values()} <= {"running", "asleep"}


def test_verify_proves_every_claim(home: RealLab) -> None:
    proof = home.document("verify")
    assert proof["holds"]
    states = {check["state"] for check in proof["checks"]}
    assert states == {"passed"}


def test_dokuwiki_shows_its_own_start_page(home: RealLab) -> None:
    page = home.page("dokuwiki", "/", "-L")
    assert '<meta name="generator" content="DokuWiki"' in page
    assert "start" in page[page.index("<title>") : page.index("</title>")]


def test_prometheus_has_node_exporter_as_a_healthy_target(home: RealLab) -> None:
    def targets() -> dict[str, str]:
        answer = json.loads(home.page("prometheus", "/api/v1/targets"))
        return {target["labels"]["app"]: target["health"] for target in answer["data"]["activeTargets"]}

    # A target is asked for the first time up to one scrape interval (30 s) after Prometheus started.
    wait_for("both targets up", lambda: targets() == {"node-exporter": "up", "prometheus": "up"}, seconds=45)
    query = json.loads(home.page("prometheus", "/api/v1/query?query=node_memory_MemTotal_bytes"))
    (sample,) = query["data"]["result"]
    meminfo = home.server.run(["grep", "MemTotal", "/proc/meminfo"]).stdout
    assert int(sample["value"][1]) == int(meminfo.split()[1]) * 1024


def test_glances_shows_the_servers_processes(home: RealLab) -> None:
    assert "<title>Glances</title>" in home.page("glances")
    names = {process["name"] for process in json.loads(home.page("glances", "/api/4/processlist"))}
    assert "dockerd" in names


def test_plain_http_leads_to_https_on_the_same_name(home: RealLab) -> None:
    for name in ("dokuwiki", "prometheus", "glances", "nobody"):
        status, _, where = home.status_of(f"http://{name}.{DOMAIN}/a?b=c").partition(" ")
        assert status in ("301", "308")
        assert where == f"https://{name}.{DOMAIN}/a?b=c"


def test_unknown_names_get_404(home: RealLab) -> None:
    assert home.status_of(f"https://nobody.{DOMAIN}/") == "404"
    assert home.status_of(f"https://dokuwiki.core.{DOMAIN}/") == "404"


@from_nothing
def test_another_server_gets_no_answer_at_this_ones_address(home: RealLab, new_server: NewServer) -> None:
    other = new_server()
    try:
        for port in (80, 443):
            dial = ["timeout", "5", "bash", "-c", f"</dev/tcp/{home.server.address}/{port}"]
            ended = other.run(dial, check=False)
            assert ended.returncode == 1
            assert "Connection refused" in ended.stderr
    finally:
        other.remove()


def test_certificates_are_the_labs_own_until_it_is_trusted(home: RealLab) -> None:
    url = f"https://dokuwiki.{DOMAIN}/"
    plain = ["curl", "-sS", "-o", "/dev/null", url]
    refused = home.server.run(plain, check=False)
    assert refused.returncode == 60
    assert "SSL certificate problem" in refused.stderr
    try:
        told = home.ez("trust").stdout
        assert "/etc/ssl/certs" in told or "/usr/local/share/ca-certificates" in told
        home.server.run(plain)
    finally:
        home.server.run(["sh", "-c", "rm -f /usr/local/share/ca-certificates/ez-homelab* && update-ca-certificates -f"])
    assert home.server.run(plain, check=False).returncode == 60


def test_trust_prints_a_certificate_and_nothing_else(home: RealLab) -> None:
    printed = home.ez("trust", "--print").stdout
    assert printed.startswith("-----BEGIN CERTIFICATE-----\n")
    assert printed.endswith("-----END CERTIFICATE-----\n")
    assert printed.count("BEGIN") == 1
    assert printed.encode() == home.server.read(CERTIFICATE)


def test_a_second_up_and_a_second_apply_find_nothing_to_do(home: RealLab) -> None:
    before = home.everything()
    started = time.monotonic()
    again = home.server.run([f"{CHECKOUT}/ez-homelab.sh", "up", "--yes", "--lab", LAB])
    print(f"second up: {time.monotonic() - started:.1f} s")  # noqa: T201 - a figure for the log, with pytest -rP
    assert "Nothing to do" in again.stdout
    assert "Before the plan:" not in again.stdout
    assert "build" not in again.stderr
    started = time.monotonic()
    assert "Nothing to do" in home.ez("apply", "--yes").stdout
    print(f"unchanged apply: {time.monotonic() - started:.2f} s")  # noqa: T201 - a figure for the log, with pytest -rP
    assert home.document("apply", "--yes")["applied"]["actions"] == []
    home.ez("plan", "--check")
    assert home.everything() == before
