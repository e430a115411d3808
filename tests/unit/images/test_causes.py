"""Causes are recognised in what the programs said, with the line that shows them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ez_homelab.images.causes import BUILD_CAUSES, LONGEST, PULL_CAUSES, failing_step, recognise

HERE = Path(__file__).parent
CASES = yaml.safe_load((HERE / "causes.yaml").read_text())
KNOWN = {"build": BUILD_CAUSES, "pull": PULL_CAUSES}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, cases in CASES.items() for name in cases])
def test_recorded_output_is_recognised(kind: str, name: str) -> None:
    wanted = CASES[kind][name]
    finding = recognise((HERE / "outputs" / f"{name}.txt").read_text(), KNOWN[kind])
    assert (finding.cause.name if finding.cause else None) == wanted["cause"]
    assert wanted["evidence"] in finding.evidence
    assert "\x1b" not in finding.evidence
    assert bool(finding.fix) == bool(finding.meaning) == (wanted["cause"] is not None)


def test_every_recorded_output_is_a_case() -> None:
    named = {name for cases in CASES.values() for name in cases}
    assert named == {path.stem for path in (HERE / "outputs").iterdir()}


def test_failing_step_is_the_last_one_begun() -> None:
    output = (HERE / "outputs" / "build-package-not-found-apt.txt").read_text()
    assert failing_step(output).startswith("Step 3/3 : RUN apt-get update")
    assert failing_step("no steps here") == ""


def test_evidence_is_one_line_of_bearable_length() -> None:
    finding = recognise("E: " + "x" * 5000, BUILD_CAUSES)
    assert len(finding.evidence) < LONGEST + 10


def test_complaint_goes_before_the_line_that_repeats_the_command() -> None:
    output = "fine\nerror: the program says why\nmore\nThe command '/bin/sh -c x' returned a non-zero code: 1\n"
    assert recognise(output, BUILD_CAUSES).evidence == "error: the program says why"
    assert recognise("", BUILD_CAUSES).evidence == "no output"
