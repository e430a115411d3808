"""Every apply is kept with who, when and why; any of them comes back whole, and none that is needed ever goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from real_lab import CHECKOUT, LAB, SOURCES, STATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_lab import RealLab

OVERRIDE = f"{LAB}/overrides/echo.yaml"
COLOURED = "services:\n  echo:\n    environment: {COLOUR: red}\n"
CRASHES = "services:\n  echo:\n    entrypoint: [/bin/false]\n"
ANSWER = "body = request.split(END)[0]"
PROGRAM = f"{LAB}/catalog/echo/image/echo.py"
# What a run does at its end, but for keeping the last two instead of the last fifty.
PRUNE = f"""
import asyncio
from ez_homelab.generations.index import Generations
from ez_homelab.generations.keep import check, prune
from ez_homelab.hosts.local import LocalHost
index, hosts = Generations("{STATE}/journal.db", "{LAB}"), {{"core": LocalHost("core")}}
asyncio.run(prune(index, hosts, 2))
print(asyncio.run(check(index, hosts)))
"""


@pytest.fixture(autouse=True)
def echo_is_there(lab: RealLab, echo: RealLab) -> Iterator[None]:
    """It is done to the lab's own app, whose program is put back before the lab is."""
    yield
    lab.server.push(SOURCES / "tests/e2e/catalog", f"{LAB}/catalog")


def generations(lab: RealLab) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = lab.document("history")["generations"]
    return listed


def newest(lab: RealLab) -> dict[str, Any]:
    return generations(lab)[0]


def of_echo(lab: RealLab, what: str) -> str:
    return lab.server.docker(["inspect", "--format", what, "echo"]).stdout.strip()


def files(lab: RealLab) -> dict[str, str]:
    """What a generation brings back: the stacks' files and the lab's own, without its catalog."""
    return {path: name for path, name in lab.files().items()
            if path.startswith(("/opt/stacks/", f"{LAB}/")) and not path.startswith(f"{LAB}/catalog/")}  # fmt: skip


def test_an_apply_is_kept_and_comes_back_whole(lab: RealLab) -> None:
    lab.server.write(OVERRIDE, COLOURED)
    lab.ez("apply", "--yes")
    before, was, image = newest(lab), files(lab), of_echo(lab, "{{.Config.Image}}")
    assert (before["why"], before["changed"]) == ("definition changed", ["~tools"])
    lab.ez("apply", "--yes")
    assert newest(lab) == before, "an apply that had nothing to do"

    lab.server.write(OVERRIDE, COLOURED.replace("red", "blue"))
    program = lab.server.read(PROGRAM).decode()
    assert ANSWER in program
    lab.server.write(PROGRAM, program.replace(ANSWER, f'{ANSWER} + b"; the second version"'))
    lab.ez("apply", "--yes")
    after = newest(lab)
    assert after["number"] > before["number"]
    assert (after["who"], after["outcome"], after["running"]) == ("root", "done", True)
    assert after["command"].endswith(f"apply --yes --lab {LAB}")
    assert after["why"].startswith("image ez-homelab/echo:")
    assert after["changed"] == ["~tools"]
    assert datetime.now(UTC) - datetime.fromisoformat(after["made"]) < timedelta(minutes=5)
    told = lab.document("history", str(after["number"]))
    assert told["servers"]["core"]["stacks"]["tools"]["echo"] == of_echo(lab, "{{.Config.Image}}") != image
    assert {file["path"] for file in told["lab_files"]} >= {"homelab.yaml", "images.lock", "overrides/echo.yaml"}
    assert "the second version" in lab.page("echo")

    others = {name: of for name, of in lab.containers().items() if name != "echo"}
    back = lab.document("rollback", str(before["number"]), "--yes")
    assert {edit["file"] for edit in back["edits"]} == {OVERRIDE, f"{LAB}/images.lock"}
    assert files(lab) == was
    assert of_echo(lab, "{{.Config.Image}}") == image
    assert "COLOUR=red" in of_echo(lab, "{{.Config.Env}}")
    assert "the second version" not in lab.page("echo")
    assert {name: of for name, of in lab.containers().items() if name != "echo"} == others
    last = newest(lab)
    assert last["number"] > after["number"]
    assert (last["why"], last["changed"]) == (f"rollback to {before['number']}", ["~tools"])
    assert last["tree"] == before["tree"]
    # The lab's own catalog is the person's: with its program as before, nothing is left to do.
    lab.server.push(SOURCES / "tests/e2e/catalog", f"{LAB}/catalog")
    lab.ez("plan", "--check")


def test_a_generation_that_is_not_there_is_told_with_those_that_are(lab: RealLab) -> None:
    number = newest(lab)["number"]
    before = lab.everything()
    told = lab.ez("rollback", "9999", "--yes", status=2).stderr
    assert "there is no generation 9999" in told
    assert str(number) in told
    assert lab.everything() == before


def test_what_runs_is_never_let_go_of_and_nobody_else_may_read_what_is_kept(lab: RealLab) -> None:
    runs = next(one["number"] for one in generations(lab) if one["stacks"].get("tools") == "done")
    for number in range(2):
        lab.server.write(OVERRIDE, CRASHES.replace("false", f"false{number}"))
        lab.ez("apply", "--yes", status=1)
    assert [one["outcome"] for one in generations(lab)[:2]] == ["went-back", "went-back"]
    pruned = lab.server.run([f"{CHECKOUT}/.venv/bin/python", "-c", PRUNE]).stdout
    assert pruned == "()\n", "something of what is kept is missing, damaged or open to others"
    kept = generations(lab)
    assert [one["number"] for one in kept][2:] == [runs]
    assert kept[2]["running"]
    modes = lab.server.run(["find", f"{STATE}/objects", "-printf", "%y %m\n"]).stdout.splitlines()
    assert {*modes} == {"d 700", "f 600"}
    lab.server.run(["rm", OVERRIDE])
    lab.ez("plan", "--check")
