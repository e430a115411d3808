"""The bootstrap's own decisions, with the real script and a fake uv: what is built when, and what a person is told.

The real uv, pip and apt-get are met in the end-to-end tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
VERSION = re.search(r"^uv==(\S+)", (REPOSITORY / "requirements-bootstrap.txt").read_text(), re.MULTILINE)

FAKE_UV = """#!/bin/bash
set -e
[[ $1 != --version ]] || { echo "uv VERSION (fake)"; exit; }
echo "$*" >> "$CALLS"
[[ ! -e $FAIL ]] || { cat "$FAIL" >&2; exit 2; }
packages=$UV_PROJECT_ENVIRONMENT/lib/python3.11/site-packages
mkdir -p "$UV_PROJECT_ENVIRONMENT/bin" "$packages/click"
[[ $* == *--no-dev* ]] || mkdir -p "$packages/pytest"
ln -sf "$PYTHON" "$UV_PROJECT_ENVIRONMENT/bin/python"
printf '#!/bin/bash\\necho "in $PWD:"; printf "[%%s]" "$@"\\n' > "$UV_PROJECT_ENVIRONMENT/bin/ez-homelab"
chmod +x "$UV_PROJECT_ENVIRONMENT/bin/ez-homelab"
"""


class Checkout:
    """A copy of the bootstrap and of what it reads, with a fake uv beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a checkout"
        self.folder.mkdir()
        for name in ("ez-homelab.sh", "requirements-bootstrap.txt", "uv.lock", "pyproject.toml"):
            shutil.copy(REPOSITORY / name, self.folder / name)
        self.script = self.folder / "ez-homelab.sh"
        self.venv = self.folder / ".venv"
        self.calls = folder / "calls"
        self.failure = folder / "failure"
        self.state = self.folder / ".venv-bootstrap"
        uv = self.state / "uv/bin/uv"
        uv.parent.mkdir(parents=True)
        assert VERSION is not None
        uv.write_text(FAKE_UV.replace("VERSION", VERSION[1]))
        uv.chmod(0o755)

    def run(
        self,
        *arguments: str,
        program: Path | None = None,
        path: str = "",
        cwd: Path = Path("/"),
        user: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run it with no terminal."""
        environment = {
            "PATH": path or f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "CALLS": str(self.calls),
            "FAIL": str(self.failure),
            "PYTHON": sys.executable,
        }
        return subprocess.run(
            [str(program or self.script), *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            user=user,
        )

    @property
    def built(self) -> list[str]:
        """Uv's arguments, one line for each time it was asked to build."""
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def everybodys_folder() -> Iterator[Path]:
    """A folder that every user of this machine may look into; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_hands_every_argument_over_and_stays_in_the_folder(checkout: Checkout, tmp_path: Path) -> None:
    ran = checkout.run("up", "--yes", "a b", "", "$(id)", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, f"in {tmp_path}:\n[up][--yes][a b][][$(id)]")
    assert "Setting up the Python environment" in ran.stderr
    assert "--frozen --inexact" in checkout.built[0]


def test_the_second_run_builds_nothing_and_says_nothing(checkout: Checkout) -> None:
    checkout.run("up")
    ran = checkout.run("up")
    assert (ran.stdout, ran.stderr) == ("in /:\n[up]", "")
    assert len(checkout.built) == 1


def test_through_a_link(checkout: Checkout, tmp_path: Path) -> None:
    link = tmp_path / "ez"
    link.symlink_to(checkout.script)
    assert checkout.run("status", program=link).stdout == "in /:\n[status]"
    assert checkout.venv.exists()


@pytest.mark.parametrize("name", ["uv.lock", "pyproject.toml", "requirements-bootstrap.txt"])
def test_builds_again_where_what_it_is_made_from_changed(checkout: Checkout, name: str) -> None:
    checkout.run("up")
    with (checkout.folder / name).open("a") as opened:
        opened.write("\n# changed\n")
    checkout.run("up")
    assert len(checkout.built) == 2


def test_tests_need_more_packages_and_they_are_kept(checkout: Checkout) -> None:
    checkout.run("up")
    checkout.run("test", "--fast")
    checkout.run("up")
    assert ["--no-dev" in line for line in checkout.built] == [True, False]
    (checkout.folder / "uv.lock").write_text("changed")
    checkout.run("up")
    assert "--no-dev" not in checkout.built[-1]


@pytest.mark.parametrize("lost", ["bin/python", "lib/python3.11/site-packages/click"])
def test_a_broken_environment_is_built_from_nothing(checkout: Checkout, lost: str) -> None:
    checkout.run("up")
    (checkout.venv / "rest").touch()
    path = checkout.venv / lost
    path.rmdir() if path.is_dir() else path.unlink()
    assert checkout.run("up").stdout == "in /:\n[up]"
    assert not (checkout.venv / "rest").exists()
    assert path.exists()


def test_a_half_made_environment_is_built_from_nothing(checkout: Checkout) -> None:
    checkout.failure.write_text("killed\n")
    assert checkout.run("up").returncode == 1
    checkout.venv.mkdir(exist_ok=True)
    (checkout.venv / "rest").touch()
    checkout.failure.unlink()
    assert checkout.run("up").returncode == 0
    assert not (checkout.venv / "rest").exists()


def test_a_lost_launcher_is_made_again(checkout: Checkout) -> None:
    checkout.run("up")
    (checkout.venv / "bin/ez-homelab").unlink()
    assert checkout.run("up").stdout == "in /:\n[up]"


def test_many_at_once_build_once(checkout: Checkout) -> None:
    with ThreadPoolExecutor(4) as pool:
        ran = list(pool.map(lambda _: checkout.run("status"), range(4)))
    assert [run.stdout for run in ran] == ["in /:\n[status]"] * 4
    assert len(checkout.built) == 1


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("error: Failed to fetch: `https://pypi.org/simple/click/`\n  Caused by: dns error\n", "reaches the internet"),
        ("error: invalid peer certificate: UnknownIssuer\n", "update-ca-certificates"),
        ("error: something else\n", "read "),
    ],
    ids=["no network", "inspected HTTPS", "anything else"],
)
def test_a_failed_build_gives_evidence_and_one_fix(checkout: Checkout, said: str, advice: str) -> None:
    checkout.failure.write_text(said)
    ran = checkout.run("up", "--yes")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert said.splitlines()[0] in ran.stderr
    assert "Traceback" not in ran.stderr
    fixes = [line for line in ran.stderr.splitlines() if line.startswith("  fix: ")]
    assert len(fixes) == 1
    assert advice in fixes[0]
    assert fixes[0].endswith(f"{checkout.script} up --yes")


@pytest.mark.parametrize("arguments", [(), ("up",), ("up", "--", "--yes")])
def test_without_python_and_without_a_terminal_it_says_what_to_run(
    checkout: Checkout, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in (
        "bash",
        "cat",
        "dirname",
        "flock",
        "grep",
        "id",
        "mkdir",
        "readlink",
        "rm",
        "sha256sum",
        "sudo",
        "env",
    ):
        (programs / name).symlink_to(shutil.which(name) or "/bin/true")
    (programs / "apt-get").write_text(f"#!/bin/bash\ntouch '{tmp_path}/apt-get-ran'\n")
    (programs / "apt-get").chmod(0o755)
    ran = checkout.run(*arguments, path=str(programs))
    assert ran.returncode == 2
    assert "python3" in ran.stderr
    assert "apt-get install -y python3" in ran.stderr
    assert not (tmp_path / "apt-get-ran").exists()


def test_where_nobody_may_write_it_says_so(everybodys_folder: Path) -> None:
    checkout = Checkout(everybodys_folder)
    checkout.state.chmod(0o555)
    ran = checkout.run("up", user=65534 if os.geteuid() == 0 else None)
    assert ran.returncode == 1
    assert f"fix: sudo {checkout.script} up" in ran.stderr
    assert checkout.built == []


def test_every_download_of_the_bootstrap_is_pinned_by_digest() -> None:
    lines = (REPOSITORY / "requirements-bootstrap.txt").read_text().splitlines()
    wanted = [line.removesuffix("\\").strip() for line in lines if line and not line.startswith("#")]
    assert wanted[0].startswith("uv==")
    assert len(wanted) > 1
    assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in wanted[1:])


def test_an_environment_is_brought_up_to_date_with_the_python_it_was_made_with(checkout: Checkout) -> None:
    """With another Python, uv would make it anew and with that lose what else was installed in it."""
    made_with = checkout.folder / "made-with"
    names_itself = f"case $2 in *_base_executable*) echo '{made_with}'; exit;; esac"
    made_with.write_text(f'#!/bin/sh\n{names_itself}\nexec {sys.executable} "$@"\n')
    made_with.chmod(0o755)
    (checkout.venv / "bin").mkdir(parents=True)
    (checkout.venv / "bin/python").symlink_to(made_with)
    assert checkout.run("up").returncode == 0
    assert f"--python {made_with}" in checkout.built[0]
