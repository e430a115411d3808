"""Servers behind one Protocol. `protocol` is the contract; `local`, `dry_run` and `fake` keep it."""

from ez_homelab.hosts.protocol import Command, Completed, FileState, Host, command, run_checked

__all__ = ["Command", "Completed", "FileState", "Host", "command", "run_checked"]
