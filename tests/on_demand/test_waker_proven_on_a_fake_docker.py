"""The whole proof of a server with apps that sleep: a real Traefik, the real waker. Docker and sign-on are fakes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
import yaml
from waker_world import World

from ez_homelab.config.load import lab_from_text
from ez_homelab.hosts import Completed
from ez_homelab.lazy.monitors import PATTERN
from ez_homelab.observe.look import AUTHORITY_CERTIFICATE
from ez_homelab.render.traefik import install_file, middlewares_file
from ez_homelab.runtime import waker as package
from ez_homelab.sso import ENGINES
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.testing.front.programs import Program, listens
from ez_homelab.testing.front.traefik import executable
from ez_homelab.testing.make_lab import desired_of, observed_as
from ez_homelab.tls.authority import create_authority
from ez_homelab.tls.certificate import CertificateSpec, issue, wanted_names
from ez_homelab.tls.served import served_file
from ez_homelab.verify import ProofPeople, Waking, verify_lab
from ez_homelab.verify.dial import dialer
from ez_homelab.verify.server import ASK_ROUTERS, ASK_TCP_ROUTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.hosts import Command
    from ez_homelab.observe import ObservedServer
    from ez_homelab.verify import Proof

DOMAIN = "lab.localhost"
LAB = lab_from_text(f"""
version: 1
domain: {DOMAIN}
stacks:
  wiki:
    - radicale: {{policy: one_factor, groups: [], bypass: {{/open: for a test}}, lazy: {{mode: stop, timeout: 20s}}}}
    - guests: {{app: dokuwiki, policy: bypass, lazy: {{mode: stop, timeout: 20s}}}}
    - nobody: {{app: dokuwiki, policy: deny, lazy: {{mode: stop, timeout: 20s}}}}
""")
WHOLE = desired_of(LAB)
DESIRED = replace(WHOLE, routes=tuple(route for route in WHOLE.routes if route.lazy))
"""Without the portal, which nobody serves here."""
AUTHORITY = create_authority(DOMAIN, datetime.now(UTC))


class SignOn(BaseHTTPRequestHandler):
    """What the gate says of who comes: the first of the proof's people may pass, the third may not."""

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        name, path = self.headers["X-Forwarded-Host"].partition(".")[0], self.headers["X-Forwarded-Uri"]
        (route,) = (route for route in DESIRED.routes if route.name == name)
        is_open = route.sign_on.policy == "bypass" or path in [bypass.path for bypass in route.sign_on.bypass]
        known = {"ez_session=token-1": 200, "ez_session=token-2": 200, None: 302}
        status = 403 if route.sign_on.policy == "deny" else known.get(self.headers["Cookie"], 403)
        self.send_response(200 if is_open else status)
        if status == 302 and not is_open:
            self.send_header("Location", f"https://auth.{DOMAIN}/")
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(World):
    """The world with a Traefik as in a lab: two entrypoints, a certificate, everybody is asked who they are."""

    def __init__(self, folder: Path, sign_on: str) -> None:
        self.sign_on = sign_on
        self.secure = super().spare()
        super().__init__(folder)
        for route in DESIRED.routes:
            self.add(route.name)
            self.apps[-1]["routes"][0]["rule"] = route.rule

    def _traefik(self) -> Program:
        engine, watched = ENGINES["builtin"], self.folder / "dynamic"
        middlewares = yaml.safe_load(middlewares_file(engine.forward_auth()))
        middlewares["http"]["middlewares"]["sign-on"]["forwardAuth"]["address"] = self.sign_on
        (watched / "middlewares.yml").write_text(yaml.safe_dump(middlewares))
        now = datetime.now(UTC)
        (watched / "certificate.yml").write_bytes(
            served_file(issue(AUTHORITY, CertificateSpec(wanted_names(DOMAIN, ())), now))
        )
        install = yaml.safe_load(install_file(engine.entrypoint))
        points = install["entryPoints"]
        points["web"]["http"]["redirections"]["entryPoint"]["to"] = ":443"
        for name, port in (("web", self.web), ("websecure", self.secure), ("traefik", self.api)):
            points[name]["address"] = f"127.0.0.1:{port}"
        del install["providers"]["docker"]
        install["providers"]["file"]["directory"] = str(watched)
        (self.folder / "traefik.yml").write_text(yaml.safe_dump(install))
        argv = [executable(), f"--configFile={self.folder / 'traefik.yml'}"]
        program = Program("Traefik", argv, self.folder / "traefik.log")
        program.wait_until(lambda: all(map(listens, (self.api, self.web, self.secure))))
        return program

    def write(self) -> None:
        super().write()
        path = self.folder / "config" / "lazy.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"monitors": [PATTERN]}))

    @property
    def awake(self) -> set[str]:
        return {name for name, app in self.status()["apps"].items() if app["state"] == "awake"}

    def tell(self, kind: str, command: Command) -> Completed:
        """What Traefik's API lists."""
        with urlopen(f"http://127.0.0.1:{self.api}/api/{kind}/routers?per_page=1000") as answer:
            return Completed(command, 0, answer.read().decode(), "")

    def order_by_words(self, command: Command) -> Completed:
        """`docker exec waker python3 -m waker.admin ...`."""
        words = command.argv[command.argv.index("waker.admin") + 1 :]
        environment = {"WAKER_SOCKET": str(self.folder / "run/admin.sock"), "PATH": os.environ["PATH"]}
        environment |= {"PYTHONPATH": str(Path(package.__file__).parent.parent)}
        done = subprocess.run(
            [sys.executable, "-m", "waker.admin", *words], env=environment, capture_output=True, text=True, check=False
        )
        return Completed(command, done.returncode, done.stdout, done.stderr)

    def host(self) -> FakeHost:
        """The server as the proof asks it."""
        made = FakeHost("core", files={AUTHORITY_CERTIFICATE: AUTHORITY.certificate_pem})
        made.files["/proc/meminfo"] = replace(made.files[AUTHORITY_CERTIFICATE], content=b"MemAvailable: 9000000 kB\n")
        made.answer(ASK_ROUTERS.argv, does=partial(self.tell, "http"))
        made.answer(ASK_TCP_ROUTERS.argv, does=partial(self.tell, "tcp"))
        made.answer(lambda command: "waker.admin" in command.argv, does=self.order_by_words)
        people = iter(range(1, 100))

        def gate(command: Command) -> Completed:
            number = next(people) if json.loads(command.stdin)["do"] == "identity" else 0
            return Completed(command, 0, json.dumps({"user": f"verify-{number}", "token": f"token-{number}"}), "")

        made.answer(lambda command: "gate.admin" in command.argv, does=gate)
        return made


