"""Rules for the Dockerfiles of all shipped package editions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import ez_homelab
from ez_homelab.catalog.loader import Catalog
from ez_homelab.images.editions import load_edition

CHECKOUT = Path(__file__).parents[3]
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
    app = Catalog.shipped().app(app_folder(folder).name)
    runtime = app.runtime_folder if folder.name == "image" else None
    edition = load_edition(app.id, "1", folder, runtime)
    programs = {f"runtime/{runtime.name}"} & copied if runtime else set[str]()
    files = {name for name in edition.files if not name.startswith(tuple(f"{program}/" for program in programs))}
    assert copied == {*files, *programs} - {"Dockerfile"}


def test_pinned_packages_have_hashes() -> None:
    requirements = sorted(APPS.glob("*/image/requirements.txt"))
    assert len(requirements) >= 2
    for path in requirements:
        entries = re.split(r"(?m)^(?=[a-z])", path.read_text().lower())[1:]
        assert entries
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)


def test_the_gate_has_the_libraries_that_its_tests_ran_with() -> None:
    locked = {package["name"]: package for package in tomllib.loads((CHECKOUT / "uv.lock").read_text())["package"]}
    runtime = [item["name"] for item in locked["ez-homelab"]["optional-dependencies"]["runtime"]]
    needed, waiting = set[str](), list(runtime)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [item["name"] for item in locked[name].get("dependencies", ())]
    pinned = dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", (APPS / "gate/image/requirements.txt").read_text()))
    assert pinned.keys() <= needed
    assert {*runtime} <= pinned.keys()
    assert pinned == {name: locked[name]["version"] for name in pinned}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_gates_libraries_have_wheels_for_each_processor(machine: str) -> None:
    """For Debian 12's Python 3.11, or for every Python and processor."""
    locked = {package["name"]: package for package in tomllib.loads((CHECKOUT / "uv.lock").read_text())["package"]}
    text = (APPS / "gate/image/requirements.txt").read_text()
    fits = re.compile(rf"-(cp311-cp311|cp3[0-9]+-abi3)-manylinux\S*_{machine}\.whl$|-none-any\.whl$")
    for name in re.findall(r"(?m)^([a-z0-9-]+)==", text):
        wheels = [wheel for wheel in locked[name]["wheels"] if fits.search(wheel["url"])]
        assert any(f"--hash={wheel['hash']}" in text for wheel in wheels), name


@pytest.mark.parametrize("app_id", ["gate", "waker"])
def test_what_is_our_own_is_of_this_version(app_id: str) -> None:
    app = Catalog.shipped().app(app_id)
    assert app.manifest.version == ez_homelab.__version__
    assert {service.tag for service in app.compose.services.values()} == {ez_homelab.__version__}
