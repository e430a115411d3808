"""`catalog` and its sub-commands: what they print, and how they end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ez_homelab.cli.app import cli

APPS = Path(__file__).parents[1] / "catalog"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab's folder with two apps of its own: one breaks no rule, the other some that only warn."""
    for name in ("good-app", "sound-app"):
        shutil.copytree(APPS / name, tmp_path / "catalog" / name)
    return tmp_path


def ez(lab: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["catalog", *words, "--lab", str(lab)], prog_name="ez-homelab")


def test_alone_it_lists(lab: Path) -> None:
    assert ez(lab).stdout == ez(lab, "list").stdout
    assert {"good-app", "dokuwiki"} <= {line.split()[0] for line in ez(lab).stdout.splitlines()}
    assert "traefik" not in ez(lab).stdout


def test_options_before_the_subcommand_count_for_it(lab: Path) -> None:
    words = ["catalog", "--lab", str(lab), "--json", "show", "good-app"]
    assert json.loads(CliRunner().invoke(cli, words).stdout)["id"] == "good-app"


def test_show_tells_what_an_app_asks_keeps_and_is_given(lab: Path) -> None:
    shown = ez(lab, "show", "good-app").stdout
    for line in (
        "Good app: Breaks no rule",
        "  Address       https://good.DOMAIN",
        "  title: Title (may be left out)",
        "  database_password",
        "  rows: /rows (database)",
        "  database: example/database:10.11; 32 MB reserved, 128 MB at most; 0.5 processors at most",
        "  2222/tcp: people push over SSH",
        "  version, architectures, web.port: https://example.org/docs (2026-08-21)",
    ):
        assert line in shown.splitlines()


def test_show_names_every_permission_with_its_reason(lab: Path) -> None:
    shown = ez(lab, "show", "glances").stdout
    assert "  host_pid: shows the server's processes" in shown.splitlines()


def test_show_gives_the_labs_own_address(lab: Path) -> None:
    (lab / "homelab.yaml").write_text("version: 1\ndomain: lab.localhost\nstacks: {}\n")
    assert "https://good.lab.localhost" in ez(lab, "show", "good-app").stdout
    (lab / "homelab.yaml").write_text("no lab: at all\n")
    assert "https://good.DOMAIN" in ez(lab, "show", "good-app").stdout


@pytest.mark.parametrize("words", [("show", "dokuwki"), ("lint", "dokuwki")])
def test_an_app_that_there_is_not(words: tuple[str, ...], lab: Path) -> None:
    told = ez(lab, *words)
    assert told.exit_code == 2
    assert "did you mean `dokuwiki`?" in told.stderr


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("dokuwiki",), ["dokuwiki"]),
        (("WIKI", "plain"), ["dokuwiki"]),
        (("prom",), ["prometheus", "node-exporter"]),
        (("metrics", "server's"), ["glances"]),
    ],
)
def test_search(words: tuple[str, ...], found: list[str], tmp_path: Path) -> None:
    assert [app["id"] for app in json.loads(ez(tmp_path, "search", *words, "--json").stdout)["apps"]] == found


def test_search_that_finds_nothing_suggests_a_word(lab: Path) -> None:
    told = ez(lab, "search", "prometeus")
    assert told.exit_code == 0
    assert told.stdout == "No app is about 'prometeus'. Did you mean `prometheus`?\n"
    assert ez(lab, "search", "xyzzy").stdout == "No app is about 'xyzzy'.\n"


def test_lint_of_a_sound_app(lab: Path) -> None:
    told = ez(lab, "lint", "good-app")
    assert told.stdout == "1 app: nothing wrong was found.\n"
    assert told.exit_code == 0


def test_lint_of_a_folder_with_warnings_alone_is_no_failure(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)
    told = ez(lab, "lint", "catalog/sound-app")
    assert told.exit_code == 0
    *findings, last = told.stdout.splitlines()
    assert last == "1 app: 0 errors, 4 warnings"
    assert findings[0] == (
        "catalog/sound-app/compose.yaml:2:3: warning [rights-are-dropped] `sound-app` keeps Docker's capabilities "
        "(add `cap_drop: [ALL]`)"
    )
    assert [finding.partition(": ")[0] for finding in findings[1:]] == [
        "catalog/sound-app/compose.yaml:2:3",
        "catalog/sound-app/service.yaml:1:1",
        "catalog/sound-app/tests.yaml:1:1",
    ]


def test_lint_of_all_fails_for_one_error(lab: Path) -> None:
    (lab / "catalog" / "good-app" / "tests.yaml").write_text("anonymus: []\n")
    told = ez(lab, "lint", "--json")
    assert told.exit_code == 1
    document = json.loads(told.stdout)
    assert {"dokuwiki", "good-app", "sound-app"} <= set(document["apps"])
    [error] = [finding for finding in document["findings"] if finding["severity"] == "error"]
    assert (error["app"], error["code"], error["line"]) == ("good-app", "format", 1)
    assert error["suggestion"] == "did you mean `anonymous`?"


def test_lint_of_a_folder_that_there_is_not(lab: Path) -> None:
    told = ez(lab, "lint", "./nowhere")
    assert told.exit_code == 2
    assert "there is no folder ./nowhere" in told.stderr
