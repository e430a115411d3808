"""What changed behind the lab's back: each thing is seen in the plan with its cause, and mended by `apply`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from real_lab import LAB, STATE, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_lab import RealLab

TOOLS = "/opt/stacks/tools"
MONITORING = "/opt/stacks/monitoring"
BROKEN = "services:\n  echo:\n    entrypoint: [/bin/false]\n"


@pytest.fixture(autouse=True)
def echo_is_there(lab: RealLab, echo: RealLab) -> Iterator[None]:
    """Most of it is done to the lab's own app: its health is known after a second, that of others after thirty."""
    yield


def test_everything_that_went_missing_comes_back(lab: RealLab) -> None:
    before = lab.everything()
    lab.server.docker(["rm", "-f", "echo"])
    for container in ("traefik", "prometheus"):
        lab.server.docker(["network", "disconnect", "-f", "edge-prometheus", container])
    lab.server.docker(["network", "rm", "edge-prometheus"])
    targets = f"{MONITORING}/config/prometheus/targets/core.yml"
    lab.server.run(["rm", targets])
    lab.server.write(f"{TOOLS}/.env", "TZ=Somewhere/Else\n", mode=0o600)

    lab.ez("plan", "--check", status=3)
    planned = lab.planned()
    assert {key: (action["verb"], action["cause"]) for key, action in planned.items()} == {
        ("network", "edge-prometheus"): ("create", "missing"),
        ("file", targets): ("write", "deleted since the last apply"),
        ("file", f"{TOOLS}/.env"): ("replace", "edited on the server since the last apply; that text is kept aside"),
        ("service", "tools/echo"): ("create", "missing"),
        ("attachment", "core/traefik on edge-prometheus"): ("connect", "not connected"),
        ("attachment", "monitoring/prometheus on edge-prometheus"): ("connect", "not connected"),
    }
    new_network = planned["network", "edge-prometheus"]["id"]
    assert planned["attachment", "core/traefik on edge-prometheus"]["waits_for"] == [new_network]

    lab.ez("apply", "--yes")
    lab.ez("plan", "--check")
    wait_for("Traefik finds it", lambda: "200" in lab.status_of("https://prometheus.lab.localhost/-/healthy"))
    kept = lab.server.run(["find", f"{STATE}/edited", "-path", f"*{TOOLS}/.env"]).stdout.split()
    assert lab.server.read(kept[-1]) == b"TZ=Somewhere/Else\n"
    unchanged = {"dokuwiki", "glances", "node-exporter", "prometheus", "traefik", "docker-socket-proxy"}
    after = lab.containers()
    assert {name: after[name] for name in unchanged} == {name: dict(before[0])[name] for name in unchanged}  # type: ignore[call-overload]
    lab.server.run(["rm", "-r", f"{STATE}/edited"])


def test_a_deleted_network_with_its_containers_still_made_for_it_brings_new_ones(lab: RealLab) -> None:
    lab.server.docker(["stop", "echo"])
    lab.server.docker(["network", "disconnect", "-f", "edge-echo", "traefik"])
    lab.server.docker(["network", "rm", "edge-echo"])
    planned = {key: action["cause"] for key, action in lab.planned().items()}
    assert planned["network", "edge-echo"] == "missing"
    lab.ez("apply", "--yes", "--start-held")
    assert "GET /" in lab.page("echo")


def test_a_changed_mode_is_put_right(lab: RealLab) -> None:
    lab.server.run(["chmod", "0644", f"{TOOLS}/.env"])
    assert lab.planned()["file", f"{TOOLS}/.env"]["cause"] == "mode is 0644, should be 0600"
    lab.ez("apply", "--yes")
    assert lab.server.run(["stat", "-c", "%a", f"{TOOLS}/.env"]).stdout == "600\n"


def test_what_a_person_stopped_is_shown_and_left_alone(lab: RealLab) -> None:
    lab.server.docker(["stop", "echo"])
    shown = lab.document("plan")
    assert shown["actions"] == []
    assert [(held["name"], held["reason"]) for held in shown["held"]] == [("tools/echo", "stopped by a person")]
    assert "tools/echo is held" in lab.ez("plan", "--check").stdout
    assert "held" in {app["state"] for app in lab.document("status")["apps"]}
    lab.ez("apply", "--yes")
    assert not lab.running("echo")
    lab.ez("apply", "--yes", "--start-held")
    assert lab.running("echo")


def test_a_change_that_makes_an_app_crash_is_taken_back(lab: RealLab) -> None:
    before = lab.containers()
    lab.server.write(f"{LAB}/overrides/echo.yaml", BROKEN)
    error = lab.document("apply", "--yes", status=1)["error"]
    assert error["code"] == "went-back"
    assert "tools/echo did not become healthy" in error["cause"]
    assert error["stack"] == "tools"
    wait_for("the version before answers", lambda: lab.status_of("https://echo.lab.localhost").startswith("200"))
    assert {app["state"] for app in lab.document("status")["apps"]} <= {"running", "asleep"}
    after = lab.containers()
    assert {name for name in before if before[name] != after[name]} == {"echo"}
    assert lab.planned()["service", "tools/echo"]["verb"] == "recreate"

    lab.server.run(["rm", f"{LAB}/overrides/echo.yaml"])
    assert lab.planned() == {}


def test_a_new_app_that_crashes_fails_the_apply_and_is_told_until_it_is_mended(lab: RealLab) -> None:
    lab.server.write(f"{LAB}/overrides/echo5.yaml", BROKEN)
    lab.write(f"{lab.text}  more:\n    - echo5: {{app: echo}}\n")
    error = lab.document("apply", "--yes", status=1)["error"]
    assert error["code"] == "apply-failed"
    assert "more/echo5 did not become healthy" in error["what"]
    assert error["fix"] == "ez-homelab logs echo5"
    states = {app["name"]: (app["state"], app["evidence"]) for app in lab.document("status", status=1)["apps"]}
    state, evidence = states.pop("echo5")
    assert state == "failed"
    assert "crashes at its start" in evidence
    assert {state for state, _ in states.values()} <= {"running", "asleep"}
    assert not lab.document("verify", status=1)["holds"]

    lab.server.run(["rm", f"{LAB}/overrides/echo5.yaml"])
    lab.ez("apply", "--yes")
    assert "GET /" in lab.page("echo5")


def test_an_app_whose_health_check_fails_is_told_and_restarted(lab: RealLab) -> None:
    # Its program is still there, and answers nobody.
    processes = lab.server.docker(["top", "echo", "-eo", "pid,args"]).stdout.splitlines()
    pid = next(line.split()[0] for line in processes if "echo.py" in line)
    lab.server.run(["kill", "-STOP", pid])

    def failed() -> bool:
        apps = lab.server.run(lab.argv("status", "--json"), check=False).stdout
        return "its health check fails" in apps

    wait_for("three health checks in a row fail", failed, seconds=60)
    assert lab.planned()["service", "tools/echo"]["cause"] == "its health check fails"
    lab.ez("status", status=1)
    lab.ez("apply", "--yes")
    assert "GET /" in lab.page("echo")
