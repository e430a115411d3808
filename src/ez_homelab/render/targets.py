"""What Prometheus asks: every app that answers metrics, as files that Prometheus watches (`file_sd_configs`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.render.text import yaml_file

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from ez_homelab.catalog.access import Metrics
    from ez_homelab.render.instance import Instance


def target_files(prometheus: Instance, instances: Sequence[Instance], lazy: Container[str]) -> dict[str, bytes]:
    """One file for the server that this Prometheus runs on: its reachable apps, sorted by name.

    Those in `lazy` are marked: that they do not answer while they sleep is no fault.
    """
    reachable = [instance for instance in instances if _reaches(prometheus, instance)]
    entries = [_entry(instance, metrics, lazy) for instance in sorted(reachable, key=lambda instance: instance.name)
               if (metrics := instance.app.manifest.monitoring.metrics)]  # fmt: skip
    return {f"{prometheus.server}.yml": yaml_file(entries, "what this Prometheus asks on this server")}


def _reaches(prometheus: Instance, other: Instance) -> bool:
    if other.server != prometheus.server:
        return False
    shared = set(prometheus.app.manifest.network.join) & set(other.app.manifest.network.join)
    return bool(shared) or other.name == prometheus.name


def _entry(instance: Instance, metrics: Metrics, lazy: Container[str]) -> dict[str, object]:
    container = instance.container(metrics.service or instance.main_service)
    labels = {"app": instance.name, "server": instance.server, "__metrics_path__": metrics.path}
    if instance.name in lazy:
        labels["lazy"] = "yes"
    return {"targets": [f"{container}:{metrics.port}"], "labels": labels}
