"""Labs as hypothesis makes them: right ones in every shorthand, and ones with a piece replaced by something hostile."""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import strategies as st

HOSTILE = st.sampled_from(
    (
        *(
            "../../etc/passwd",
            "$(reboot)",
            "${HOME}",
            "a'b",
            'a"b',
            "a\nb",
            "a\0b",
            "\u202eabc",
            "`id`",
            "a;b",
            "-rf",
            "",
        ),
        *("A" * 5000, "..", "/", "~", "core", "traefik", "*", "&a", "<<", "é", "a.b", "a/b", "a\\b", "1", "null"),
    )
)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), HOSTILE, st.text(max_size=20))
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HOSTILE | st.text(max_size=8), inner, max_size=3)
)
NAMES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8).map(lambda text: f"n{text}")
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "app": NAMES,
        "environment": st.dictionaries(
            st.sampled_from(["A", "LEVEL", "a_b"]), st.text("ab$'\"{}#: ", max_size=9), max_size=2
        ),
        "lazy": st.sampled_from(
            ["stop", "off", None, {}, {"mode": "stop", "idle": "30m"}, {"clients": 503, "awake": ["Mon 08:00-24:00"]}]
        ),
        "limits": st.fixed_dictionaries({}, optional={"memory": st.just("64M"), "cpus": st.sampled_from([1, 1.5])}),
    },
)


@st.composite
def labs(draw: st.DrawFn) -> dict[str, Any]:
    """A right lab as plain data."""
    names = draw(st.lists(NAMES, unique=True, max_size=8))
    stacks: dict[str, Any] = {}
    while names:
        count = draw(st.integers(1, len(names)))
        apps, names = names[:count], names[count:]
        stacks[f"stack-{len(stacks)}"] = draw(st.sampled_from(FORMS))(apps, draw)
    domain = draw(st.sampled_from(["lab.localhost", "my.home.arpa", "x.lan"]))
    return {"version": 1, "domain": domain, "stacks": stacks}


def _as_list(apps: list[str], draw: st.DrawFn) -> Any:
    return apps


def _as_mixed_list(apps: list[str], draw: st.DrawFn) -> Any:
    return [{app: draw(SETTINGS)} if draw(st.booleans()) else app for app in apps]


def _in_full(apps: list[str], draw: st.DrawFn) -> Any:
    return {"server": "core", "apps": {app: draw(st.none() | SETTINGS) for app in apps}}


def _full_with_list(apps: list[str], draw: st.DrawFn) -> Any:
    return {"apps": _as_mixed_list(apps, draw)}


FORMS = (_as_list, _as_mixed_list, _in_full, _full_with_list)


@st.composite
def mutated_labs(draw: st.DrawFn) -> dict[str, Any]:
    """A lab in which one piece, key or value, is replaced by anything."""
    lab = json.loads(json.dumps(draw(labs())))
    holder, key = draw(st.sampled_from(_places(lab)))
    if isinstance(holder, dict) and draw(st.booleans()):
        holder[draw(HOSTILE)] = holder.pop(key)
    else:
        holder[key] = draw(ANYTHING)
    return lab


def _places(node: Any) -> list[tuple[Any, Any]]:
    steps = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    return [(node, key) for key, _ in steps] + [place for _, item in steps for place in _places(item)]
