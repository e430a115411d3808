"""Run by test_secret_store.py: saves a store again and again, and is killed at each step of it once.

A step is a call that changes the disk. Prints what the store then held, step by step, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from ez_homelab.secrets.needs import Need
from ez_homelab.secrets.store import SecretStore

CALLS = ("open", "write", "fchmod", "fsync", "rename", "mkdir")


def killed_at(step: int, store: SecretStore, *, before: bool) -> bool:
    """Whether the process died before (or after) that step of saving; False where it came to its end."""
    child = os.fork()
    if child == 0:
        counted = count(1)
        for name in CALLS:
            setattr(os, name, _deadly(getattr(os, name), counted, step, before=before))
        store.save()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _deadly(call: Any, counted: Any, step: int, *, before: bool) -> Any:
    def wrapper(*arguments: Any, **named: Any) -> Any:
        number = next(counted)
        if number == step and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments, **named)
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapper


def main(folder: Path, key: Path, *, before: bool) -> None:
    seen: list[list[str]] = []
    for step in count(1):
        store = SecretStore.open(folder, key)
        # Whatever an earlier step saved stays; the next one saves under a name of its own.
        wanted = Need("wiki", f"id{step:03}", 32, "alnum")
        killed = killed_at(step, store.with_needed([wanted]), before=before)
        after = SecretStore.open(folder, key)
        kept = set(store.entries()) <= set(after.entries())
        new = "new" if after.get("wiki", wanted.id) else "old"
        seen.append([new if kept else "lost", "killed" if killed else "ended"])
        if not killed:
            break
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), before=sys.argv[3] == "before")
