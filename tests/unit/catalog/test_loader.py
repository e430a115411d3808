"""Apps are loaded whole or refused with every mistake.

`sound-app/` is an app without a mistake. A folder in `broken/` holds what is different in an app that has one, and in
`expected.txt` what a person must be told. A new case is a new folder.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ez_homelab.catalog.loader import MAX_FILE_BYTES, Catalog, load_app
from ez_homelab.errors import EXIT_USAGE, CatalogError

HERE = Path(__file__).parent
SOUND = HERE / "sound-app"
BROKEN = sorted((HERE / "broken").iterdir())
SHIPPED = ("docker-socket-proxy", "dokuwiki", "glances", "node-exporter", "prometheus", "traefik")


def app_folder(tmp_path: Path, changes: Path | None = None) -> Path:
    folder = tmp_path / "sound-app"
    shutil.copytree(SOUND, folder)
    if changes:
        shutil.copytree(changes, folder, dirs_exist_ok=True)
    return folder


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_a_mistake_is_named_with_its_place(case: Path, tmp_path: Path) -> None:
    folder = app_folder(tmp_path, case)
    (folder / "expected.txt").unlink()
    with pytest.raises(CatalogError) as caught:
        load_app(folder)
    assert caught.value.evidence.replace(f"{folder}/", "") == (case / "expected.txt").read_text().strip()
    assert caught.value.exit_status == EXIT_USAGE


def test_a_sound_app_loads_with_its_parts(tmp_path: Path) -> None:
    app = load_app(app_folder(tmp_path))
    assert app.id == "sound-app"
    assert app.files == {"app.conf": b"colour = red\n"}
    assert not app.image_folders
    assert app.manifest.health.start_period == 20
    assert app.manifest.resources.memory.limit == 128 * 1024**2
    with pytest.raises(TypeError):
        app.files["app.conf"] = b""  # type: ignore[index]


def test_a_health_check_takes_the_times_it_does_not_name_from_the_manifest(tmp_path: Path) -> None:
    folder = app_folder(tmp_path)
    compose = folder / "compose.yaml"
    compose.write_text(compose.read_text().replace("healthcheck:", "healthcheck:\n      interval: 7s"))
    check = load_app(folder).compose.services["sound-app"].healthcheck
    assert check is not None
    assert (check.interval, check.timeout, check.start_period, check.retries) == (7, 5, 20, 3)


@pytest.mark.parametrize("name", ["service.yaml", "compose.yaml", "tests.yaml"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    folder = app_folder(tmp_path)
    (folder / name).unlink()
    with pytest.raises(CatalogError, match=r"1 mistake$") as caught:
        load_app(folder)
    assert caught.value.evidence == f"{folder / name}: {name} is missing"


def test_links_and_huge_files_are_no_part_of_an_app(tmp_path: Path) -> None:
    folder = app_folder(tmp_path)
    (folder / "files" / "app.conf").unlink()
    (folder / "files" / "app.conf").symlink_to("/etc/passwd")
    with pytest.raises(CatalogError) as caught:
        load_app(folder)
    assert "links and devices" in caught.value.evidence
    (folder / "files" / "app.conf").unlink()
    (folder / "files" / "app.conf").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(CatalogError, match="mistake"):
        load_app(folder)


@pytest.mark.parametrize("app_id", SHIPPED)
def test_a_shipped_app_is_sound_and_has_a_package_edition(app_id: str) -> None:
    app = Catalog.shipped().app(app_id)
    assert app.id == app_id
    assert app.image_folders.keys() == app.compose.services.keys()
    assert app.manifest.edition is not None
    assert all(service.cap_drop == ("ALL",) for service in app.compose.services.values())


def test_the_catalog_knows_its_apps_without_reading_them(tmp_path: Path) -> None:
    (tmp_path / "broken-app").mkdir()
    shutil.copytree(SOUND, tmp_path / "sound-app")
    catalog = Catalog.shipped().with_folder(tmp_path)
    assert set(catalog.ids()) >= {*SHIPPED, "broken-app", "sound-app"}
    assert catalog.app("sound-app").folder == tmp_path / "sound-app"
    assert catalog.app("sound-app") is catalog.app("sound-app")
    with pytest.raises(CatalogError, match="'broken-app'"):
        catalog.app("broken-app")


def test_the_labs_own_app_stands_for_a_shipped_one(tmp_path: Path) -> None:
    own = tmp_path / "dokuwiki"
    shutil.copytree(SOUND, own)
    service, compose = own / "service.yaml", own / "compose.yaml"
    service.write_text(service.read_text().replace("sound-app", "dokuwiki"))
    compose.write_text(compose.read_text().replace("  sound-app:", "  dokuwiki:"))
    assert Catalog.shipped().with_folder(tmp_path).app("dokuwiki").manifest.name == "Sound app"
    assert Catalog.shipped().app("dokuwiki").manifest.name == "DokuWiki"


@pytest.mark.parametrize("app_id", ["dokuwki", "nothing-like-it", "../apps/dokuwiki", "", "dokuwiki/", "x" * 5000])
def test_an_unknown_app_is_refused_with_the_nearest_name(app_id: str) -> None:
    with pytest.raises(CatalogError, match="no app called") as caught:
        Catalog.shipped().app(app_id)
    assert "dokuwiki" in caught.value.fix
    assert len(str(caught.value)) < 120


def test_a_folder_that_is_not_there_adds_nothing(tmp_path: Path) -> None:
    assert Catalog.shipped().with_folder(tmp_path / "none").ids() == Catalog.shipped().ids()


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=15,
)


def load_with(text: str | bytes, name: str, folder: Path) -> None:
    shutil.rmtree(folder / "sound-app", ignore_errors=True)
    target = app_folder(folder) / name
    target.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        load_app(target.parent)
    except CatalogError as error:
        assert error.faults
        assert all(fault.file.endswith(".yaml") for fault in error.faults)


names = st.sampled_from(["service.yaml", "compose.yaml", "tests.yaml"])


@settings(deadline=None)
@given(text=st.text() | st.binary(), name=names)
def test_any_text_is_loaded_or_refused(text: str | bytes, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    load_with(text, name, tmp_path_factory.getbasetemp())


@settings(deadline=None)
@given(data=st.data())
def test_any_value_at_any_key_is_loaded_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import json

    import yaml

    name = data.draw(names)
    document = yaml.safe_load((SOUND / name).read_text().replace("2026-08-21", '"2026-08-21"'))
    node = document
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans()):
            node = node[key]
            continue
        node[key] = data.draw(yaml_values)
        break
    load_with(json.dumps(document), name, tmp_path_factory.getbasetemp())


def test_the_app_in_the_guide_is_sound(tmp_path: Path) -> None:
    guide = (HERE.parents[2] / "docs/guides/write-an-app.md").read_text()
    parts = re.findall(r"`catalog/(notice-board/[\w./]+)`:\n\n```\w+\n(.*?)```", guide, re.DOTALL)
    for name, text in parts:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    app = load_app(tmp_path / "notice-board")
    assert list(app.files) == ["www/index.html"]
