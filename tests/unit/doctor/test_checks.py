"""Every check against recorded answers: <check>/<case>.json holds the subject, what each probe said, what is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ez_homelab.doctor import CHECKS, Check, CouldNotLook, Subject
from ez_homelab.hosts.protocol import Completed

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*/*.json"))
BY_NAME = {check.name: check for check in CHECKS}


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_case(path: Path) -> None:
    case = json.loads(path.read_text())
    check, subject = BY_NAME[path.parent.name], subject_of(case)
    answers = answers_of(check, subject, case)
    if "could_not_look" in case:
        with pytest.raises(CouldNotLook) as raised:
            check.findings(subject, answers)
        assert raised.value.evidence == case["could_not_look"]
    else:
        assert [finding.to_dict() for finding in check.findings(subject, answers)] == case["findings"]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_check_only_looks_and_has_cases_for_fine_and_for_not(check: Check) -> None:
    subject = Subject(domain="lab.home.arpa", data_paths=("/mnt/media",))
    assert not any(probe.changes for probe in check.probes(subject).values())
    cases = [json.loads(path.read_text()) for path in CASES if path.parent.name == check.name]
    assert any(case.get("findings") == [] for case in cases)
    assert any(case.get("findings") for case in cases)


def test_every_finding_has_evidence_a_cause_and_a_fix() -> None:
    found = [finding for path in CASES for finding in json.loads(path.read_text()).get("findings", [])]
    for finding in found:
        assert all(finding[field] for field in ("code", "what", "evidence", "cause", "fix")), finding
        assert "\n" not in finding["fix"]
        assert finding["blocking"] == (finding["severity"] == "error")


def subject_of(case: dict[str, Any]) -> Subject:
    """The case's subject; JSON's lists are the dataclass's tuples."""
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in case["subject"].items()
    }
    return Subject(**fields)


def answers_of(check: Check, subject: Subject, case: dict[str, Any]) -> dict[str, Completed]:
    """What each probe said. The case has to answer exactly the probes that the check asks."""
    probes = check.probes(subject)
    assert set(probes) == set(case["probes"])
    return {
        name: Completed(probes[name], said.get("status", 0), _text(said.get("stdout")), _text(said.get("stderr")))
        for name, said in case["probes"].items()
    }


def _text(lines: list[str] | None) -> str:
    return "".join(f"{line}\n" for line in lines or [])
