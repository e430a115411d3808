"""The end of the session's lab, and another one in its place. The last of all tests of the lab (see conftest.py).

`down --purge` takes everything of ours away, and nothing else. Then a lab whose images come from a registry comes up on
the same server. The registry is a real one (Debian's docker-registry) and stands in for all others as the lab's mirror;
what it holds under upstream's names are the package editions. With EZ_TEST_AUTHELIA a real Authelia comes in last.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from real_lab import CERTIFICATE, DOMAIN, LAB, STATE, listening, wait_for

if TYPE_CHECKING:
    from real_lab import RealLab

FOREIGN_STACK = "/opt/stacks/mine/compose.yaml"
REGISTRY = "localhost:5050"
CONFIGURATION = """\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: "127.0.0.1:5050"}
"""
SERVE = "exec setsid --fork docker-registry serve /root/registry.yml </dev/null >/dev/null 2>&1"
UPSTREAM = {
    "docker-socket-proxy": "library/haproxy:3.2.22-alpine",
    "traefik": "library/traefik:v3.7.15",
    "gate": "ghcr.io/ez-homelab/gate:0.1.0",
    "echo": "example/echo:1",
}
FROM_REGISTRY = (
    f"version: 1\ndomain: {DOMAIN}\nimages: {{source: registry, mirror: {REGISTRY}}}\nstacks:\n  tools: [echo]\n"
)


@pytest.fixture(scope="module")
def mirror(echo: RealLab) -> None:
    """A registry on the server that has the images of four apps, under upstream's names as a mirror has them."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    echo.server.run(["apt-get", "-q", "install", "-y", "--no-install-recommends", "docker-registry"], env=quiet)
    echo.server.write("/root/registry.yml", CONFIGURATION)
    echo.server.run(["sh", "-c", SERVE])
    wait_for(
        "the registry answers", lambda: echo.server.run(["curl", "-sf", f"{REGISTRY}/v2/"], check=False).returncode == 0
    )
    for app, name in UPSTREAM.items():
        image = echo.server.docker(["inspect", "--format", "{{.Config.Image}}", app]).stdout.strip()
        echo.server.docker(["tag", image, f"{REGISTRY}/{name}"])
        echo.server.docker(["push", "-q", f"{REGISTRY}/{name}"])
        echo.server.docker(["image", "rm", f"{REGISTRY}/{name}"])


def test_purge_lists_what_goes_and_asks(home: RealLab) -> None:
    before = home.everything()
    told = home.ez("down", "--purge", status=2)
    assert "volume dokuwiki-storage with all data in it" in told.stdout
    assert "folder /opt/stacks/wiki" in told.stdout
    assert "there is nobody to ask" in told.stderr
    assert home.everything() == before


def test_purge_leaves_what_is_not_ours_and_nothing_else(home: RealLab, echo: RealLab, mirror: None) -> None:
    image = home.server.docker(["inspect", "--format", "{{.Config.Image}}", "echo"]).stdout.strip()
    home.server.docker(["tag", image, "somebody/else:1"])
    home.server.docker(["network", "create", "mine"])
    home.server.docker(["volume", "create", "mine"])
    mine = ["run", "-d", "--name", "mine", "--network", "mine", "-v", "mine:/data", "somebody/else:1"]
    home.server.docker(mine)
    home.server.write(FOREIGN_STACK, "services: {}\n")
    container = home.containers()["mine"]

    home.ez("down", "--purge", "--yes")
    assert home.containers() == {"mine": container}
    assert home.volumes() == {"mine"}
    assert home.networks().keys() == {"bridge", "host", "none", "mine"}
    assert {image.split()[0] for image in home.images()} == {"somebody/else:1"}
    assert home.server.run(["find", "/opt/stacks", "-type", "f"]).stdout == f"{FOREIGN_STACK}\n"
    assert home.server.run(["test", "-e", STATE], check=False).returncode == 1
    assert f"{LAB}/homelab.yaml" in home.files()
    assert not {"127.0.0.1:80", "127.0.0.1:443", "127.0.0.1:20444"} & listening(home.server)
    assert home.ez("down", "--purge", "--yes").stdout == "Nothing was there.\n"


