"""Makes the accounts from the lab's password and from those that a person has added, then starts Radicale."""

import os
import sys
from pathlib import Path

import bcrypt

MADE, OWN = Path("/tmp/users"), Path("/var/lib/radicale/users")  # noqa: S108 - a file system of this container alone

os.umask(0o077)
password = Path("/run/secrets/password").read_bytes().strip()
accounts = f"homelab:{bcrypt.hashpw(password, bcrypt.gensalt()).decode()}\n"
MADE.write_text(accounts + (OWN.read_text() if OWN.exists() else ""))
os.execv(sys.executable, [sys.executable, "/app/bin/radicale"])  # noqa: S606 - it receives the stop signal
