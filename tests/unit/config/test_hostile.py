"""Whatever is in the file: a lab with safe names comes out, or an error with positions; nothing else."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from lab_strategies import labs, mutated_labs

from ez_homelab.config.load import lab_from_text
from ez_homelab.errors import LabFileError

if TYPE_CHECKING:
    from ez_homelab.config.model import Lab

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
PATH = re.compile(r"(/[A-Za-z0-9._@+-]+( [A-Za-z0-9._@+-]+)*)+")


def load(text: bytes | str) -> Lab | None:
    try:
        lab = lab_from_text(text)
    except LabFileError as error:
        assert error.faults
        assert all(line.isprintable() for line in error.evidence.splitlines())
        return None
    assert_safe(lab)
    return lab


def assert_safe(lab: Lab) -> None:
    names = [name for stack in lab.stacks for name in (stack.name, stack.server)]
    names += [name for app in lab.instances for name in (app.name, app.app)]
    assert all(NAME.fullmatch(name) for name in names)
    assert "core" not in [stack.name for stack in lab.stacks]
    assert len({app.name for app in lab.instances}) == len(lab.instances)
    assert all(LABEL.fullmatch(label) for label in lab.domain.split("."))
    assert all(app.subdomain is None or LABEL.fullmatch(app.subdomain) for app in lab.instances)
    assert all(PATH.fullmatch(path) and ".." not in path.split("/") for path in (lab.paths.media, lab.paths.downloads))
    for app in lab.instances:
        assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) for name in app.environment)
        assert all(value.isprintable() for value in app.environment.values())


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    load(content)


@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"%@`#,? \n\t0.<~"), max_size=60))
@example("a: &a {b: *a}")
@example("? {a: b}\n: c")
@example("!<tag:yaml.org,2002:int> x")
@example('a: "\\uD800"')
def test_any_yaml_characters(content: str) -> None:
    load("version: 1\ndomain: lab.localhost\n" + content)


@given(labs())
def test_a_right_lab_loads_however_it_is_written(data: dict[str, object]) -> None:
    block = load(yaml.safe_dump(data, allow_unicode=True))
    assert block is not None
    assert load(json.dumps(data)) == load(yaml.safe_dump(data, default_flow_style=True, sort_keys=False))
    expected = {app for stack in data["stacks"].values() for app in _names(stack)}  # type: ignore[attr-defined]
    assert {app.name for app in block.instances} == expected


def _names(stack: object) -> set[str]:
    apps = stack["apps"] if isinstance(stack, dict) else stack
    return {name for item in apps for name in (item if isinstance(item, dict) else [item])}  # type: ignore[attr-defined]


@given(mutated_labs())
def test_a_lab_with_a_piece_replaced_by_anything(data: dict[str, object]) -> None:
    load(json.dumps(data))
    load(yaml.safe_dump(data, allow_unicode=True))


@given(labs(), st.data())
def test_a_lab_cut_or_spliced_anywhere(data: dict[str, object], draw: st.DataObject) -> None:
    text = yaml.safe_dump(data, sort_keys=False)
    start = draw.draw(st.integers(0, len(text)))
    end = draw.draw(st.integers(start, min(len(text), start + 20)))
    piece = draw.draw(st.text(max_size=10))
    load((text[:start] + piece + text[end:]).encode(errors="surrogatepass"))
