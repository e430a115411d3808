"""Labs as files: each folder in valid/ gives exactly the lab in expected.json, each in faults/ exactly the messages."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from ez_homelab.config.load import lab_from_text, load_lab
from ez_homelab.config.model import Lab
from ez_homelab.config.overrides import load_overrides
from ez_homelab.errors import LabFileError

HERE = Path(__file__).parent
APPS = ("dokuwiki", "glances", "node-exporter", "prometheus")


def folders(kind: str) -> list[str]:
    return sorted(path.name for path in (HERE / kind).iterdir())


def told(folder: Path) -> str:
    try:
        lab = load_lab(folder, APPS)
        load_overrides(folder, [app.name for app in lab.instances])
    except LabFileError as error:
        return error.evidence + "\n"
    return "no fault\n"


@pytest.mark.parametrize("case", folders("faults"))
def test_every_mistake_is_told_at_once(case: str) -> None:
    expected = (HERE / "faults" / case / "expected.txt").read_text()
    assert told(HERE / "faults" / case) == expected


@pytest.mark.parametrize("case", folders("valid"))
def test_a_lab_in_any_shorthand_has_one_shape(case: str) -> None:
    lab = load_lab(HERE / "valid" / case, APPS)
    assert asdict(lab) == json.loads((HERE / "valid" / case / "expected.json").read_text(), object_hook=tuples)


def tuples(mapping: dict[str, object]) -> dict[str, object]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in mapping.items()}


def test_eight_mistakes_are_eight_messages_in_reading_order() -> None:
    with pytest.raises(LabFileError) as caught:
        load_lab(HERE / "faults" / "eight-mistakes", APPS)
    assert len(caught.value.faults) == 8
    assert list(caught.value.faults) == sorted(caught.value.faults)
    assert caught.value.exit_status == 2
    assert "hunter2" not in caught.value.evidence


def test_without_a_lab_file_the_message_says_how_to_get_one(tmp_path: Path) -> None:
    assert told(tmp_path) == (
        "homelab.yaml: there is no file `homelab.yaml` in the lab folder (`ez-homelab init` writes one to start from)\n"
    )


def test_app_ids_are_checked_only_when_given() -> None:
    text = "version: 1\ndomain: lab.localhost\nstacks: {media: [jellyfin]}\n"
    assert lab_from_text(text).instances[0].app == "jellyfin"
    with pytest.raises(LabFileError, match="one mistake"):
        lab_from_text(text, APPS)


@pytest.fixture
def lab_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "homelab.yaml").write_text("version: 1\ndomain: lab.localhost\ninclude: [more.yaml]\n")
    return folder


def test_an_include_does_not_follow_a_link_out_of_the_lab_folder(lab_folder: Path) -> None:
    outside = lab_folder.parent / "outside.yaml"
    outside.write_text("stacks: {wiki: [dokuwiki]}\n")
    (lab_folder / "more.yaml").symlink_to(outside)
    assert told(lab_folder) == "homelab.yaml:3:11: `more.yaml` leads out of the lab folder\n"


def test_an_include_through_a_linked_folder_is_refused_too(lab_folder: Path) -> None:
    outside = lab_folder.parent / "outside"
    outside.mkdir()
    (outside / "more.yaml").write_text("stacks: {}\n")
    (lab_folder / "parts").symlink_to(outside)
    (lab_folder / "homelab.yaml").write_text("version: 1\ndomain: lab.localhost\ninclude: [parts/more.yaml]\n")
    assert told(lab_folder) == "homelab.yaml:3:11: `parts/more.yaml` leads out of the lab folder\n"


def test_links_in_a_circle_are_a_fault(lab_folder: Path) -> None:
    (lab_folder / "more.yaml").symlink_to(lab_folder / "more.yaml")
    assert "homelab.yaml:3:11: " in told(lab_folder)


def test_a_link_inside_the_lab_folder_is_followed(lab_folder: Path) -> None:
    (lab_folder / "real.yaml").write_text("stacks: {wiki: [dokuwiki]}\n")
    (lab_folder / "more.yaml").symlink_to("real.yaml")
    assert load_lab(lab_folder, APPS).instances[0].name == "dokuwiki"


def test_an_included_folder_or_pipe_is_not_read(lab_folder: Path) -> None:
    (lab_folder / "more.yaml").mkdir()
    assert told(lab_folder) == "homelab.yaml:3:11: there is no file `more.yaml` in the lab folder\n"


def test_a_file_that_is_too_large_is_refused(lab_folder: Path) -> None:
    (lab_folder / "more.yaml").write_bytes(b"# " + b"x" * 2_000_000)
    assert told(lab_folder) == "more.yaml: the file is larger than 2,000,000 bytes\n"


def test_a_change_can_be_looked_at_before_it_is_written(lab_folder: Path) -> None:
    (lab_folder / "more.yaml").write_text("stacks: {wiki: [dokuwiki]}\n")
    text = (lab_folder / "homelab.yaml").read_text() + "stacks: {more: [glances]}\n"
    assert [app.name for app in load_lab(lab_folder, APPS, text=text).instances] == ["glances", "dokuwiki"]
    with pytest.raises(LabFileError, match="one mistake"):
        load_lab(lab_folder, APPS, text=text.replace("glances", "dokuwiki"))
    assert [app.name for app in load_lab(lab_folder, APPS).instances] == ["dokuwiki"]


def test_a_thousand_apps_load() -> None:
    lines = ["version: 1", "domain: lab.localhost", "stacks:"]
    for stack in range(50):
        lines.append(f"  stack-{stack}:")
        lines += [f"    - app-{stack}-{number}: {{app: dokuwiki}}" for number in range(20)]
    lab = lab_from_text("\n".join(lines), APPS)
    assert len(lab.instances) == len({app.name for app in lab.instances}) == 1000


def test_the_number_of_messages_is_bounded() -> None:
    apps = ", ".join(f"app-{number}" for number in range(5000))
    keys = "".join(f"key-{number}: 1\n" for number in range(5000))
    for text in (keys, f"stacks: {{wiki: [{apps}]}}\n"):
        with pytest.raises(LabFileError) as caught:
            lab_from_text(f"version: 1\ndomain: lab.localhost\n{text}", APPS)
        assert len(caught.value.faults) == 1001
        assert caught.value.faults[-1].message == "more may follow: the first 1,000 mistakes are told"


def test_the_model_says_where_stacks_run() -> None:
    lab = load_lab(HERE / "valid" / "shorthand", APPS)
    assert lab.stacks_on(lab.core.name) == lab.stacks
    assert lab.stacks_on("nas") == ()
    assert isinstance(lab, Lab)


@pytest.mark.parametrize(
    ("mirror", "told"),
    [
        ("registry.lan", ""),
        ("registry.lan:5000", ""),
        ("localhost/hub", ""),
        ("nas:5000/a/b", ""),
        ("127.0.0.1:5000", ""),
        ("nas", "a path on Docker Hub"),
        ("nas/hub", "a path on Docker Hub"),
        ("https://registry.lan/hub/", "write `registry.lan/hub`"),
        ("registry.lan/", "is no mirror"),
        ("registry.lan:99999", "is no mirror"),
        ("registry.lan/Hub", "is no mirror"),
        ("user:word@registry.lan", "without user, password and digest"),
        ("registry.lan/x@sha256:0", "without user, password and digest"),
        ("-registry.lan", "is no mirror"),
    ],
)
def test_a_mirror_is_a_registry_as_docker_knows_one(mirror: str, told: str) -> None:
    text = f"version: 1\ndomain: lab.localhost\nimages: {{mirror: '{mirror}'}}\n"
    try:
        assert lab_from_text(text).images.mirror == mirror
    except LabFileError as error:
        assert told
        assert told in error.evidence
    else:
        assert not told
