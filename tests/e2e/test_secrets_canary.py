"""Values of secrets are where they have to be, readable for nobody else, and nowhere besides, whatever was done.

The app of the lab's own catalog has one secret as a variable and one as a file that it must be told a new value of.
"""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode, urlsafe_b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from real_lab import DOMAIN, LAB, STATE, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_lab import RealLab

APP, STACK = "vault", "locked"
FOLDER = f"/opt/stacks/{STACK}"
SECRETS = ("badge", "word")
WATCHED = "/root/watched"
FAILED = f"{WATCHED}/failed"
PATTERNS = "/dev/shm/patterns"

# Fails once, and tells on the way all that it can read.
TALKATIVE = f"""\
if [[ "$*" == *" up "* && ! -e {FAILED} ]]; then
    touch {FAILED}
    for file in {FOLDER}/.env {FOLDER}/secrets/{APP}/word; do cat "$file"; echo; base64 --wrap=0 "$file"; echo; done >&2
    paste --serial --delimiters=' ' {FOLDER}/.env {FOLDER}/secrets/{APP}/word | tr '\\n' ' ' >&2
    exit 1
fi
exec /usr/bin/docker "$@"
"""

# Every program's arguments, as often as it can look, and all that the engine tells, until its mark is taken away.
WATCH = """
import glob, os, subprocess, sys, time
folder = sys.argv[1]
events = open(folder + "/events", "wb")
engine = subprocess.Popen(["docker", "events", "--format", "{{json .}}"], stdout=events)
seen = set()
while os.path.exists(folder + "/on"):
    for path in glob.iglob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                seen.add(file.read())
        except OSError:
            pass
    time.sleep(0.01)
engine.terminate()
engine.wait()
with open(folder + "/processes", "wb") as file:
    file.write(b"\\n".join(sorted(seen)).replace(b"\\0", b" "))
"""

EVERYWHERE = ("/", "/run", "/var/lib/docker")
ENGINE_KEEPS = ("/var/lib/docker/containers/", "/var/lib/docker/containerd/daemon/", "/run/docker/containerd/daemon/")

SEARCH = f"""
find "$@" -xdev -path /usr -prune -o -type f -print0 |
    LC_ALL=C xargs --null grep --files-with-matches --text --fixed-strings --file={PATTERNS} -- 2>/dev/null
rm {PATTERNS}
"""


def forms(values: set[str]) -> set[str]:
    """Each value in the forms that programs give it; of base64 the part that does not depend on its neighbours."""
    found = set(values)
    for value in values:
        content = value.encode()
        found |= {content.hex(), content.hex().upper(), quote(value, safe=""), json.dumps(value)[1:-1]}
        for before in range(3):
            first, last = (before * 8 + 5) // 6, (before + len(content)) * 8 // 6
            found |= {encode(bytes(before) + content).decode()[first:last] for encode in (b64encode, urlsafe_b64encode)}
    return found


def shown(lab: RealLab) -> dict[str, str]:
    """The values as their one command prints them."""
    return {name: lab.ez("secrets", "show", APP, name, "--yes").stdout.strip() for name in SECRETS}


def answered(lab: RealLab, values: dict[str, str]) -> str:
    """The answer to somebody who knows these; the values go by standard input, as curl's own settings."""
    settings = "".join(f'header = "X-{name}: {value}"\n' for name, value in values.items())
    settings += f'header = "Cookie: {lab.cookie}"\n'
    call = ["curl", "-sk", "--max-time", "10", "--config", "-", f"https://{APP}.{DOMAIN}/"]
    return lab.server.run(call, input=settings.encode()).stdout


def searched(lab: RealLab, wanted: set[str], *places: str) -> set[str]:
    """The server's files that have one of these texts in them; programs of the distribution are left out."""
    lab.server.write(PATTERNS, "\n".join(wanted), mode=0o600)
    return set(lab.server.run(["sh", "-c", SEARCH, "search", *(places or EVERYWHERE)]).stdout.splitlines())


