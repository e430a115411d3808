"""Every request asks the engine of sign-on: what Traefik's files and container have to hold for that."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ez_homelab.config.load import lab_from_text
from ez_homelab.config.model import CORE
from ez_homelab.sso import ENGINES
from ez_homelab.testing.make_lab import desired_of

LAB = "version: 1\ndomain: lab.localhost\nsign_on: {{engine: {engine}}}\nstacks: {{pages: [dokuwiki, prometheus]}}\n"


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Any:
    return ENGINES[request.param]


@pytest.fixture
def files(engine: Any) -> dict[str, bytes]:
    desired = desired_of(lab_from_text(LAB.format(engine=engine.name)))
    return {file.path: file.content for file in desired.servers[CORE].files}


def read(files: dict[str, bytes], path: str) -> Any:
    return yaml.safe_load(files[f"/opt/stacks/core/{path}"])


def test_everything_through_websecure_asks_the_engine_after_it_was_stripped(files: dict[str, bytes]) -> None:
    entrypoints = read(files, "config/traefik/traefik.yml")["entryPoints"]
    passes = ["security-headers@file", "no-forged-identity@file", "sign-on@file"]
    assert entrypoints["websecure"]["http"]["middlewares"] == passes
    assert entrypoints["websecure"]["asDefault"]
    others = [name for name in entrypoints if name != "websecure"]
    assert others == ["web", "traefik"], "the one leads to websecure, the other is on loopback in the container"


def test_the_middlewares_are_there(files: dict[str, bytes], engine: Any) -> None:
    middlewares = read(files, "config/traefik/dynamic/middlewares.yml")["http"]["middlewares"]
    assert middlewares["sign-on"] == engine.forward_auth()
    assert {"security-headers", "no-forged-identity", "sign-on"} == middlewares.keys()


def test_no_label_says_anything_about_sign_on(files: dict[str, bytes]) -> None:
    for path, content in files.items():
        if path.endswith("/compose.yaml"):
            for name, service in yaml.safe_load(content)["services"].items():
                assert not [label for label in service.get("labels", {}) if "middlewares" in label], name


def test_traefik_waits_for_the_engine_and_shares_its_network_from_its_start(
    files: dict[str, bytes], engine: Any
) -> None:
    services = read(files, "compose.yaml")["services"]
    portal = engine.apps[0]
    assert services["traefik"]["depends_on"][portal] == {"condition": "service_healthy"}
    assert f"edge-{portal}" in services["traefik"]["networks"]
    assert f"edge-{portal}" in services[portal]["networks"]
    others = {name for name, service in services.items() if f"edge-{portal}" in service["networks"]}
    assert others == {"traefik", portal}


def test_traefik_asks_the_engine_itself_whatever_proxy_docker_hands_to_containers(files: dict[str, bytes]) -> None:
    environment = read(files, "compose.yaml")["services"]["traefik"]["environment"]
    assert (environment["HTTP_PROXY"], environment["http_proxy"]) == ("", "")


def test_the_engines_ports_are_not_published(files: dict[str, bytes], engine: Any) -> None:
    services = read(files, "compose.yaml")["services"]
    assert [name for name, service in services.items() if service.get("ports")] == ["traefik"]
