"""What `ez-homelab test` runs, in order: the same for a person, a pre-push hook and CI."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.errors import EzError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECKOUT = Path(__file__).resolve().parents[3]
BROWSER_PACKAGES = ("chromium", "libnss3-tools")
TOOL_PACKAGES = ("curl", "haproxy", "openssl", "wget")


class ChecksFailedError(EzError):
    """A check of the project did not hold; its own output says which and why."""

    code = "checks-failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One program to run from the checkout; status 0 is good."""

    name: str
    argv: tuple[str, ...]


def checks(*, fast: bool, pytest_arguments: tuple[str, ...] = ()) -> Iterator[Check]:
    """The checks: style, types, layers, reference pages, unit tests; unless `fast`, sign-on, on demand, end to end."""
    tools = Path(sys.executable).parent
    yield Check("style", (str(tools / "ruff"), "check"))
    yield Check("format", (str(tools / "ruff"), "format", "--check", "--quiet", "src", "tests", "bench"))
    yield Check("types", (str(tools / "mypy"),))
    yield Check("layers", (str(tools / "lint-imports"), "--no-logo"))
    yield Check("reference pages", (sys.executable, "-m", "ez_homelab.reference", "--check"))
    pytest = (sys.executable, "-m", "pytest", "-q")
    yield Check("unit tests", (*pytest, "-n", "2", "tests/unit", "tests/hosts", "tests/golden", *pytest_arguments))
    if not fast:
        yield Check("sign-on", (*pytest, "-n", "2", "tests/sso", *pytest_arguments))
        yield Check("on demand", (*pytest, "-n", "2", "tests/on_demand", *pytest_arguments))
        yield Check("end-to-end tests", (*pytest, "-n", "2", "--durations=15", "tests/e2e", *pytest_arguments))


def require_checkout() -> None:
    """Raises `UsageError` where this program does not run from a checkout, which is where its tests are."""
    if not (CHECKOUT / "tests").is_dir():
        raise UsageError(
            "the tests are part of a checkout, and this is an installed package",
            fix="clone the project and run ./ez-homelab.sh test there",
        )


def install_test_programs(say: Callable[[str], None]) -> None:
    """Install, where they are missing, the Debian packages that the end-to-end tests use as real parts.

    Raises `PrerequisiteError` (not root, no apt).
    """
    import asyncio

    from ez_homelab.hosts.local import LocalHost
    from ez_homelab.prerequisites.apt import install_packages
    from ez_homelab.testing.fleet import install_prerequisites

    install_prerequisites(say)
    wanted = [package for package in (*TOOL_PACKAGES, *BROWSER_PACKAGES) if not _is_installed(package)]
    if wanted:
        asyncio.run(install_packages(LocalHost("this machine"), wanted, say))


def run_check(check: Check) -> None:
    """Run it with its output on the terminal. Raises `ChecksFailedError`."""
    # The tests are the same whoever runs them: no lab of the person's own.
    environment = {name: value for name, value in os.environ.items() if name != "EZ_LAB"}
    completed = subprocess.run(check.argv, cwd=CHECKOUT, env=environment, check=False)
    if completed.returncode:
        raise ChecksFailedError(
            f"{check.name}: does not hold",
            evidence=f"status {completed.returncode}; its output is above",
            fix=f"see the output, then run it alone: {' '.join(check.argv)}",
        )


def _is_installed(package: str) -> bool:
    query = ["dpkg-query", "--show", "--showformat", "${db:Status-Status}", package]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"
