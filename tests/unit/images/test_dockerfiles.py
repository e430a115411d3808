"""Rules for the Dockerfiles of all shipped package editions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import ez_homelab
from ez_homelab.images.editions import load_edition

APPS = Path(ez_homelab.__file__).parent / "catalog" / "apps"
FOLDERS = sorted([*APPS.glob("*/image"), *APPS.glob("*/images/*")])
PROGRAMS = "wget|curl|traefik|mosquitto_sub|mariadb"
LABELS = ("title", "version", "source", "licenses")


def joined_lines(folder: Path) -> list[str]:
    """The Dockerfile's instructions, one per line, without comments."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (folder / "Dockerfile").read_text())
    return [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.strip()]


def app_folder(folder: Path) -> Path:
    return folder.parent if folder.name == "image" else folder.parents[1]


def named(folder: Path) -> str:
    return folder.relative_to(APPS).as_posix()


@pytest.fixture(params=FOLDERS, ids=named)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_all_first_apps_have_an_edition() -> None:
    assert {"traefik", "docker-socket-proxy", "dokuwiki", "prometheus", "node-exporter", "glances"} <= {
        folder.parent.name for folder in FOLDERS
    }


def test_built_on_the_shared_base_and_nothing_else(folder: Path) -> None:
    lines = joined_lines(folder)
    assert lines[0] == "ARG BASE"
    stages = [line for line in lines if line.startswith("FROM")]
    assert lines[1] in stages
    assert all(re.fullmatch(r"FROM \$\{BASE\}( AS [a-z]+)?", stage) for stage in stages)


def test_runs_as_a_fixed_user_that_is_not_root_or_says_why(folder: Path) -> None:
    users = [line.split()[1] for line in joined_lines(folder) if line.startswith("USER ")]
    reason = 'ez-homelab.root-reason="' in (folder / "Dockerfile").read_text()
    assert reason or (users and not re.match(r"(root|0)(:|$)", users[-1]))


def test_has_a_health_check_with_a_program_of_the_image(folder: Path) -> None:
    [check] = [line for line in joined_lines(folder) if line.startswith("HEALTHCHECK")]
    assert re.search(rf'CMD \["({PROGRAMS})"', check)
    assert "--start-interval" not in check  # an error before Docker 25


def test_labels_say_what_it_is(folder: Path) -> None:
    [label] = [line for line in joined_lines(folder) if line.startswith("LABEL")]
    assert all(re.search(rf'org\.opencontainers\.image\.{name}="[^"]+"', label) for name in LABELS)


def test_version_is_the_one_that_the_manifest_names(folder: Path) -> None:
    manifest = yaml.safe_load((app_folder(folder) / "service.yaml").read_text())
    edition = manifest["edition"]
    wanted = (edition if folder.name == "image" else edition["services"][folder.name]).get("image_version")
    [carried] = re.findall(r'image\.version="([^"]+)"', (folder / "Dockerfile").read_text())
    assert carried == str(wanted or manifest["version"]).removeprefix("v")


def test_same_result_tomorrow(folder: Path) -> None:
    for line in joined_lines(folder):
        assert not line.startswith("ADD "), "COPY says what it does; ADD of an address is not pinned"
        assert ":latest" not in line
        assert not re.search(r"\b(wget|curl) .*https?://(?!127\.0\.0\.1)", line), "fetched without a hash"
        if "pip" in line and " install " in line and "apt-get" not in line:
            assert "--require-hashes" in line


def test_works_with_every_builder(folder: Path) -> None:
    text = (folder / "Dockerfile").read_text()
    assert "# syntax=" not in text
    assert "--mount=" not in text
    assert "<<" not in text


def test_leaves_no_package_lists_behind(folder: Path) -> None:
    for line in joined_lines(folder):
        assert ("apt-get update" in line) == ("rm -rf /var/lib/apt/lists/*" in line)
        assert ("apt-get install" in line) == ("--no-install-recommends" in line)


def test_copies_only_what_is_there_and_all_of_it(folder: Path) -> None:
    copied = {
        word
        for line in joined_lines(folder)
        if line.startswith("COPY ") and "--from=" not in line
        for word in line.split()[1:-1]
    }
    edition = load_edition(app_folder(folder).name, "1", folder)
    assert copied == set(edition.files) - {"Dockerfile"}


def test_pinned_packages_have_hashes() -> None:
    requirements = sorted(APPS.glob("*/image/requirements.txt"))
    assert len(requirements) >= 2
    for path in requirements:
        entries = re.split(r"(?m)^(?=[a-z])", path.read_text().lower())[1:]
        assert entries
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
