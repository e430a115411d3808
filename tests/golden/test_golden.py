"""A lab folder in, its servers' files and the plan out: `UPDATE_GOLDEN=1 pytest tests/golden` rewrites `expected/`.

`<case>/homelab.yaml` (with `users.yaml`, `overrides/` and `catalog/`, as in any lab) is planned for a bare server; with
an `observed.yaml`, for one that is as the lab wants it but for what that file says (the arguments of `observed_as`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from ez_homelab.config.overrides import load_overrides
from ez_homelab.config.users import load_users
from ez_homelab.images.editions import BASE_TAG
from ez_homelab.lab import Homelab
from ez_homelab.plan import make_plan
from ez_homelab.render import Given, render
from ez_homelab.testing.make_lab import made_up_secrets, observed_as, observed_bare, pinned

if TYPE_CHECKING:
    from ez_homelab.render.desired import Desired

HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/homelab.yaml"))


def rendered(case: Path) -> Desired:
    """The lab with tags of editions that do not change whenever a Dockerfile does."""
    homelab = Homelab(case)
    lab = homelab.lab
    tags = {
        app: {name: re.sub("-[0-9a-f]{12}$", "-hash", edition.tag) for name, edition in parts.items()}
        for app, parts in homelab.editions.items()
    }
    overrides = load_overrides(case, [item.name for item in lab.instances])
    values = made_up_secrets(lab, homelab.catalog)
    people = load_users(case)
    return render(lab, homelab.catalog.app, Given(tags, overrides, values, pinned, people=people))


def produced(case: Path) -> dict[str, str]:
    """Every file of `expected/` by its path there."""
    desired = rendered(case)
    there = case / "observed.yaml"
    found = observed_as(desired, **yaml.safe_load(there.read_text())) if there.exists() else observed_bare(desired)
    text = make_plan(desired, found).text().replace(BASE_TAG, "ez-homelab/base:hash")
    files = {"plan.txt": re.sub(r"(?m)^Plan [0-9a-f]{12}:", "Plan:", text)}
    for name, server in desired.servers.items():
        files[f"{name}/modes.txt"] = "".join(
            f"{file.mode:04o} {file.uid}:{file.gid} {file.path}\n" for file in server.files
        )
        files |= {f"{name}{file.path}": file.content.decode() for file in server.files}
    return files


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    expected, found = HERE / name / "expected", produced(HERE / name)
    there = {path.relative_to(expected).as_posix() for path in expected.rglob("*") if path.is_file()}
    if os.environ.get("UPDATE_GOLDEN"):
        for gone in there - found.keys():
            (expected / gone).unlink()
        for path, text in found.items():
            (expected / path).parent.mkdir(parents=True, exist_ok=True)
            (expected / path).write_text(text)
        return
    assert found.keys() == there
    for path, text in found.items():
        assert text == (expected / path).read_text(), f"{name}: {path} is another one; is that meant?"


def test_there_are_cases() -> None:
    assert len(CASES) >= 7
