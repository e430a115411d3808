"""`ez-homelab images`: what the apps run, by digest."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, require_yes, run, told, yes_option

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ez_homelab.images.inventory import ImageRow
    from ez_homelab.images.lock import LockChange


@click.group("images")
def images_command() -> None:
    """The images that apps run: which they are, who needs them, where they come from.

    \b
    ez-homelab images list
    ez-homelab images lock --update dokuwiki
    ez-homelab images prune
    """


@images_command.command("list")
@lab_option
@json_option
@told
def images_list_command(lab_folder: Path | None, as_json: bool) -> None:
    """Every image of the lab: its digest, its size, who uses it, whether the lab's own mirror has it."""
    from ez_homelab.cli.terminal import show_table

    found = run(open_lab(lab_folder).images())
    if as_json:
        print_json({"images": [asdict(row) | {"used_by": row.used_by} for row in found]})
        return
    show_table(("Image", "Digest", "Size", "In the mirror", "Used by"), [_cells(row) for row in found])
    if any(row.moved for row in found):
        click.echo("\nmoved: the tag names another image than images.lock does; apps run what is locked.")


@images_command.command("lock")
@click.option("--update", multiple=True, metavar="APP", help="Take the newest image of that app's tag, too.")
@lab_option
@json_option
@told
def images_lock_command(update: tuple[str, ...], lab_folder: Path | None, as_json: bool) -> None:
    """Write the digest of every image that has none yet into images.lock; running apps are not touched."""
    from ez_homelab.images.lock import ImageLock

    lab = open_lab(lab_folder, progress=not as_json)
    before = ImageLock.load(lab.folder)
    changes = run(lab.lock_images(update)).changes(before)
    if as_json:
        print_json({"changes": [asdict(change) for change in changes]})
        return
    for line in _change_lines(changes):
        click.echo(line)
    click.echo("What changed is put in place by: ez-homelab apply" if changes else "Every image is locked already.")


@images_command.command("prune")
@lab_option
@json_option
@yes_option
@told
def images_prune_command(lab_folder: Path | None, as_json: bool, yes: bool) -> None:
    """Remove images that no container, no kept generation and not the lab needs, here and in the lab's own mirror."""
    from ez_homelab.cli.terminal import confirm

    require_yes(yes=yes, as_json=as_json)
    lab = open_lab(lab_folder, progress=not as_json)
    stale = run(lab.prunable_images())
    if as_json:
        if stale:
            run(lab.prune_images())
        print_json({"pruned": stale.to_dict()})
        return
    click.echo("\n".join(stale.lines()) or "Every image is needed.")
    if not stale:
        return
    if confirm("Remove this?", yes=yes):
        run(lab.prune_images())
    else:
        click.echo("Nothing was changed.", err=True)


@images_command.command("build")
@lab_option
@json_option
@told
def images_build_command(lab_folder: Path | None, as_json: bool) -> None:
    """Build the package editions that the server lacks; apply does it too, when it needs them."""
    built = run(open_lab(lab_folder, progress=not as_json).build_images())
    if as_json:
        print_json({"built": list(built)})
    else:
        click.echo("\n".join(f"built {tag}" for tag in built) or "Every package edition is there already.")


@images_command.command("copy")
@click.argument("target", metavar="HOST[:PORT][/PREFIX]")
@lab_option
@json_option
@told
def images_copy_command(target: str, lab_folder: Path | None, as_json: bool) -> None:
    """Copy every locked image with its digest into another registry, which labs then name as `images.mirror`."""
    from ez_homelab.config.rules import mirror
    from ez_homelab.errors import UsageError

    if complaint := mirror(target):
        raise UsageError(complaint[0], fix=complaint[1])
    copied = run(open_lab(lab_folder, progress=not as_json).copy_images(target))
    if as_json:
        print_json({"copied": list(copied)})
        return
    for name in copied:
        click.echo(name)
    click.echo(f"{len(copied)} images; a lab pulls them with: images: {{mirror: {target}}}")


def _cells(row: ImageRow) -> tuple[str, ...]:
    mirror = {True: "yes", False: "no", None: "-"}[row.in_mirror]
    digest = row.digest.removeprefix("sha256:")[:12] or "-"
    size = f"{row.size / 1e6:.0f} MB" if row.id else "not here"
    return (row.name, f"{digest} moved" if row.moved else digest, size, mirror, row.used_by or "nobody")


def _change_lines(changes: Iterable[LockChange]) -> Iterable[str]:
    for change in changes:
        before, after = (digest.removeprefix("sha256:")[:12] for digest in (change.before, change.after))
        if not after:
            yield f"- {change.name} {before}"
        else:
            yield f"~ {change.name} {before} -> {after}" if before else f"+ {change.name} {after}"
