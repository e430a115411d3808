"""`ez-homelab fleet`: throw-away test servers on this machine."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, print_json, told, yes_option

if TYPE_CHECKING:
    from ez_homelab.testing.fleet import FleetSummary

name_option = click.option("--name", default="lab", show_default=True, help="The fleet's name.")


@click.group("fleet")
def fleet_command() -> None:
    """Throw-away test servers on this machine: real Debian, a network of their own, nothing of this machine touched.

    \b
    ez-homelab fleet up --servers 1
    ez-homelab fleet shell core
    ez-homelab fleet down
    """


@fleet_command.command("up")
@click.option("--servers", default=1, show_default=True, type=click.IntRange(1, 20), help="How many.")
@click.option(
    "--suite",
    type=click.Choice(["bookworm", "trixie"]),
    default="bookworm",
    show_default=True,
    help="Debian's release.",
)
@click.option(
    "--port", "ports", multiple=True, metavar="HERE:THERE",
    help="Lead this machine's 127.0.0.1:HERE to 127.0.0.1:THERE of the first server, e.g. 8443:443.",
)  # fmt: skip
@name_option
@json_option
@yes_option
@told
def fleet_up_command(servers: int, suite: str, ports: tuple[str, ...], name: str, as_json: bool, yes: bool) -> None:
    """Start a fleet; it stays until `fleet down`."""
    from ez_homelab.cli.terminal import Steps, confirm
    from ez_homelab.testing.fleet import fleet_up, install_prerequisites, missing_packages

    if missing := missing_packages():
        if not confirm(f"Install {', '.join(missing)} on this machine?", yes=yes):
            return
        install_prerequisites()
    with Steps().step(f"start fleet {name}") as say:
        summary = fleet_up(servers, name=name, suite=suite, ports=_ports(ports), say=say)
    if as_json:
        print_json(asdict(summary))
        return
    _show([summary])
    first = summary.servers[0].name
    flags = "" if name == "lab" else f" --name {name}"
    click.echo(f"\nA shell:      ez-homelab fleet shell {first}{flags}\nThe end of it: ez-homelab fleet down{flags}")


@fleet_command.command("list")
@json_option
@told
def fleet_list_command(as_json: bool) -> None:
    """Every fleet on this machine."""
    from ez_homelab.testing.fleet import fleet_list

    fleets = fleet_list()
    if as_json:
        print_json({"fleets": [asdict(fleet) for fleet in fleets]})
    elif fleets:
        _show(fleets)
    else:
        click.echo("There is no fleet on this machine.")


@fleet_command.command("shell")
@click.argument("server", default="core")
@name_option
@told
def fleet_shell_command(server: str, name: str) -> None:
    """A shell in a server, over SSH."""
    from ez_homelab.testing.fleet import shell_command

    argv = shell_command(server, fleet=name)
    os.execvp(argv[0], argv)  # noqa: S606 - an argument list of our own; the terminal is handed over


@fleet_command.command("push")
@click.argument("local", type=click.Path(exists=True, path_type=Path))
@click.argument("remote")
@click.argument("server", default="core")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="What of a folder stays behind, as tar takes it.")
@name_option
@told
def fleet_push_command(local: Path, remote: str, server: str, exclude: tuple[str, ...], name: str) -> None:
    """Copy a file or a folder of this machine into a server, e.g. `fleet push . /root/ez-homelab`."""
    from ez_homelab.testing.fleet import fleet_server

    fleet_server(server, fleet=name).push(local, remote, exclude=exclude)


@fleet_command.command("down")
@name_option
@json_option
@told
def fleet_down_command(name: str, as_json: bool) -> None:
    """End a fleet and remove all of it."""
    from ez_homelab.testing.fleet import fleet_down

    fleet_down(name)
    if as_json:
        print_json({"down": name})
    else:
        click.echo(f"The fleet {name} is gone.")


def _show(fleets: list[FleetSummary]) -> None:
    from ez_homelab.cli.terminal import show_table

    rows = [
        (fleet.name, server.name, server.address, server.domain, "running" if server.running else "off",
         ", ".join(f"127.0.0.1:{here} -> {there}" for here, there in server.ports.items()) or "-")
        for fleet in fleets
        for server in fleet.servers
    ]  # fmt: skip
    show_table(("Fleet", "Server", "Address", "Name", "State", "Ports"), rows)


def _ports(texts: tuple[str, ...]) -> dict[int, int]:
    from ez_homelab.errors import UsageError

    ports = {}
    for text in texts:
        here, _, there = text.partition(":")
        if not (here.isdigit() and there.isdigit() and 0 < int(here) < 65536 and 0 < int(there) < 65536):
            raise UsageError(f"{text!r} is not HERE:THERE", fix="--port 8443:443")
        ports[int(here)] = int(there)
    return ports
