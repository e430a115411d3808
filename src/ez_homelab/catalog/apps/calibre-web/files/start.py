"""Calibre-Web as container: settings with a password of its own at the first start, an empty library, the server.

With `password` as argument it gives the administrator the password on standard input (one line) instead.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

PROGRAM = "/app/calibre-web/cps.py"
CONFIG = Path("/config")
BOOKS = Path("/books")
SECRET = Path("/run/secrets/admin_password")
SCHEMA = Path("/usr/share/calibre/metadata_sqlite.sql")


def set_password(settings, password):
    from werkzeug.security import generate_password_hash

    with sqlite3.connect(settings, timeout=30) as database:
        changed = database.execute(
            "UPDATE user SET password = ? WHERE name = 'admin'", (generate_password_hash(password),)
        ).rowcount
    if not changed:
        sys.exit("nobody is called admin here: the password was not changed")


def make_settings():
    """app.db, whole or not at all; with the password and the place of the library."""
    made = CONFIG / ".first-start"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    # Its dry run makes the file, tells what an updater could not change here, and ends.
    environment = {**os.environ, "CALIBRE_DBPATH": str(made)}
    subprocess.run([sys.executable, PROGRAM, "-d"], env=environment, stdout=subprocess.DEVNULL, check=True)
    settings = made / "app.db"
    set_password(settings, SECRET.read_text().strip())
    with sqlite3.connect(settings) as database:
        database.execute("UPDATE settings SET config_calibre_dir = ?", (str(BOOKS),))
    for path in sorted(made.iterdir(), key=lambda path: path == settings):
        path.rename(CONFIG / path.name)
    made.rmdir()


def make_library():
    """An empty library as Calibre makes it, whole or not at all."""
    made = BOOKS / ".metadata.db.new"
    made.unlink(missing_ok=True)
    database = sqlite3.connect(made)
    database.executescript(SCHEMA.read_text())
    database.execute("INSERT INTO library_id (uuid) VALUES (?)", (str(uuid.uuid4()),))
    database.commit()
    database.close()
    made.rename(BOOKS / "metadata.db")


def main():
    if sys.argv[1:] == ["password"]:
        set_password(CONFIG / "app.db", sys.stdin.readline().rstrip("\r\n"))
        return
    if not (CONFIG / "app.db").exists():
        make_settings()
    if not (BOOKS / "metadata.db").exists() and SCHEMA.exists():
        make_library()
    os.execv(sys.executable, [sys.executable, PROGRAM, "-o", "/dev/stdout"])  # noqa: S606 - receives the stop signal itself


main()
