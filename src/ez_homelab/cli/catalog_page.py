"""How `catalog show` looks: a heading, facts, and a list for each thing the app asks, keeps or may."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MEGABYTE = 1024 * 1024
_WIDTH = 100


def show_app(app: Mapping[str, Any]) -> None:
    """Print what `describe` says of an app."""
    click.secho(f"{app['name']}: {app['tagline']}", bold=True)
    for name, text in _facts(app):
        click.echo(f"  {name:<13} {text}")
    for title, lines in _lists(app):
        shown = list(lines)
        if shown:
            click.echo(f"\n{title}")
        for line in shown:
            click.echo(textwrap.fill(line, _WIDTH, initial_indent="  ", subsequent_indent="      "))
    if app["notes"]:
        click.echo("\n" + textwrap.fill(app["notes"], _WIDTH))


def _facts(app: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Id", app["id"]
    yield "Category", ", ".join([app["category"], *app["tags"]])
    if app["status"] != "stable":
        yield "Status", app["status"] + (f"; use {app['replaced_by']}" if app["replaced_by"] else "")
    yield "Version", app["version"]
    yield "From packages", app["package_version"] or "no"
    yield "Runs on", ", ".join(app["architectures"])
    yield "Address", app["address"] or (f"https://{app['subdomain']}.DOMAIN" if app["subdomain"] else "none")
    yield "Sign-on", app["sign_on"]
    if app["registration"] not in (None, "none"):
        yield "Registration", f"{app['registration']}" + (f": {note}" if (note := app["registration_note"]) else "")
    if app["requires"]:
        yield "Requires", ", ".join(app["requires"])
    yield "Website", app["website"]
    yield "Licence", app["licence"]


def _lists(app: Mapping[str, Any]) -> Iterator[tuple[str, Iterable[str]]]:
    required = {True: "", False: " (may be left out)"}
    yield "Asks", (f"{item['id']}: {item['label']}{required[item['required']]}" for item in app["inputs"])
    yield "Secrets, generated", app["secrets"]
    yield "Keeps", (f"{item['name']}: {item['path']} ({item['class']})" for item in app["volumes"])
    yield "Is given", (_container(item) for item in app["containers"])
    yield "Ports of the server", (f"{item['port']}/{item['protocol']}: {item['reason']}" for item in app["ports"])
    yield "May, beyond an ordinary container", (_permission(item) for item in app["permissions"])
    yield "Known from", (f"{', '.join(item['facts'])}: {item['source']} ({item['date']})" for item in app["sources"])


def _container(item: Mapping[str, Any]) -> str:
    reserve, limit = item["memory_reserve"] // _MEGABYTE, item["memory_limit"] // _MEGABYTE
    memory = f"{reserve} MB reserved, {limit} MB at most"
    return f"{item['name']}: {item['image']}; {memory}; {item['cpu_limit']:g} processors at most"


def _permission(item: Mapping[str, Any]) -> str:
    about = f" {item['what']}" if item["what"] else ""
    return f"{item['permission']}{about}: {item['reason']}"
