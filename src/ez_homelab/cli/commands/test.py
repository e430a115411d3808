"""`ez-homelab test`."""

from __future__ import annotations

import time

import click

from ez_homelab.cli.face import told


@click.command("test", context_settings={"ignore_unknown_options": True})
@click.option("--fast", is_flag=True, help="Only what needs no Docker: a minute at most.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
@told
def test_command(fast: bool, pytest_arguments: tuple[str, ...]) -> None:
    """Run the project's own tests; what follows the options is handed to pytest (e.g. -k traefik -x)."""
    from ez_homelab.cli.terminal import Steps
    from ez_homelab.testing.checks import checks, install_test_programs, require_checkout, run_check

    require_checkout()
    if not fast:
        with Steps().step("install what the end-to-end tests need") as say:
            install_test_programs(say)
    for check in checks(fast=fast, pytest_arguments=pytest_arguments):
        started = time.monotonic()
        run_check(check)
        click.secho(f"✓ {check.name}  {time.monotonic() - started:.1f} s", fg="green", err=True)
