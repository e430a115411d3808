"""A lab becomes a document and comes back exactly: every lab of the golden cases, and any that hypothesis thinks of."""

from __future__ import annotations

import json
import typing
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_lab import IMAGES, LAB_FILES, SECRET, a_lab

from ez_homelab.config.overrides import load_overrides
from ez_homelab.generations.document import decode, encode, name_of, references, stack_hashes
from ez_homelab.generations.errors import GenerationError
from ez_homelab.generations.values import hints_of
from ez_homelab.lab import Homelab
from ez_homelab.render.desired import Desired
from ez_homelab.testing.make_lab import desired_of

if typing.TYPE_CHECKING:
    from ez_homelab.generations.document import Encoded

GOLDEN = Path(__file__).parents[2] / "golden"
TEXT = st.text(max_size=12)


def any_of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of the type; a field that is added to a dataclass is covered without a word here."""
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if is_dataclass(hint):
        return st.builds(hint, **{name: any_of(kind) for name, kind in hints_of(hint).items()})
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(any_of(arguments[0]), max_size=2).map(tuple)
    if typing.get_args(hint) and issubclass(typing.cast("type", origin), typing.Mapping):
        return st.dictionaries(any_of(arguments[0]), any_of(arguments[1]), max_size=2)
    plain = {
        str: TEXT, bytes: st.binary(max_size=9), int: st.integers(), float: st.floats(allow_nan=False),
        bool: st.booleans(), type(None): st.none(),
    }  # fmt: skip
    return plain[origin] if origin in plain else st.one_of(*map(any_of, arguments))


def contents(encoded: Encoded) -> dict[str, bytes]:
    return {name: content for objects in encoded.objects.values() for name, content in objects.items()}


@pytest.mark.parametrize("case", sorted(path.parent.name for path in GOLDEN.glob("*/homelab.yaml")))
def test_every_golden_lab_comes_back_exactly(case: str) -> None:
    homelab = Homelab(GOLDEN / case)
    overrides = load_overrides(homelab.folder, [item.name for item in homelab.lab.instances])
    desired = desired_of(homelab.lab, catalog=homelab.catalog, overrides=overrides)
    encoded = encode(desired, LAB_FILES, IMAGES)
    recorded = decode(encoded.document, contents(encoded).__getitem__)
    assert (recorded.desired, recorded.lab_files, recorded.images) == (desired, LAB_FILES, IMAGES)
    assert list(recorded.desired.servers) == list(desired.servers)
    assert encode(recorded.desired, recorded.lab_files, recorded.images) == encoded


@settings(max_examples=60, deadline=None)
@given(
    any_of(Desired),
    st.dictionaries(TEXT, st.binary(max_size=9), max_size=2),
    st.dictionaries(TEXT, st.dictionaries(TEXT, TEXT, max_size=2), max_size=2),
)
def test_any_lab_comes_back_exactly(desired: Desired, files: dict[str, bytes], images: dict[str, Any]) -> None:
    encoded = encode(desired, files, images)
    recorded = decode(encoded.document, contents(encoded).__getitem__)
    assert (recorded.desired, recorded.lab_files, recorded.images) == (desired, files, images)


def test_a_document_is_named_after_its_text_and_refers_to_exactly_its_objects() -> None:
    encoded = encode(a_lab(servers=3), LAB_FILES, IMAGES)
    assert encoded.tree == name_of(encoded.document)
    assert {name: frozenset(one) for name, one in encoded.objects.items()} == references(encoded.document)
    assert all(name == name_of(content) for name, content in contents(encoded).items())
    assert references(encoded.document)["server1"] - references(encoded.document)["core"]


def test_no_content_is_in_the_document() -> None:
    encoded = encode(a_lab(), LAB_FILES, IMAGES)
    assert SECRET.encode() not in encoded.document
    assert any(SECRET.encode() in content for content in encoded.objects["core"].values())


def test_the_order_in_which_files_and_images_were_found_does_not_matter() -> None:
    other = dict(reversed(LAB_FILES.items()))
    assert encode(a_lab(), other, IMAGES).tree == encode(a_lab(), LAB_FILES, IMAGES).tree


def changed(**parts: Any) -> bytes:
    return json.dumps({**json.loads(encode(a_lab(), LAB_FILES, IMAGES).document), **parts}).encode()


@pytest.mark.parametrize(
    ("document", "evidence"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[]", "it is not a generation's document"),
        (b'{"desired": {}, "files": {}, "images": {}}', "it is not a generation's document"),
        (changed(format=2), "its format is 2, this version knows 1"),
        (changed(more={}), "it has other parts than this version knows"),
        (changed(files=[]), "it has other parts than this version knows"),
        (changed(images={"core": ["a"]}), "images.core is not a mapping"),
        (changed(files={"a": "text"}), "files.a is not an object's name"),
        (changed(desired={}), "desired has no field domain"),
        (
            changed(desired={"domain": "d", "servers": {}, "routes": [], "sign_on": 1}),
            "desired has a field that this version does not know: sign_on",
        ),
    ],
)
def test_what_is_damaged_or_too_new_is_refused_and_says_why(document: bytes, evidence: str) -> None:
    with pytest.raises(GenerationError) as raised:
        decode(document, lambda _name: b"")
    assert evidence in raised.value.evidence
    assert "newer version" in raised.value.cause


def test_a_field_that_is_newer_than_the_document_has_its_default() -> None:
    plain = json.loads(encode(a_lab(), LAB_FILES, IMAGES).document)
    services = plain["desired"]["servers"]["core"]["stacks"][0]["services"]
    for service in services:
        del service["ready_within"]
    found = decode(json.dumps(plain).encode(), lambda _name: b"").desired.servers["core"].stacks[0].services
    assert [service.ready_within for service in found] == [60.0] * len(services)


def test_a_stack_has_another_hash_when_something_of_it_is_otherwise() -> None:
    lab, core = a_lab(), a_lab().servers["core"]
    hashes = stack_hashes(lab, IMAGES)
    assert hashes.keys() == {stack.name for stack in core.stacks}
    assert stack_hashes(a_lab(), IMAGES) == hashes
    for path in (file.path for file in core.files):
        files = tuple(replace(file, mode=0o604) if file.path == path else file for file in core.files)
        other = stack_hashes(replace(lab, servers={"core": replace(core, files=files)}), IMAGES)
        assert {name for name in hashes if hashes[name] != other[name]} == {path.split("/")[3]}


def test_a_stack_has_another_hash_when_its_image_is_another_under_the_same_tag() -> None:
    hashes = stack_hashes(a_lab(), IMAGES)
    image = a_lab().servers["core"].stacks[0].services[0].image
    other = stack_hashes(a_lab(), {"core": {image: "sha256:other", "unused:1": "sha256:x"}})
    unlike = {name for name in hashes if hashes[name] != other[name]}
    assert a_lab().servers["core"].stacks[0].name in unlike
    assert stack_hashes(a_lab(), {"core": {**IMAGES["core"], "unused:1": "sha256:x"}}) == hashes
