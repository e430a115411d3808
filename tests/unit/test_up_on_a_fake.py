"""What `up` finds out before it changes anything, and what it looks at again afterwards."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ez_homelab.doctor import Finding
from ez_homelab.errors import PrerequisiteError
from ez_homelab.lab import Homelab
from ez_homelab.prerequisites import InstallStep
from ez_homelab.up import MENDED_BY_UP, Preparation, install_all, prepare

if TYPE_CHECKING:
    from engine_in_memory import LabOnFakeServer

WARNING = Finding("memory-low", "warning", "there is little memory", fix="add some")
NOTE = Finding("route-open", "note", "radicale is open without sign-on", fix="nothing to do")
BLOCKING = Finding("ports-taken", "error", "port 443 is taken", "nginx", "another web server runs", "stop nginx")


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the doctor finds; its own checks are tested elsewhere."""
    found: list[Finding] = []

    async def doctor(_lab: Homelab) -> tuple[Finding, ...]:
        return tuple(found)

    monkeypatch.setattr(Homelab, "doctor", doctor)
    return found


@pytest.mark.parametrize("images", ["registry", "packages"])
async def test_what_up_mends_itself_becomes_steps_and_warnings_are_remarks(
    there: LabOnFakeServer, findings: list[Finding], monkeypatch: pytest.MonkeyPatch, images: str
) -> None:
    asked: dict[str, bool] = {}

    async def survey(_host: object) -> str:
        return "what there is"

    def steps(found: str, *, need_debootstrap: bool) -> tuple[InstallStep, ...]:
        asked[found] = need_debootstrap
        return (InstallStep("install Docker", "it is missing"),)

    async def missing_links(_host: object) -> tuple[str, ...]:
        return ()

    for replacement in (survey, steps, missing_links):
        monkeypatch.setattr(f"ez_homelab.prerequisites.{replacement.__name__}", replacement)
    there.write(f"version: 1\ndomain: lab.localhost\nimages: {{source: {images}}}\nstacks: {{}}\n")
    findings += [replace(BLOCKING, code=code) for code in sorted(MENDED_BY_UP)]
    findings += [WARNING, NOTE]
    assert await prepare(there.lab) == Preparation((InstallStep("install Docker", "it is missing"),), (WARNING,))
    assert asked == {"what there is": images == "packages"}


async def test_what_up_cannot_mend_stops_it_before_it_looks_further(
    there: LabOnFakeServer, findings: list[Finding]
) -> None:
    findings += [replace(BLOCKING, code="docker-missing", what="no Docker"), WARNING, NOTE, BLOCKING]
    with pytest.raises(PrerequisiteError) as error:
        await prepare(there.lab)
    assert error.value.to_dict() == {
        "code": "prerequisite", "what": "port 443 is taken", "evidence": "nginx", "cause": "another web server runs",
        "fix": "stop nginx",
    }  # fmt: skip
    assert there.host.operations == []


def test_the_doctor_still_calls_them_that() -> None:
    sources = Path(str(files("ez_homelab.doctor.checks"))).glob("*.py")
    text = "".join(path.read_text() for path in sources)
    assert all(f'"{code}"' in text for code in MENDED_BY_UP)


async def test_steps_are_done_in_order_and_the_machine_is_looked_at_again(
    there: LabOnFakeServer, findings: list[Finding], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    async def install(_host: object, step: InstallStep, _say: object) -> None:
        done.append(step.what)

    monkeypatch.setattr("ez_homelab.prerequisites.install", install)
    steps = [InstallStep(name, "it is missing") for name in ("Docker", "Compose")]
    await install_all(there.lab, steps)
    assert done == ["Docker", "Compose"]
    findings.append(replace(BLOCKING, code="docker-not-running", what="Docker does not run"))
    with pytest.raises(PrerequisiteError, match="Docker does not run"):
        await install_all(there.lab, [])
