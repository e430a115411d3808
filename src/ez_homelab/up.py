"""What `up` does before a lab can be applied: find out what is missing, stop before changing anything, install it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.errors import PrerequisiteError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ez_homelab.doctor import Finding
    from ez_homelab.lab import Homelab
    from ez_homelab.prerequisites import InstallStep

SCRIPT = Path(__file__).resolve().parents[2] / "ez-homelab.sh"

MENDED_BY_UP = frozenset({"docker-missing", "docker-not-running", "compose-missing", "compose-too-old"})
"""What the doctor may find on a bare machine because `up` has not installed it yet."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What has to be installed before the lab can be applied, and what the doctor warns of."""

    steps: tuple[InstallStep, ...]
    remarks: tuple[Finding, ...]


async def prepare(lab: Homelab) -> Preparation:
    """Look at the machine; raises `PrerequisiteError` for the worst thing that `up` cannot mend. Changes nothing."""
    from ez_homelab.prerequisites import steps, survey

    findings = await lab.doctor()
    _stop_at_the_first(finding for finding in findings if finding.code not in MENDED_BY_UP)
    found = await survey(lab.core)
    todo = steps(found, need_debootstrap=lab.lab.images.source == "packages")
    # Notes are for whoever asks the doctor: before every plan they would only hide the warnings.
    warnings = tuple(finding for finding in findings if finding.severity == "warning")
    return Preparation((*todo, *await _links(lab)), warnings)


async def _links(lab: Homelab) -> tuple[InstallStep, ...]:
    """The command on everybody's PATH, where this program runs from a checkout."""
    from ez_homelab.prerequisites import LinkStep, missing_links

    paths = await missing_links(lab.core)
    if not paths or not SCRIPT.is_file():
        return ()
    why = "the command is then found from every folder"
    return (LinkStep(f"link {' and '.join(paths)} to {SCRIPT}", why, str(SCRIPT), paths),)


async def install_all(lab: Homelab, steps: Iterable[InstallStep]) -> None:
    """Do every step, then look again: raises `PrerequisiteError` where the machine still cannot carry the lab."""
    from ez_homelab.prerequisites import install

    for step in steps:
        with lab.progress.step(step.what) as say:
            await install(lab.core, step, say)
    _stop_at_the_first(await lab.doctor())


def _stop_at_the_first(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.blocking:
            raise PrerequisiteError(finding.what, evidence=finding.evidence, cause=finding.cause, fix=finding.fix)
