"""`python -m ez_homelab.reference [--check]`: write every reference page, or say which are out of date."""

from __future__ import annotations

import sys

import click

from ez_homelab.reference import REFERENCE
from ez_homelab.reference.pages import pages, stale_pages


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit status 1 where a page is out of date.")
def main(check: bool) -> None:
    """Write the reference pages into docs/reference."""
    stale = stale_pages()
    if check:
        for name in stale:
            click.echo(f"docs/reference/{name} is out of date. Run: python -m ez_homelab.reference", err=True)
        sys.exit(1 if stale else 0)
    made = pages()
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (REFERENCE / name).write_text(made[name], encoding="utf-8")
        click.echo(f"wrote docs/reference/{name}")


if __name__ == "__main__":
    main()
