"""Each kind of drift on a real server: what it is called, what it shows, and what each choice makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from real_lab import LAB, STATE, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_lab import RealLab

TOOLS = "/opt/stacks/tools"
COMPOSE = f"{TOOLS}/compose.yaml"
ENV = f"{TOOLS}/.env"
PLACE = "    container_name: echo\n"
LINES = "    environment:\n      COLOUR: blue\n"
SECRET = "PASSWORD=correct-horse-battery\n"
FOREIGN = "/opt/stacks/mine"


@pytest.fixture(autouse=True)
def echo_is_there(lab: RealLab, echo: RealLab) -> Iterator[None]:
    """It is done to the lab's own app, and nothing is otherwise before."""
    lab.ez("drift", "--check")
    yield
    lab.server.run(["rm", "-rf", f"{STATE}/edited"])


@pytest.fixture
def edited(lab: RealLab) -> str:
    """A person has edited the stack's compose.yaml; this is what it said before."""
    before = lab.server.read(COMPOSE).decode()
    assert PLACE in before
    lab.server.write(COMPOSE, before.replace(PLACE, PLACE + LINES))
    return before


def rows(lab: RealLab) -> dict[tuple[str, str], dict[str, Any]]:
    """What drift tells, by kind and name."""
    return {(row["kind"], row["name"]): row for row in lab.document("drift", "--diff")["drift"]}


def test_an_edited_file_is_shown_with_what_was_changed_and_kept(lab: RealLab, edited: str) -> None:
    row = rows(lab)["edited-file", COMPOSE]
    assert "+    environment:\n+      COLOUR: blue" in row["diff"]
    assert row["differs"] == "the server differs from homelab.yaml and the last apply"
    assert row["fix"] == f"ez-homelab drift keep {COMPOSE} (or: overwrite, adopt)"
    lab.ez("drift", "--check", status=3)
    lab.ez("plan", "--check", status=3)

    lab.ez("drift", "keep", COMPOSE)
    row = rows(lab)["edited-file", COMPOSE]
    assert (row["accepted"], row["evidence"]) == (True, "kept as you chose")
    lab.ez("drift", "--check")
    shown = lab.document("plan")
    assert (shown["actions"], [kept["path"] for kept in shown["kept"]]) == ([], [COMPOSE])
    lab.ez("apply", "--yes")
    assert LINES in lab.server.read(COMPOSE).decode()

    lab.ez("drift", "overwrite", COMPOSE)
    lab.ez("apply", "--yes")
    assert lab.server.read(COMPOSE).decode() == edited
    (aside,) = lab.server.run(["find", f"{STATE}/edited", "-type", "f", "-path", f"*{COMPOSE}"]).stdout.split()
    assert LINES in lab.server.read(aside).decode()
    assert rows(lab) == {}


def test_an_edited_file_that_is_adopted_is_the_labs_from_then_on(lab: RealLab, edited: str) -> None:
    told = lab.document("drift", "adopt", COMPOSE, "--yes")
    assert told["files"] == [f"{LAB}/overrides/echo.yaml"]
    assert (
        lab.server.read(f"{LAB}/overrides/echo.yaml") == b"services:\n  echo:\n    environment:\n      COLOUR: blue\n"
    )
    # The text on the server has the same meaning already; its container was not made from it yet.
    assert lab.planned()["service", "tools/echo"]["verb"] == "recreate"
    lab.ez("apply", "--yes")
    lab.ez("plan", "--check")
    assert rows(lab) == {}
    assert "COLOUR=blue" in lab.server.docker(["exec", "echo", "env"]).stdout


def test_a_compose_file_that_a_person_edited_and_used_is_undone_whole(lab: RealLab, edited: str) -> None:
    lab.server.run(["docker", "compose", "up", "--detach"], directory=TOOLS)
    assert "COLOUR=blue" in lab.server.docker(["exec", "echo", "env"]).stdout
    lab.ez("apply", "--yes")
    assert lab.server.read(COMPOSE).decode() == edited
    assert "COLOUR" not in lab.server.docker(["exec", "echo", "env"]).stdout


