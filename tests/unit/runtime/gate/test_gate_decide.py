"""Every row of the decision table, and every trick around it: decision_cases.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from gate_world import HOME, POLICY

from ez_homelab.runtime.gate.decide import Asked, Who, decide, plain_host, wants_page
from ez_homelab.runtime.gate.kinds import Session
from ez_homelab.runtime.gate.policy import Person, read_policy

CASES = yaml.safe_load(Path(__file__).with_name("decision_cases.yaml").read_text("utf-8"))
LAB = read_policy(json.dumps({**POLICY, "routes": CASES["routes"]}))
BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
GROUPS = {"anna": ("admins", "users"), "ben": ()}


def asked(line: str, **more: Any) -> Asked:
    method, _, url = line.partition(" ")
    proto, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    page = wants_page(more.get("accept", BROWSER), more.get("requested_with", ""))
    return Asked(method, proto, host, slash + path, more.get("from", HOME), page)


def who(text: str) -> Who | None:
    if not text:
        return None
    user, factors, *more = text.split()
    session = Session("id", user, int(factors), 0, 0, 0, False, HOME, "", "link" in more, 0)
    return Who(session, Person(user, user.title(), f"{user}@x", GROUPS[user]), int(factors) > 1 or "enrolled" in more)


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: " ".join(map(str, case.values())))
def test_each_row_of_the_table(case: dict[str, Any]) -> None:
    decision = decide(asked(case["asked"], **case), LAB, who(case.get("who", "")))

    assert decision.status == case["status"]
    assert (decision.person.user if decision.person else None) == case.get("as")
    assert decision.location == case.get("location", decision.location)
    assert bool(decision.location) == (case["status"] in (302, 303, 401))


@pytest.mark.parametrize("field", ["method", "proto", "host", "uri"])
def test_what_is_not_told_is_not_guessed(field: str) -> None:
    whole = asked("GET https://music.lab.localhost/")

    assert decide(whole, LAB, None).status == 200
    assert decide(whole._replace(**{field: ""}), LAB, None).status == 400


@pytest.mark.parametrize("path", CASES["bypass"]["open"])
def test_a_bypassed_path_is_open_to_nobody_in_particular(path: str) -> None:
    decision = decide(asked("GET https://app.lab.localhost")._replace(uri=path), LAB, who("anna 2"))

    assert (decision.status, decision.person) == (200, None)


@pytest.mark.parametrize("path", CASES["bypass"]["shut"])
def test_a_path_that_could_be_read_in_two_ways_needs_sign_on(path: str) -> None:
    decision = decide(asked("GET https://app.lab.localhost")._replace(uri=path), LAB, None)

    assert decision.status == (302 if path.startswith("/") else 400)


@pytest.mark.parametrize("path", ["/", "/anything", "/a/b?c"])
def test_a_bypass_of_everything_still_wants_plain_paths(path: str) -> None:
    assert decide(asked(f"GET https://whole.lab.localhost{path}"), LAB, None).status == 200
    assert decide(asked("GET https://whole.lab.localhost/a//b"), LAB, None).status == 302


@pytest.mark.parametrize(("sent", "counts"), CASES["hosts"].items())
def test_only_hosts_of_the_lab_count(sent: str, counts: str) -> None:
    assert plain_host(sent, "lab.localhost") == counts
    assert (decide(asked("GET https://x/")._replace(host=sent), LAB, None).status == 400) == (not counts)


def test_an_endless_address_is_not_taken_along_to_the_portal() -> None:
    decision = decide(asked("GET https://app.lab.localhost/" + "x" * 9000), LAB, None)

    assert decision.location == "https://auth.lab.localhost/?rd=https%3A%2F%2Fapp.lab.localhost%2F&rm=GET"


def test_bytes_of_an_address_arrive_at_the_portal_as_they_were() -> None:
    decision = decide(asked("GET https://app.lab.localhost/")._replace(uri="/ä".encode().decode("latin-1")), LAB, None)

    assert "%2F%C3%A4&rm" in decision.location
