"""`ez-homelab images`: what each command asks of the lab, prints and leaves alone. The lab behind it is a fake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from ez_homelab.cli.app import cli
from ez_homelab.cli.commands import images
from ez_homelab.images.inventory import ImageRow, Prunable, StaleImage
from ez_homelab.images.lock import ImageLock, LockedImage

if TYPE_CHECKING:
    from pathlib import Path

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
NAME = "ez-homelab/app:1-0"
BEFORE = ImageLock().with_image(NAME, LockedImage(A, "127.0.0.1:20444/ez-homelab/app", "packages", "2026-11-22"))
AFTER = BEFORE.with_image(
    "prom/prometheus:v3", LockedImage(A, "docker.io/prom/prometheus", "registry", "2026-11-22")
).with_image(NAME, LockedImage(B, "127.0.0.1:20444/ez-homelab/app", "packages", "2026-11-23"))
STALE = Prunable((StaleImage(NAME, A, (NAME,), (), 7_000_000),))


class FakeLab:
    """A lab that notes what is asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[object] = []
        self.locked = AFTER
        self.stale = STALE

    async def images(self) -> tuple[ImageRow, ...]:
        used = ImageRow(NAME, A, B, 7_000_000, True, ("app",), (3, 4), True, False)
        moved = ImageRow("a/b:1", B, "", 0, False, (), (), None, True)
        return used, moved

    async def lock_images(self, update: tuple[str, ...]) -> ImageLock:
        self.asked.append(update)
        self.locked.save(self.folder)
        return self.locked

    async def prunable_images(self) -> Prunable:
        return self.stale

    async def prune_images(self) -> tuple[str, ...]:
        self.asked.append("prune")
        return self.stale.lines()

    async def build_images(self) -> tuple[str, ...]:
        return (NAME,)

    async def copy_images(self, target: str) -> tuple[str, ...]:
        self.asked.append(target)
        return (f"{target}/{NAME}",)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    made = FakeLab(tmp_path)
    BEFORE.save(tmp_path)
    monkeypatch.setattr(images, "open_lab", lambda *_, **__: made)
    return made


def ez(*words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["images", *words], input=answer)


def document(*words: str) -> Any:
    result = ez(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.usefixtures("lab")
def test_list_shows_who_needs_what() -> None:
    shown = " ".join(ez("list").stdout.split())
    assert f"{NAME} aaaaaaaaaaaa 7 MB yes app, generation 3, 4" in shown
    assert "a/b:1 bbbbbbbbbbbb moved not here - nobody" in shown
    assert "apps run what is locked" in shown
    [used, moved] = document("list")["images"]
    assert (used["name"], used["digest"], used["generations"], used["used_by"]) == (
        NAME,
        A,
        [3, 4],
        "app, generation 3, 4",
    )
    assert (moved["moved"], moved["in_mirror"]) == (True, None)


def test_lock_shows_what_is_new_and_what_another_digest(lab: FakeLab) -> None:
    shown = ez("lock", "--update", "app", "--update", "other").stdout.splitlines()
    assert lab.asked == [("app", "other")]
    assert shown[:2] == [f"~ {NAME} aaaaaaaaaaaa -> bbbbbbbbbbbb", "+ prom/prometheus:v3 aaaaaaaaaaaa"]
    assert "ez-homelab apply" in shown[2]
    assert ez("lock").stdout == "Every image is locked already.\n"
    lab.locked = BEFORE
    assert document("lock")["changes"] == [
        {"name": NAME, "before": B, "after": A},
        {"name": "prom/prometheus:v3", "before": A, "after": ""},
    ]


def test_prune_asks_and_a_no_changes_nothing(lab: FakeLab) -> None:
    refused = ez("prune", answer="n\n")
    assert STALE.lines()[0] in refused.output
    assert lab.asked == []
    assert ez("prune", "--yes").exit_code == 0
    assert lab.asked == ["prune"]


def test_prune_in_json_is_one_document_and_needs_a_yes(lab: FakeLab) -> None:
    assert ez("prune", "--json").exit_code == 2
    assert lab.asked == []
    assert document("prune", "--yes")["pruned"]["images"] == [{"name": NAME, "id": A, "size": 7_000_000}]
    assert lab.asked == ["prune"]
    lab.stale = Prunable()
    assert document("prune", "--yes")["pruned"] == {"images": [], "manifests": []}
    assert ez("prune").stdout == "Every image is needed.\n"
    assert lab.asked == ["prune"]


@pytest.mark.usefixtures("lab")
def test_build_tells_what_was_built() -> None:
    assert ez("build").stdout == f"built {NAME}\n"
    assert document("build") == {"built": [NAME]}


def test_copy_takes_a_registry_and_nothing_else(lab: FakeLab) -> None:
    assert f"registry.lan/{NAME}" in ez("copy", "registry.lan").stdout
    assert document("copy", "registry.lan") == {"copied": [f"registry.lan/{NAME}"]}
    assert lab.asked == ["registry.lan"] * 2
    for wrong in ("https://registry.lan", "nas", "a:b@registry.lan"):
        assert ez("copy", wrong).exit_code == 2
    assert lab.asked == ["registry.lan"] * 2