@contextmanager
def watched(lab: RealLab) -> Iterator[None]:
    """Inside it all processes and all the engine's events are written down."""
    lab.server.run(["sh", "-c", f"rm -rf {WATCHED} && mkdir {WATCHED} && touch {WATCHED}/on"])
    watch = subprocess.Popen(lab.server.command(["python3", "-c", WATCH, WATCHED]))
    try:
        yield
    finally:
        lab.server.run(["rm", "-f", f"{WATCHED}/on"])
        assert watch.wait(timeout=60) == 0


class Said:
    """What commands have said, by their command line."""

    def __init__(self, lab: RealLab) -> None:
        self._lab = lab
        self.texts: dict[str, str] = {}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command, whatever its status, and keep what it says."""
        ended = self._lab.server.run(self._lab.argv(*arguments), check=False)
        self.texts[f"{len(self.texts)}: {' '.join(arguments)}"] = ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        return ended


@pytest.fixture(scope="module")
def canary(home: RealLab, echo: RealLab) -> Iterator[tuple[Said, list[dict[str, str]]]]:
    """The app added, changed with a failure on the way, rotated with one and without; all that was said; all values."""
    before, said = home.text, Said(home)
    values: list[dict[str, str]] = []
    with watched(home):
        assert said.run("add", APP, "--stack", STACK, "--yes", "--json").returncode == 0
        values.append(shown(home))
        home.write(home.text.replace(f"    - {APP}\n", f"    - {APP}:\n        environment: {{SOME_SETTING: other}}\n"))
        with home.shim(TALKATIVE):
            assert json.loads(said.run("apply", "--yes", "--json").stdout)["error"]["code"] == "went-back"
            home.server.run(["rm", FAILED])
            assert said.run("apply", "--yes").returncode == 1
        assert said.run("apply", "--yes").returncode == 0
        with home.shim(TALKATIVE):
            home.server.run(["rm", FAILED])
            assert said.run("secrets", "rotate", APP, "--yes", "--json").returncode == 1
        values.append(shown(home))
        assert said.run("apply", "--yes", "--json").returncode == 0
        assert said.run("secrets", "rotate", APP, "word", "--yes").returncode == 0
        values.append(shown(home))
    yield said, values
    home.write(before)
    home.restore()


def known(values: list[dict[str, str]]) -> set[str]:
    return forms({value for one in values for value in one.values()})


def test_after_a_rotation_only_the_new_values_open(home: RealLab, canary: tuple[Said, list[dict[str, str]]]) -> None:
    first, second, third = canary[1]
    assert first["badge"] != second["badge"] == third["badge"]
    assert len({first["word"], second["word"], third["word"]}) == 3
    assert answered(home, third) == "open\n"
    assert answered(home, first) == answered(home, second) == answered(home, {}) == "closed\n"
    for stale in ({**third, "badge": first["badge"]}, {**third, "word": second["word"]}):
        assert answered(home, stale) == "closed\n"


def test_nothing_that_any_command_says_has_a_value(home: RealLab, canary: tuple[Said, list[dict[str, str]]]) -> None:
    said, values = canary
    settings = home.server.read(f"{FOLDER}/.env")
    home.server.write(f"{FOLDER}/.env", settings + b"# A person was here.\n", mode=0o600)
    number = str(json.loads(said.run("history", "--json").stdout)["generations"][0]["number"])
    looks = [("plan",), ("status",), ("verify",), ("secrets", "list"), ("history",), ("history", number), ("drift",)]
    looks += [("images", "list"), ("doctor",), ("secrets", "show", APP, "word"), ("check",)]
    for look in looks:
        said.run(*look)
        said.run(*look, "--json")
    said.run("drift", f"{FOLDER}/.env")
    said.run("rollback", str(int(number) - 2))
    said.run("logs", APP)
    said.run("catalog", "show", APP)
    assert said.run("apply", "--yes").returncode == 0
    telling = {command for command, text in said.texts.items() if any(form in text for form in known(values))}
    assert telling == set()
    failures = [text for command, text in said.texts.items() if "apply" in command or "rotate" in command]
    assert sum("[secret]" in text for text in failures) == 3, "the failures had nothing to hide"


def test_no_process_event_journal_log_or_image_has_a_value(
    home: RealLab, canary: tuple[Said, list[dict[str, str]]]
) -> None:
    image = home.server.docker(["inspect", "--format", "{{.Image}}", APP]).stdout.strip()
    dump = "import sqlite3, sys; print('\\n'.join(sqlite3.connect(sys.argv[1]).iterdump()))"
    texts = {
        "processes": home.server.read(f"{WATCHED}/processes").decode(errors="replace"),
        "events": home.server.read(f"{WATCHED}/events").decode(),
        "journal": home.server.run(["python3", "-c", dump, f"{STATE}/journal.db"]).stdout,
        "image": home.server.docker(["inspect", image]).stdout,
        "history": home.server.docker(["history", "--no-trunc", image]).stdout,
    }
    for name in home.containers():
        ended = home.server.docker(["logs", name])
        texts[f"log of {name}"] = ended.stdout + ended.stderr
    assert "docker compose --progress plain up" in texts["processes"]
    assert f"docker exec --interactive {APP}" in texts["processes"]
    assert '"name":"vault"' in texts["events"]
    assert f"cannot recreate {STACK}/{APP}" in texts["journal"]
    assert {name for name, text in texts.items() if any(form in text for form in known(canary[1]))} == set()


def test_files_with_values_are_few_and_closed(home: RealLab, canary: tuple[Said, list[dict[str, str]]]) -> None:
    values = canary[1]
    planted = f"{WATCHED}/planted"
    home.server.write(planted, b64encode(b"a" + values[0]["word"].encode() + b"b"))
    found = searched(home, known(values))
    assert planted in found, "the search does not find what it should"
    found.remove(planted)

    given = {f"{FOLDER}/.env", f"{FOLDER}/secrets/{APP}/word"}
    assert given <= found
    kept = {path for path in found if path.startswith((f"{STATE}/objects/", f"{STATE}/edited/"))}
    assert any(path.startswith(f"{STATE}/objects/") for path in kept)
    # What an app is given as a variable its engine keeps with the container; what it was told it keeps itself.
    engine = {path for path in found if path.startswith(ENGINE_KEEPS)}
    assert found - given - kept - engine == {f"/var/lib/docker/volumes/{APP}-shelf/_data/word"}
    words = forms({one["word"] for one in values})
    assert searched(home, words, *sorted(engine)) == set()
    modes = home.server.run(["stat", "--format", "%a", *sorted(given | kept)]).stdout.split()
    assert {*modes} == {"600"}
    assert home.server.run(["stat", "--format", "%a", f"{STATE}/objects"]).stdout == "700\n"


def test_the_store_is_encrypted_and_its_key_is_elsewhere(
    home: RealLab, canary: tuple[Said, list[dict[str, str]]]
) -> None:
    assert home.server.read(f"{LAB}/secrets.age").startswith(b"-----BEGIN AGE ENCRYPTED FILE-----\n")
    key = home.server.read("/etc/ez-homelab/key.txt").split()[-1]
    assert key.startswith(b"AGE-SECRET-KEY-")
    closed = ["stat", "--format", "%a %u", "/etc/ez-homelab", "/etc/ez-homelab/key.txt"]
    assert home.server.run(closed).stdout == "700 0\n600 0\n"
    assert home.server.run(["grep", "-r", "-l", "AGE-SECRET-KEY", LAB, STATE, "/opt"], check=False).stdout == ""
    wait_for("it still opens", lambda: answered(home, canary[1][-1]) == "open\n")
