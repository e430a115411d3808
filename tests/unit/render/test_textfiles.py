"""What an app writes for Prometheus is read beside it, on its own server, for as long as the app is there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from catalog_folder import Folder

from ez_homelab.config.model import AppInstance, LazySettings, OnDemandSettings, Stack
from ez_homelab.testing.make_lab import desired_of, make_lab

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.render.desired import Desired

ARGUMENT = "--collector.textfile.directory=/var/lib/textfiles/*"
SLEEPS = AppInstance("dokuwiki", "dokuwiki", lazy=LazySettings(mode="stop"))
READER = AppInstance("node-exporter", "node-exporter")


def compose(desired: Desired, server: str = "core", stack: str = "stack") -> dict[str, Any]:
    files = {file.path: file.content for file in desired.servers[server].files}
    found: dict[str, Any] = yaml.safe_load(files[f"/opt/stacks/{stack}/compose.yaml"])
    return found


def lab(*apps: AppInstance, **more: Any) -> Desired:
    return desired_of(replace(make_lab(stacks=[Stack("stack", apps=apps)]), **more))


def test_the_wakers_figures_are_read_by_the_node_exporter_of_its_server() -> None:
    desired = lab(SLEEPS, READER)
    document = compose(desired)
    reader = document["services"]["node-exporter"]
    assert reader["command"] == ["--path.rootfs=/host", ARGUMENT]
    assert reader["volumes"][-1] == {
        "type": "volume",
        "source": "waker-metrics",
        "target": "/var/lib/textfiles/waker",
        "read_only": True,
        "volume": {"nocopy": True},
    }
    assert document["volumes"]["waker-metrics"] == {"external": True}
    waker = compose(desired, stack="core")["services"]["waker"]
    [written] = [mount for mount in waker["volumes"] if mount["source"] == "waker-metrics"]
    assert waker["environment"]["WAKER_METRICS"] == written["target"]
    assert "read_only" not in written
    service = next(one for one in desired.servers["core"].services if one.name == "node-exporter")
    assert "waker-metrics" in service.volumes


@pytest.mark.parametrize("why", ["nothing sleeps", "Sablier wakes", "it sleeps on another server"])
def test_without_the_waker_beside_it_the_node_exporter_is_as_it_ever_was(why: str) -> None:
    awake = AppInstance("dokuwiki", "dokuwiki")
    plain = compose(lab(awake, READER))["services"]["node-exporter"]
    assert ARGUMENT not in plain["command"]
    match why:
        case "nothing sleeps":
            others = lab(READER)
        case "Sablier wakes":
            others = lab(SLEEPS, READER, on_demand=OnDemandSettings("sablier"))
        case _:
            stacks = [Stack("stack", apps=(READER,)), Stack("wiki", "server1", (SLEEPS,))]
            others = desired_of(make_lab(servers=2, stacks=stacks))
    assert compose(others)["services"]["node-exporter"] == plain


def test_the_waker_is_not_changed_by_whether_anybody_reads_what_it_writes() -> None:
    alone, read = (compose(lab(SLEEPS, *apps), stack="core")["services"]["waker"] for apps in ((), (READER,)))
    assert alone == read


WRITES = "volumes: [{name: figures, path: /figures, class: cache}]\nmonitoring: {textfiles: {volume: figures}}"
READS = "monitoring: {reads_textfiles: {folder: /read, argument: --folder=/read/*}}"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("", ["--folder=/read/*"]),
        ("    command: run it\n", "run it '--folder=/read/*'"),
        ("    command: [run, it]\n", ["run", "it", "--folder=/read/*"]),
    ],
)
def test_each_app_that_writes_has_a_folder_of_its_own_name(
    tmp_path: Path, command: str, expected: list[str] | str
) -> None:
    folder = Folder(tmp_path / "catalog")
    folder.app("writer", more=WRITES, extra="    volumes: [figures:/figures]\n", volumes=("figures",))
    folder.app("reader", more=READS, extra=command)
    names = [AppInstance("second", "writer"), AppInstance("reader", "reader"), AppInstance("first", "writer")]
    reader = compose(folder.desired(*names))["services"]["reader"]
    assert reader["command"] == expected
    assert [(mount["source"], mount["target"]) for mount in reader["volumes"]] == [
        ("first-figures", "/read/first"),
        ("second-figures", "/read/second"),
    ]
