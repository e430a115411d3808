"""Types that a dataclass of a lab may come to have, and what does not fit them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest

from ez_homelab.generations.values import ValueMismatchError, from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Container:
    port: int


@dataclass(frozen=True)
class OnServer:
    port: int


@dataclass(frozen=True, slots=True)
class Rich:
    name: str
    target: Container | OnServer
    maybe: Container | None = None
    either: int | str = 0
    pair: tuple[int, str] = (1, "a")
    groups: frozenset[str] = frozenset()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kind: Literal["a", "b"] = "a"
    several: tuple[Container | OnServer, ...] = ()
    optional_list: tuple[int, ...] | None = None
    ratio: float = 1.0
    secret: bytes = b""


def again(value: Any) -> Any:
    kept: dict[str, bytes] = {}

    def keep(content: bytes) -> str:
        kept[content.hex()] = content
        return content.hex()

    plain = json.loads(json.dumps(to_plain(value, type(value), keep)))
    return from_plain(plain, type(value), kept.__getitem__, "value")


@pytest.mark.parametrize(
    "value",
    [
        Rich("x", Container(1)),
        Rich("x", OnServer(1), maybe=Container(2), either="text"),
        Rich("x", OnServer(1), pair=(2, "b"), groups=frozenset({"b", "a"}), labels={"z": ("1",), "a": ()}),
        Rich("x", Container(1), kind="b", several=(OnServer(1), Container(1)), optional_list=(1, 2), ratio=2),
        Rich("\udc80\u202e\n", Container(-1), secret=b"\0\xff", optional_list=()),
    ],
)
def test_it_comes_back_as_the_same_value_of_the_same_types(value: Rich) -> None:
    found = again(value)
    assert found == value
    assert repr(found.target) == repr(value.target)
    assert list(found.labels) == list(value.labels)


def test_a_set_gives_the_same_text_whatever_its_order() -> None:
    names = [f"n{number}" for number in range(50)]
    assert to_plain(frozenset(names), frozenset[str], bytes.hex) == sorted(names)


GOOD = to_plain(Rich("x", Container(1)), Rich, bytes.hex)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": 1}, "v.name is not str"),
        ({"target": {"port": 1}}, "v.target is of a kind that this version does not know: None"),
        ({"target": {"$type": "Tunnel", "port": 1}}, "v.target is of a kind that this version does not know: Tunnel"),
        ({"target": {"$type": "Container", "port": True}}, "v.target.port is not int"),
        ({"target": {"$type": "Container"}}, "v.target has no field port"),
        ({"maybe": {"port": 1, "path": "/"}}, "v.maybe has a field that this version does not know: path"),
        ({"maybe": 3}, "v.maybe is not an object with fields"),
        ({"either": []}, "v.either is not str"),
        ({"pair": [1]}, "v.pair is not a list of 2"),
        ({"pair": "ab"}, "v.pair is not a list"),
        ({"labels": {"a": [1]}}, "v.labels.a[0] is not str"),
        ({"labels": []}, "v.labels is not a mapping"),
        ({"kind": "c"}, "v.kind is not one of ('a', 'b')"),
        ({"ratio": "1"}, "v.ratio is not float"),
        ({"secret": "text"}, "v.secret is not an object's name"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueMismatchError) as raised:
        from_plain({**GOOD, **wrong}, Rich, lambda _name: b"", "v")
    assert str(raised.value) == message


def test_a_type_that_nobody_thought_of_is_a_bug_and_not_a_lossy_text() -> None:
    with pytest.raises(TypeError, match="cannot hold complex"):
        to_plain(1j, complex, bytes.hex)
    with pytest.raises(TypeError, match="cannot hold dict"):
        to_plain({1: "a"}, dict[int, str], bytes.hex)