@contextmanager
def signing_on() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), SignOn)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with signing_on() as sign_on:
        made = Server(tmp_path_factory.mktemp("proven"), sign_on)
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.fixture(autouse=True)
def ports(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    at = partial(dialer, ports={"http": server.web, "https": server.secure})
    monkeypatch.setattr("ez_homelab.verify.dial.dialer", at)


async def looked(server: Server, seen: Mapping[str, ObservedServer], waking: Waking) -> Proof:
    async with ProofPeople() as people:
        return await verify_lab(DESIRED, {"core": "127.0.0.1"}, {"core": server.host()}, seen, people, waking)


def prove(server: Server, waking: Waking) -> Proof:
    containers = {name: {"state": "exited"} for group in DESIRED.servers["core"].wake_groups
                  for name in group.containers}  # fmt: skip
    seen = observed_as(DESIRED, containers=containers)
    proof = asyncio.run(looked(server, seen, waking))
    return proof.about({route.name for route in DESIRED.routes})


def starts(server: Server) -> dict[str, int]:
    return {route.name: server.docker.containers[route.name].starts for route in DESIRED.routes}


def said(proof: Proof, subject: str) -> dict[str, str]:
    return {row.claim: row.state for row in proof.of(subject)}


def test_what_sleeps_is_proven_asleep_and_nothing_wakes(server: Server) -> None:
    before = starts(server)
    proof = prove(server, Waking())
    assert proof.failures == ()
    assert said(proof, "radicale").keys() == {
        "asleep", "monitors see it asleep", "name", "anonymous is not let in", "forged names are no sign-on",
        "/open is open", "near /open is shut", "plain HTTP redirects",
    }  # fmt: skip
    assert said(proof, "guests").keys() == {"asleep", "monitors see it asleep", "name", "plain HTTP redirects"}
    assert said(proof, "nobody").keys() >= {"asleep", "anonymous is not let in", "nobody is let in"}
    assert starts(server) == before
    assert server.awake == set()


def test_each_is_woken_once_proven_and_sleeps_again(server: Server) -> None:
    before = starts(server)
    proof = prove(server, Waking(None))
    assert proof.failures == ()
    wakes = {row.subject: row.evidence for row in proof.checks if row.claim == "wakes"}
    assert wakes["radicale"].startswith("first byte after ")
    assert wakes["radicale"].partition(" s: ")[2].startswith("200 at ")
    assert wakes["nobody"].startswith("ready after ")
    assert said(proof, "radicale")["signed-in gets the app"] == "passed"
    assert said(proof, "guests")["answer over HTTPS"] == "passed"
    assert starts(server) == {name: count + 1 for name, count in before.items()}
    assert server.awake == set()
    assert not any(server.docker.running(name) for name in before)


def test_what_was_awake_stays_awake_and_what_is_not_meant_asleep(server: Server) -> None:
    server.order("POST", "/apps/guests/wake")
    try:
        before = starts(server)
        proof = prove(server, Waking({"radicale"}))
        assert proof.failures == ()
        assert said(proof, "guests").keys() >= {"awake", "answer over HTTPS"}
        assert starts(server) == before | {"radicale": before["radicale"] + 1}
        assert server.awake == {"guests"}
    finally:
        server.order("POST", "/apps/guests/sleep")


def test_an_app_that_does_not_start_says_why(server: Server) -> None:
    server.docker.containers["radicale"].delay = "crash"
    try:
        proof = prove(server, Waking({"radicale"}))
    finally:
        server.docker.containers["radicale"].delay = "0"
    (row,) = proof.failures
    assert (row.subject, row.claim) == ("radicale", "wakes")
    assert "503" in row.evidence
    assert "it has not started: " in row.evidence
    assert server.awake == set()


def test_traefik_has_the_routers_that_the_proof_expects(server: Server) -> None:
    proof = asyncio.run(looked(server, observed_as(DESIRED), Waking()))
    (row,) = (row for row in proof.of("lab") if row.claim == "no unknown router")
    assert (row.state, row.evidence) == ("passed", "9 routers, all declared")
