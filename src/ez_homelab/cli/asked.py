"""A secret that a person types or a program hands over: never a part of a command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ez_homelab.secrets.value import Secret


def ask_secret(question: str, *, from_stdin: bool) -> Secret:
    """Asked for twice, unseen; or the first line of standard input. Raises `UsageError` for none."""
    from ez_homelab.errors import UsageError
    from ez_homelab.redaction import know
    from ez_homelab.secrets.value import Secret

    what = question.lower()
    if from_stdin:
        value = sys.stdin.readline().removesuffix("\n")
    elif not is_terminal():
        raise UsageError(f"there is nobody to ask for the {what}", fix="say --stdin, or run it in a terminal")
    else:
        value = click.prompt(question, hide_input=True, confirmation_prompt="Once more", err=True)
    if not value:
        raise UsageError(f"the {what} is empty", fix="write it as one line")
    know([value])
    return Secret(value)


def is_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()
