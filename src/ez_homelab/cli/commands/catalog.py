"""`ez-homelab catalog`: look at the apps that can be added, and hold their folders to the rules."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.complete import complete_catalog
from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, told
from ez_homelab.errors import EXIT_FAILED, CatalogError, EzError, Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ez_homelab.catalog.lint.linter import Finding
    from ez_homelab.catalog.loader import Catalog
    from ez_homelab.catalog.manifest import Manifest
    from ez_homelab.lab import Homelab

SEVERITY_COLOURS = {"error": "red", "warning": "yellow"}


@click.group("catalog", invoke_without_command=True)
@lab_option
@json_option
@click.pass_context
@told
def catalog_command(ctx: click.Context, lab_folder: Path | None, as_json: bool) -> None:
    """The apps that can be added: the shipped ones and those in the lab's own `catalog/`.

    \b
    ez-homelab catalog show dokuwiki
    ez-homelab catalog search wiki
    ez-homelab catalog lint ./my-app
    """
    if ctx.invoked_subcommand is None:
        _list(lab_folder, as_json=as_json)
        return
    # What is said before the sub-command counts for it, unless it says otherwise itself.
    said = {"lab_folder": lab_folder, "as_json": as_json}
    ctx.default_map = {name: {key: value for key, value in said.items() if value} for name in catalog_command.commands}


@catalog_command.command("list")
@lab_option
@json_option
@told
def catalog_list_command(lab_folder: Path | None, as_json: bool) -> None:
    """Every app, as `catalog` alone."""
    _list(lab_folder, as_json=as_json)


@catalog_command.command("show")
@click.argument("app", shell_complete=complete_catalog)
@lab_option
@json_option
@told
def catalog_show_command(app: str, lab_folder: Path | None, as_json: bool) -> None:
    """What an app is, asks, keeps, may and is given, and where that is known from."""
    from ez_homelab.catalog.describe import describe
    from ez_homelab.cli.catalog_page import show_app

    lab = open_lab(lab_folder)
    document = describe(lab.catalog.app(app), _domain(lab))
    if as_json:
        print_json(document)
    else:
        show_app(document)


@catalog_command.command("search")
@click.argument("words", nargs=-1, required=True, metavar="WORD...")
@lab_option
@json_option
@told
def catalog_search_command(words: tuple[str, ...], lab_folder: Path | None, as_json: bool) -> None:
    """Apps that every word fits, best first: by name, tag, category and tagline."""
    from ez_homelab.catalog.search import search, suggestion

    manifests = _addable(open_lab(lab_folder).catalog)
    found = search(manifests, words)
    near = "" if found else suggestion(manifests, words)
    if as_json:
        print_json({"apps": [_row(app) for app in found], "suggestion": near})
    elif found:
        _table(found)
    else:
        click.echo(" ".join(filter(None, (f"No app is about {' '.join(words)!r}.", near.capitalize()))))


@catalog_command.command("lint")
@click.argument("targets", nargs=-1, metavar="[APP|FOLDER]...", shell_complete=complete_catalog)
@lab_option
@json_option
@told
def catalog_lint_command(targets: tuple[str, ...], lab_folder: Path | None, as_json: bool) -> None:
    """Hold apps to every rule of the catalog; without a name, all of them. Exit status 1 where there is an error."""
    from ez_homelab.catalog.lint.linter import lint

    catalog = open_lab(lab_folder).catalog
    folders = [_folder(catalog, target) for target in targets or catalog.ids()]
    findings = lint(catalog, folders)
    if as_json:
        print_json({"apps": [folder.name for folder in folders], "findings": [item.to_dict() for item in findings]})
    else:
        _show_findings(findings, len(folders))
    if any(finding.severity == "error" for finding in findings):
        sys.exit(EXIT_FAILED)


def _list(lab_folder: Path | None, *, as_json: bool) -> None:
    manifests = _addable(open_lab(lab_folder).catalog)
    if as_json:
        print_json({"apps": [_row(app) for app in manifests]})
    else:
        _table(manifests)


def _addable(catalog: Catalog) -> list[Manifest]:
    from ez_homelab.config.rules import OWN_STACKS

    return [catalog.app(app_id).manifest for app_id in catalog.ids() if app_id not in OWN_STACKS]


def _row(app: Manifest) -> dict[str, object]:
    return {"id": app.id, "name": app.name, "tagline": app.tagline, "category": app.category,
            "version": app.version, "package_edition": app.edition is not None}  # fmt: skip


def _table(manifests: Iterable[Manifest]) -> None:
    from ez_homelab.cli.terminal import show_table

    show_table(
        ("App", "Category", "Version", "From packages", "What it is"),
        [(app.id, app.category, app.version, "yes" if app.edition else "no", app.tagline) for app in manifests],
    )


def _domain(lab: Homelab) -> str | None:
    """The lab's domain; None where there is no lab, or one with mistakes: an app can be looked at all the same."""
    try:
        return lab.lab.domain if lab.exists else None
    except EzError:
        return None


def _folder(catalog: Catalog, target: str) -> Path:
    """The folder of an app that is named by its id or by its path."""
    path = Path(target)
    if "/" not in target and target in catalog.ids():
        return catalog.folder(target)
    if path.is_dir():
        return path.resolve()
    if "/" in target:
        raise CatalogError(f"there is no folder {target}", (), fix="name an app's folder, or an app of the catalog")
    return catalog.folder(target)


def _show_findings(findings: Sequence[Finding], apps: int) -> None:
    here = Path.cwd()
    for finding in findings:
        place = _place(finding.fault, here)
        severity = click.style(finding.severity, fg=SEVERITY_COLOURS[finding.severity], bold=True)
        suggestion = f" ({finding.fault.suggestion})" if finding.fault.suggestion else ""
        click.echo(f"{place}: {severity} [{finding.code}] {finding.fault.message}{suggestion}")
    errors = sum(finding.severity == "error" for finding in findings)
    looked = f"{apps} {'app' if apps == 1 else 'apps'}"
    if findings:
        click.echo(f"{looked}: {_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}")
    else:
        click.secho(f"{looked}: nothing wrong was found.", fg="green")


def _place(fault: Fault, here: Path) -> str:
    """As a person or an editor in the current folder would write it."""
    path = Path(fault.file)
    name = str(path.relative_to(here)) if path.is_relative_to(here) else fault.file
    return f"{name}:{fault.line}:{fault.column}" if fault.line else name


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
