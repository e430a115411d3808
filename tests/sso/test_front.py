"""The front itself: it is the product's configuration that is tried, and nothing of it is left behind."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from sso_lab import outside

from ez_homelab.render.traefik import install_file, middlewares_file
from ez_homelab.sso import ENGINES
from ez_homelab.testing.front import plain_ask

if TYPE_CHECKING:
    from ez_homelab.testing.front import Front

CRASHING = """
import os, signal, sys
from pathlib import Path
from ez_homelab.testing.front.programs import Program
program = Program("a program", [sys.executable, "-c", "import time; time.sleep(600)"], Path(sys.argv[1]))
print(program.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_test_had_started_ends_with_it(tmp_path: Path) -> None:
    crashed = subprocess.run([sys.executable, "-c", CRASHING, str(tmp_path / "log")], capture_output=True, text=True)
    assert crashed.returncode == -9
    process = Path(f"/proc/{crashed.stdout.strip()}")
    deadline = time.monotonic() + 20
    while process.exists() and " Z " not in (process / "stat").read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not process.exists() or " Z " in (process / "stat").read_text()


def test_the_entrypoint_is_the_products_but_for_its_address(front: Front) -> None:
    engine = ENGINES[front.engine.name]
    product = yaml.safe_load(install_file(engine.entrypoint))["entryPoints"]["websecure"]
    tried = yaml.safe_load((front.folder / "traefik/traefik.yml").read_text())["entryPoints"]["websecure"]
    assert {**tried, "address": ""} == {**product, "address": ""}
    assert "sign-on@file" in tried["http"]["middlewares"]


def test_the_middlewares_are_the_products_but_for_an_address(front: Front) -> None:
    product = yaml.safe_load(middlewares_file(ENGINES[front.engine.name].forward_auth()))
    tried = yaml.safe_load((front.folder / "traefik/dynamic/middlewares.yml").read_text())
    for document in (product, tried):
        del document["http"]["middlewares"]["sign-on"]["forwardAuth"]["address"]
    assert tried == product


def test_http_leads_to_https(front: Front) -> None:
    answer = plain_ask(front.traefik.ports.web, "GET", "/page?a=1", [("Host", "one.lab.localhost")])
    assert answer.status in (301, 308)
    assert answer.location.startswith("https://one.lab.localhost")


def test_the_way_around_has_no_sign_on_and_is_not_the_way_in(front: Front) -> None:
    """What figures are compared with: the same app, without the question."""
    assert front.around.ask("GET", "https://one.lab.localhost/").seen is not None
    assert front.client.ask("GET", "https://one.lab.localhost/", address=outside()).seen is None
