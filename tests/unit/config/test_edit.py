"""Adding and removing an app changes that app's lines and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lab_strategies import labs

from ez_homelab.config.edit import add_app, remove_app
from ez_homelab.config.load import lab_from_text
from ez_homelab.config.starter import starter_lab
from ez_homelab.errors import EzError, LabFileError, UsageError

CASES = sorted((Path(__file__).parent / "edits").glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_an_edit_changes_its_own_lines_only(case: Path) -> None:
    """A case is: a comment line with the edit, the text before, a line `=====`, the text after."""
    command, _, rest = case.read_text().partition("\n")
    before, _, after = rest.partition("=====\n")
    verb, *arguments = command.removeprefix("# ").split()
    assert (add_app if verb == "add" else remove_app)(before, *arguments) == after


@given(labs(), st.sampled_from(["block", "flow", "json"]), st.sampled_from([None, "other"]), st.data())
def test_add_then_remove_gives_the_same_lab(
    data: dict[str, Any], style: str, name: str | None, draw: st.DataObject
) -> None:
    flow = {"block": False, "flow": True}.get(style)
    text = json.dumps(data) if flow is None else yaml.safe_dump(data, sort_keys=False, default_flow_style=flow)
    stack = draw.draw(st.sampled_from([*data["stacks"], "new-stack"]))
    before = lab_from_text(text)
    added = add_app(text, "new-app", stack, name)
    lab = lab_from_text(added)
    assert [app.name for app in lab.instances if app not in before.instances] == [name or "new-app"]
    assert next(one.apps[-1].app for one in lab.stacks if one.name == stack) == "new-app"
    assert lab_from_text(remove_app(added, name or "new-app")) == before


@given(st.lists(st.integers(0, 40), max_size=12))
def test_comments_wherever_they_are_stay(places: list[int]) -> None:
    lines = starter_lab()["homelab.yaml"].splitlines()
    for number, place in enumerate(places):
        lines.insert(place, " " * (place % 7) + f"# remark {number}")
    text = "\n".join(lines) + "\n"
    added = add_app(text, "jellyfin", "monitoring")
    assert [line for line in added.splitlines() if line != "    - jellyfin"] == lines
    assert remove_app(added, "jellyfin") == text
    emptied = remove_app(text, "dokuwiki")
    assert [line for line in lines if "#" in line] == [line for line in emptied.splitlines() if "#" in line]


def test_the_last_app_gone_the_lab_still_loads() -> None:
    text = "version: 1\ndomain: lab.localhost\nstacks:\n  wiki:\n    - dokuwiki\n"
    emptied = remove_app(text, "dokuwiki")
    assert emptied == "version: 1\ndomain: lab.localhost\nstacks:\n"
    assert lab_from_text(emptied).stacks == ()
    assert add_app(emptied, "dokuwiki", "wiki") == text


LAB = "version: 1\ndomain: lab.localhost\nstacks:\n  wiki: [dokuwiki]\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dokuwiki", "wiki"), "there already, in stack `wiki`"),
        (("dokuwiki", "more"), "there already, in stack `wiki`"),
        (("glances", "wiki", "dokuwiki"), "there already"),
        (("glances", "core"), "written by this tool"),
        (("traefik", "wiki"), "comes by itself where a lab needs it"),
        (("../x", "wiki"), "is no name"),
        (("glances", "a b"), "is no name"),
        (("glances", "wiki", "x: y"), "is no name"),
    ],
)
def test_what_cannot_be_added(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        add_app(LAB, *arguments)


def test_what_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(UsageError) as caught:
        remove_app(LAB, "dokuwikki")
    assert caught.value.fix == "did you mean `dokuwiki`?"


def test_a_text_with_mistakes_is_not_edited() -> None:
    with pytest.raises(LabFileError):
        add_app(LAB + "colour: red\n", "glances", "wiki")


@pytest.mark.parametrize(
    "text",
    ["stacks:\n  one: &same [dokuwiki]\n  two: *same\n", "stacks:\n  one: &same [dokuwiki]\n  two: &x {apps: *same}\n"],
)
def test_where_an_edit_would_change_more_it_is_left_to_a_person(text: str) -> None:
    with pytest.raises(EzError):
        add_app(text, "glances", "two")
