"""Contracts of shipped apps that other parts build on."""

from __future__ import annotations

import pytest
import yaml
from jinja2 import Environment, StrictUndefined

from ez_homelab.catalog.loader import Catalog


@pytest.mark.parametrize("app_id", Catalog.shipped().ids())
def test_no_shipped_container_can_gain_rights(app_id: str) -> None:
    for service in Catalog.shipped().app(app_id).compose.services.values():
        assert "no-new-privileges:true" in service.security_opt
        assert not service.cap_add


def test_the_socket_is_mounted_by_what_filters_it_alone() -> None:
    mounting = [
        (app_id, name)
        for app_id in Catalog.shipped().ids()
        for name, service in Catalog.shipped().app(app_id).compose.services.items()
        if any(mount.source == "/var/run/docker.sock" for mount in service.volumes)
    ]
    filters = ["docker-control-proxy", "docker-socket-proxy"]
    assert mounting == [*((name, name) for name in filters), ("waker", "control")]


def test_node_exporter_and_prometheus_meet_on_the_shared_network() -> None:
    for app_id in ("node-exporter", "prometheus"):
        assert Catalog.shipped().app(app_id).manifest.network.join == ("homelab-network",)


def test_prometheus_configuration_takes_any_name_literally() -> None:
    template = Catalog.shipped().app("prometheus").files["prometheus.yml.j2"].decode()
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - YAML, not HTML
    text = environment.from_string(template).render(domain="lab.localhost", server='co"re: {}')
    configuration = yaml.safe_load(text)
    assert configuration["global"]["external_labels"] == {"lab": "lab.localhost", "server": 'co"re: {}'}
    assert configuration["scrape_configs"][0]["file_sd_configs"][0]["files"] == ["/etc/prometheus/targets/*.yml"]
