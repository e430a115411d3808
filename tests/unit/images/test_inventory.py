"""What each image is for, and what nobody needs: pure, on values as an engine and a mirror have them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ez_homelab.images.inventory import Contents, EngineImage, Manifest, Needs, prunable, rows
from ez_homelab.images.lock import ImageLock, LockedImage
from ez_homelab.images.recipe import BASE_TAG
from ez_homelab.images.reference import OWN_MIRROR

A, B, C, D = (f"sha256:{letter * 64}" for letter in "abcd")
PATH = "ez-homelab/app"
HERE = f"{OWN_MIRROR}/{PATH}"


def edition(number: int, tag: str = "1-0", digest: str = "", **more: object) -> EngineImage:
    names = (f"{PATH}:{tag}", *((f"{HERE}:{tag}",) if digest else ()))
    return replace(
        EngineImage(f"sha256:{number:064}", names, ((f"{HERE}@{digest}",) if digest else ()), 5_000_000), **more
    )  # type: ignore[arg-type]


def untagged(number: int, digest: str) -> EngineImage:
    return EngineImage(f"sha256:{number:064}", (), (f"{HERE}@{digest}",), 5_000_000)


def needs(*wanted: str, **generations: str) -> Needs:
    return Needs(frozenset(wanted), {int(name[1:]): frozenset({text}) for name, text in generations.items()})


def gone(contents: Contents, wanted: Needs, lock: ImageLock = ImageLock()) -> set[str]:  # noqa: B008 - a value
    found = prunable(contents, lock, wanted)
    return {image.id[7:].lstrip("0") for image in found.images} | {item.digest for item in found.manifests}


def test_what_a_container_a_generation_or_the_lab_uses_stays() -> None:
    contents = Contents(
        (
            edition(1, digest=A),
            untagged(2, B),
            edition(3, tag="2-0", digest=C, containers=("app",)),
            edition(4, tag="3-0", digest=D),
        )
    )
    assert gone(contents, needs(f"{HERE}:1-0@{A}", g3=f"{HERE}:1-0@{B}")) == {"4"}
    assert gone(contents, needs()) == {"1", "2", "4"}


def test_an_image_without_a_digest_is_known_by_its_name() -> None:
    contents = Contents((edition(1), edition(2, tag="2-0")))
    assert gone(contents, needs(f"{HERE}:1-0@{A}")) == {"2"}
    assert gone(contents, needs(g1=f"{PATH}:1-0")) == {"2"}


def test_an_image_of_the_same_name_and_another_digest_is_another_image() -> None:
    contents = Contents((edition(1, digest=A), untagged(2, B)))
    assert gone(contents, needs(f"{HERE}:1-0@{B}")) == {"1"}


def test_the_base_of_today_stays_and_older_ones_go() -> None:
    today = EngineImage("sha256:1", (BASE_TAG,), (), 80)
    older = EngineImage("sha256:2", ("ez-homelab/base:000000000000",), (), 80)
    found = prunable(Contents((today, older)), ImageLock(), needs())
    assert [image.name for image in found.images] == ["ez-homelab/base:000000000000"]


def test_images_of_others_are_not_ours() -> None:
    others = (
        EngineImage("sha256:1", ("postgres:16",), (f"postgres@{A}",), 80),
        EngineImage("sha256:2", ("ghcr.io/ez-homelab/app:1",), (), 80),
        EngineImage("sha256:3", ("localhost:5000/own:1",), (), 80),
    )
    assert gone(Contents(others), needs("traefik:v3")) == set()
    assert rows(Contents(others), ImageLock(), needs())[:3] == ()


def test_an_older_image_of_a_repository_that_the_lab_uses_is_ours() -> None:
    new = EngineImage("sha256:1", ("traefik:v3",), (f"traefik@{A}",), 80)
    old = EngineImage("sha256:2", (), (f"traefik@{B}",), 80)
    wanted = needs(f"docker.io/library/traefik:v3@{A}")
    assert gone(Contents((new, old)), wanted) == {"2"}
    lock = ImageLock().with_image("traefik:v3", LockedImage(A, "docker.io/library/traefik", "registry", "2026-11-22"))
    assert gone(Contents((new, old)), needs(), lock) == {"1", "2"}


def test_the_mirror_keeps_what_anything_that_stays_is_made_of() -> None:
    contents = Contents(
        (edition(1, digest=A, containers=("app",)),),
        (
            Manifest(PATH, A, ("1-0",)),
            Manifest(PATH, B, ("1-0",)),
            Manifest("copies/multi", C, ("1",), (D,)),
            Manifest("copies/multi", D),
            Manifest("copies/multi", f"sha256:{'e' * 64}"),
        ),
    )
    everything = {B, C, D, f"sha256:{'e' * 64}"}
    assert gone(contents, needs()) == everything
    assert gone(contents, needs(g1=f"{HERE}:1-0@{B}")) == everything - {B}
    assert gone(contents, needs(f"{OWN_MIRROR}/copies/multi:1@{C}")) == everything - {C, D}


def test_with_an_unknown_mirror_nothing_of_it_goes() -> None:
    assert gone(Contents((edition(1, digest=A),), None), needs()) == {"1"}
    assert not prunable(Contents((), None), ImageLock(), needs())


LOCK = ImageLock().with_image(f"{PATH}:1-0", LockedImage(A, HERE, "packages", "2026-11-22"))


def test_rows_say_who_needs_what() -> None:
    contents = Contents(
        (edition(1, digest=A, containers=("app", "app2")), untagged(2, B)),
        (Manifest(PATH, A, ("1-0",)), Manifest(PATH, B, ("1-0",))),
    )
    first, second = rows(contents, LOCK, needs(f"{HERE}:1-0@{A}", g3=f"{HERE}:1-0@{A}", g4=f"{HERE}:1-0@{A}"))
    assert (first.name, first.digest, first.in_mirror, first.wanted) == (f"{PATH}:1-0", A, True, True)
    assert first.used_by == "app, app2, generation 3, 4"
    assert (second.digest, second.in_mirror, second.used_by, second.name) == (B, True, "", f"{PATH}:1-0")
    assert not first.moved
    assert not second.moved


def test_a_tag_that_moved_is_told() -> None:
    [moved, missing] = rows(Contents((edition(1, digest=B),)), LOCK, needs(f"{HERE}:1-0@{A}"))
    assert (moved.digest, moved.moved, moved.wanted, moved.in_mirror) == (B, True, False, None)
    assert (missing.digest, missing.id, missing.used_by) == (A, "", "the lab")


@pytest.mark.parametrize("reference", [f"{HERE}:1-0@{A}", f"{PATH}:1-0"])
def test_what_is_needed_and_not_there_has_a_row(reference: str) -> None:
    [row] = rows(Contents((), ()), ImageLock(), needs(g7=reference))
    assert (row.name, row.id, row.generations, row.in_mirror) == (f"{PATH}:1-0", "", (7,), False)
    there = edition(1, digest=A)
    assert len(rows(Contents((there,)), ImageLock(), needs(g7=reference))) == 1


def test_a_lab_that_pulls_from_a_mirror_has_the_catalogs_names() -> None:
    name, there = "prom/prometheus:v3", "registry.lan/hub/prom/prometheus"
    lock = ImageLock().with_image(name, LockedImage(A, "docker.io/prom/prometheus", "registry", "2026-11-22"))
    wanted = replace(needs(f"{there}:v3@{A}"), mirror="registry.lan/hub")
    new = EngineImage("sha256:1", (f"{there}:v3",), (f"{there}@{A}",), 80, pulled_from="registry.lan/hub")
    old = EngineImage("sha256:2", (), (f"{there}@{B}",), 80, pulled_from="registry.lan/hub")
    assert gone(Contents((new, old)), wanted, lock) == {"2"}
    [row] = rows(Contents((new,)), lock, wanted)
    assert (row.name, row.digest, row.wanted, row.moved) == (name, A, True, False)
    moved = replace(new, pins=(f"{there}@{B}",))
    assert rows(Contents((moved,)), lock, wanted)[0].moved


def test_lines_and_document() -> None:
    contents = Contents((edition(1, digest=A),), (Manifest(PATH, A, ("1-0",)), Manifest(PATH, B)))
    found = prunable(contents, ImageLock(), needs())
    assert found.lines() == (
        "image ez-homelab/app:1-0 (5 MB, 000000000000)",
        "in the mirror: ez-homelab/app:1-0 (sha256:aaaaaaaaaaaa)",
        "in the mirror: ez-homelab/app@sha256:bbbbbbbbbbbb (sha256:bbbbbbbbbbbb)",
    )
    assert [item["digest"] for item in found.to_dict()["manifests"]] == [A, B]  # type: ignore[attr-defined, index]
