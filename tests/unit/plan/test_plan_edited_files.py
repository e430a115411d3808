"""What becomes of a file that a person edited on the server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ez_homelab.hosts import FileState
from ez_homelab.plan.action import Kept, Plan
from ez_homelab.plan.files import (
    EDITED,
    KEPT,
    KEPT_NOW,
    OVERWRITE,
    Choice,
    Choices,
    edited_files,
    file_actions,
    kept_files,
    kept_texts,
)
from ez_homelab.testing.make_lab import desired_of, make_lab, observed_as

if TYPE_CHECKING:
    from ez_homelab.observe import ObservedServer

SERVER = desired_of(make_lab()).servers["core"]
COMPOSE = "/opt/stacks/wiki/compose.yaml"
LEFT_OVER = "/opt/stacks/old/notes.txt"
OURS = next(file.sha256 for file in SERVER.files if file.path == COMPOSE)
THEIRS = FileState("ab" * 32, 0o644, 0, 0)
LINK = FileState("", 0o777, 0, 0)
BEFORE = "cd" * 32


def found(
    path: str = COMPOSE, state: FileState = THEIRS, known: tuple[str, ...] = (OURS,), kept: str | None = None
) -> ObservedServer:
    server = observed_as(desired_of(make_lab()), files={path: state}, applied={path: known})["core"]
    return replace(server, applied=replace(server.applied, kept={path: kept} if kept else {}))


def became(server: ObservedServer, choices: Choices = OVERWRITE) -> list[tuple[str, str]]:
    """What is done to which file, and what is kept."""
    actions = [(action.verb, action.name) for action in file_actions(SERVER, server, choices)]
    return actions + [("keep", item.path) for item in kept_files(SERVER, server, choices)]


CASES: dict[str, tuple[ObservedServer, Choices, list[tuple[str, str]]]] = {
    "nobody chose": (found(), Choices(), [("replace", COMPOSE)]),
    "keep what nobody chose for": (found(), Choices("keep"), [("keep", COMPOSE)]),
    "keep": (found(), Choices(by_path={COMPOSE: "keep"}), [("keep", COMPOSE)]),
    "keep on this server": (found(), Choices(by_path={f"core:{COMPOSE}": "keep"}), [("keep", COMPOSE)]),
    "keep on another server": (found(), Choices(by_path={f"nas:{COMPOSE}": "keep"}), [("replace", COMPOSE)]),
    "keep another file": (found(), Choices(by_path={"/opt/stacks/wiki/.env": "keep"}), [("replace", COMPOSE)]),
    "overwrite one, keep the others": (found(), Choices("keep", {COMPOSE: "overwrite"}), [("replace", COMPOSE)]),
    "adopt": (found(), Choices("keep", {COMPOSE: "adopt"}), [("replace", COMPOSE)]),
    "kept before": (found(kept=THEIRS.sha256), Choices(), [("keep", COMPOSE)]),
    "kept before and overwritten now": (
        found(kept=THEIRS.sha256), Choices(by_path={COMPOSE: "overwrite"}), [("replace", COMPOSE)],
    ),
    "kept before and edited again": (found(kept="ef" * 32), Choices(), [("replace", COMPOSE)]),
    "kept before, and the lab wants another text now": (
        found(known=(BEFORE,), kept=THEIRS.sha256), Choices(), [("replace", COMPOSE)],
    ),
    "kept before, the lab wants another text, and still kept": (
        found(known=(BEFORE,), kept=THEIRS.sha256), Choices("keep"), [("keep", COMPOSE)],
    ),
    "a link is no text": (found(state=LINK), Choices("keep"), [("replace", COMPOSE)]),
    "a link after a link was kept": (found(state=LINK, kept=""), Choices(), [("replace", COMPOSE)]),
    "a text of ours from before": (found(known=(THEIRS.sha256,)), Choices("keep"), [("replace", COMPOSE)]),
    "no longer of the lab": (found(LEFT_OVER), Choices(), [("remove", LEFT_OVER)]),
    "no longer of the lab and kept": (found(LEFT_OVER), Choices("keep"), [("keep", LEFT_OVER)]),
    "no longer of the lab and never edited": (
        found(LEFT_OVER, known=(THEIRS.sha256,)), Choices("keep"), [("remove", LEFT_OVER)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_choice_is_followed(case: str) -> None:
    server, choices, expected = CASES[case]
    assert became(server, choices) == expected


@pytest.mark.parametrize("choice", ["overwrite", "adopt"])
def test_whatever_is_overwritten_is_kept_aside(choice: Choice) -> None:
    (action,) = file_actions(SERVER, found(), Choices(choice))
    assert (action.cause, action.settings) == (EDITED, {"keep": "yes"})


def test_why_a_file_is_kept() -> None:
    assert kept_files(SERVER, found(kept=THEIRS.sha256)) == (Kept("core", COMPOSE, KEPT),)
    assert kept_files(SERVER, found(), Choices("keep")) == (Kept("core", COMPOSE, KEPT_NOW),)


def test_which_files_are_edited() -> None:
    assert edited_files(SERVER, found()) == [COMPOSE]
    assert edited_files(SERVER, found(LEFT_OVER)) == [LEFT_OVER]
    assert edited_files(SERVER, found(state=FileState(OURS, 0o666, 7, 7))) == []


def test_what_the_record_says_of_kept_texts() -> None:
    kept = (*kept_files(SERVER, found(), Choices("keep")), Kept("nas", "/opt/stacks/a/.env", KEPT))
    assert kept_texts(kept, found()) == {COMPOSE: THEIRS.sha256}


def test_a_plan_tells_what_is_kept() -> None:
    plan = Plan((), kept=kept_files(SERVER, found(kept=THEIRS.sha256)))
    assert f"core: {COMPOSE} is kept: {KEPT}\n" in plan.text()
    assert plan.to_dict()["kept"] == [{"server": "core", "path": COMPOSE, "reason": KEPT}]
    assert not plan
