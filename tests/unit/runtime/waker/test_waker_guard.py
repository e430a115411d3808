"""What the guard makes of what Docker says about Traefik and the waker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ez_homelab.runtime.waker.docker import NEVER, Found, moment
from ez_homelab.runtime.waker.guard import Memory

CASES = yaml.safe_load(Path(__file__).with_name("guard_cases.yaml").read_text())


def found(container: list[Any] | None) -> Found | None:
    if container is None:
        return None
    status, minute, exit_code, error = (*container, 0, "")[:4] if len(container) == 2 else container
    started = moment(f"2026-11-23T04:{minute:02}:00.5Z") if minute else NEVER
    return Found(status, exit_code, error=error, started=started)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_what_the_waker_needs(case: dict[str, Any]) -> None:
    memory = Memory()
    for traefik, waker, wanted in case["looks"]:
        assert memory.judge(found(traefik), found(waker)) == ("" if wanted == "nothing" else wanted)


def test_times_of_dockers_can_be_compared() -> None:
    seconds = ["39Z", "39.12Z", "39.1234Z", "40Z"]
    moments = [NEVER, *(moment(f"2026-11-23T04:27:{second}") for second in seconds)]
    assert moment("") == moment("0001-01-01T00:00:00Z") == NEVER
    assert moments == sorted(moments)
    assert len(set(moments)) == len(moments)