def test_a_lab_from_a_registry_comes_up_in_its_place(home: RealLab, mirror: None) -> None:
    home.server.docker(["rm", "-f", "mine"])
    home.server.docker(["image", "rm", "somebody/else:1"])
    compose = f"{LAB}/catalog/echo/compose.yaml"
    text = home.server.read(compose).decode()
    home.server.write(compose, text.replace("example.org/echo:1", UPSTREAM["echo"]))
    home.write(FROM_REGISTRY)

    told = home.ez("up", "--yes")
    assert "+ image traefik:v3.7.15 pull: not on the server" in " ".join(told.stdout.split())
    assert "package edition" not in told.stdout
    assert {image.split()[0] for image in home.images()} == {f"{REGISTRY}/{name}" for name in UPSTREAM.values()}
    assert "GET /" in home.curl(f"https://echo.{DOMAIN}/", "--insecure").stdout
    assert home.document("verify")["holds"]
    assert home.document("plan")["actions"] == []


AUTHELIA = os.environ.get("EZ_TEST_AUTHELIA", "")
STAND_INS = {
    "authelia/authelia:4.39.22": "COPY authelia /usr/local/bin/authelia",
    "valkey/valkey:8.1.8-alpine": (
        "RUN apt-get update && apt-get install -y --no-install-recommends redis-server"
        " && ln -s /usr/bin/redis-server /usr/local/bin/valkey-server"
        " && ln -s /usr/bin/redis-cli /usr/local/bin/valkey-cli"
    ),
}
"""What stands in for upstream's images, where there is no registry to pull them from: the real Authelia that was named,
and Debian's Redis, which Valkey came from."""


@pytest.mark.skipif(not AUTHELIA, reason="EZ_TEST_AUTHELIA names no executable")
def test_authelia_takes_the_gates_place_and_every_claim_holds(home: RealLab, mirror: None) -> None:
    home.server.write("/root/images/authelia", Path(AUTHELIA).read_bytes(), mode=0o755)
    for name, step in STAND_INS.items():
        recipe = f"FROM {REGISTRY}/{UPSTREAM['echo']}\nUSER 0\nENTRYPOINT []\n{step}\n"
        home.server.write("/root/images/Dockerfile", recipe)
        home.server.run(["docker", "build", "--quiet", "--tag", f"{REGISTRY}/{name}", "/root/images"])
        home.server.docker(["push", "-q", f"{REGISTRY}/{name}"])
    home.write(f"{FROM_REGISTRY}sign_on: {{engine: authelia}}\n")
    home.ez("up", "--yes")
    home.server.write(CERTIFICATE, home.ez("trust", "--print").stdout)
    assert {"authelia", "authelia-sessions"} <= home.containers().keys()
    assert "gate" not in home.containers()
    echo = f"https://echo.{DOMAIN}/"
    assert home.status_of(echo, signed_in=False).startswith(f"302 https://auth.{DOMAIN}/?rd=")
    proof = home.document("verify")
    assert proof["holds"], [check for check in proof["checks"] if check["state"] == "failed"]
    assert {"anonymous is not let in", "signed-in gets the app"} <= {
        check["claim"] for check in proof["checks"] if check["subject"] == "echo"
    }
    assert home.document("plan")["actions"] == []
    home.server.docker(["restart", "authelia", "authelia-sessions"])
    # Traefik leads to the portal again when Docker calls it healthy.
    portal = f"https://auth.{DOMAIN}/api/health"
    wait_for("it is back", lambda: home.status_of(portal, signed_in=False).startswith("200"), seconds=60)
    assert home.document("verify")["holds"]
    home.write(FROM_REGISTRY)
    home.ez("apply", "--yes")
    assert home.document("verify")["holds"]
