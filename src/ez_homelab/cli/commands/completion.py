"""`ez-homelab completion`."""

from __future__ import annotations

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the completion script for a shell; load it with eval "$(ez-homelab completion bash)"."""
    from click.shell_completion import get_completion_class

    from ez_homelab.cli.app import cli

    completer = get_completion_class(shell)
    if completer is None:  # click knows all three; a later one might not
        raise click.ClickException(f"no completion for {shell}")
    click.echo(completer(cli, {}, "ez-homelab", "_EZ_HOMELAB_COMPLETE").source())