def test_no_line_of_an_edited_file_with_secrets_is_shown(lab: RealLab) -> None:
    lab.server.write(ENV, SECRET, mode=0o600)
    row = rows(lab)["edited-file", ENV]
    assert row["diff"] == "(not shown: this file holds secrets)"
    for arguments in (("drift", "--diff"), ("drift", "--diff", "--json"), ("plan",), ("plan", "--json")):
        told = lab.ez(*arguments)
        assert ENV in told.stdout
        assert "correct-horse" not in told.stdout + told.stderr
    refused = lab.ez("drift", "adopt", ENV, "--yes", status=2)
    assert "correct-horse" not in refused.stdout + refused.stderr
    assert lab.server.read(ENV).decode() == SECRET


def test_a_container_that_a_person_stopped_is_held(lab: RealLab) -> None:
    lab.server.docker(["stop", "echo"])
    assert rows(lab)["held", "tools/echo"]["fix"] == "ez-homelab apply --start-held"
    lab.ez("apply", "--yes")
    assert not lab.running("echo")


def test_an_app_that_ends_again_and_again_is_a_fault(lab: RealLab) -> None:
    lab.server.write(f"{LAB}/overrides/echo7.yaml", "services:\n  echo:\n    entrypoint: [/bin/false]\n")
    lab.ez("add", "echo", "--name", "echo7", "--stack", "trial", "--yes", status=1)
    wait_for("it crashes often enough", lambda: ("crash-loop", "trial/echo7") in rows(lab))
    row = rows(lab)["crash-loop", "trial/echo7"]
    assert row["evidence"].startswith("crashes at its start")
    assert row["fix"] == "ez-homelab logs echo7"
    states = {app["name"]: app["state"] for app in lab.document("status", status=1)["apps"]}
    assert states["echo7"] == "failed"


def test_an_image_that_moved_under_its_tag_is_told_and_the_container_keeps_what_it_has(lab: RealLab) -> None:
    reference = lab.server.docker(["inspect", "--format", "{{.Config.Image}}", "echo"]).stdout.strip()
    name = reference.partition("@")[0]
    own, other = (
        lab.server.docker(["inspect", "--format", "{{.Image}}", of]).stdout.strip() for of in ("echo", "glances")
    )
    lab.server.docker(["tag", other, name])
    try:
        row = rows(lab)["moved-image", "tools/echo"]
        assert name in row["evidence"]
        assert (row["live"], other in row["evidence"]) == (own, True)
        before = lab.containers()
        lab.ez("apply", "--yes")
        assert lab.containers() == before
    finally:
        lab.server.docker(["tag", own, name])
    assert rows(lab) == {}


def test_what_nobody_declared_is_named_and_never_touched(lab: RealLab) -> None:
    image = lab.server.docker(["inspect", "--format", "{{.Config.Image}}", "echo"]).stdout.strip()
    lab.server.docker(["run", "--detach", "--name", "stranger", image])
    lab.server.write(f"{FOREIGN}/compose.yaml", "services: {}\n")
    try:
        told = rows(lab)
        assert told.keys() == {("unmanaged", "stranger"), ("unmanaged-stack", "mine")}
        assert told["unmanaged", "stranger"]["evidence"] == f"nobody declared it: image {image}, running"
        assert told["unmanaged", "stranger"]["differs"] == "the server has it, homelab.yaml does not"
        lab.ez("plan", "--check")
        before = lab.containers()["stranger"]
        lab.server.docker(["rm", "--force", "echo"])
        lab.ez("apply", "--yes")
        assert lab.containers()["stranger"] == before
        assert lab.server.run(["find", FOREIGN, "-type", "f"]).stdout == f"{FOREIGN}/compose.yaml\n"
    finally:
        lab.server.docker(["rm", "--force", "stranger"])
        lab.server.run(["rm", "-r", FOREIGN])
