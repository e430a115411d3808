"""What `init` writes loads, and says what it should."""

from __future__ import annotations

import re

import pytest

from ez_homelab.config.load import lab_from_text
from ez_homelab.config.options import LAB
from ez_homelab.config.starter import starter_lab
from ez_homelab.errors import UsageError


@pytest.mark.parametrize("source", ["registry", "packages"])
def test_the_starter_lab_loads(source: str) -> None:
    files = starter_lab("my.home.arpa", source)  # type: ignore[arg-type]
    lab = lab_from_text(files["homelab.yaml"], ["dokuwiki", "prometheus", "node-exporter", "glances"])
    assert lab.domain == "my.home.arpa"
    assert lab.images.source == source
    assert {stack.name: [app.name for app in stack.apps] for stack in lab.stacks} == {
        "wiki": ["dokuwiki"],
        "monitoring": ["prometheus", "node-exporter", "glances"],
    }
    assert [(app.name, app.lazy.mode) for app in lab.instances if app.lazy.mode] == [("dokuwiki", "stop")]


def test_what_the_comments_offer_loads_too() -> None:
    text = starter_lab()["homelab.yaml"]
    offered = re.sub(
        r"^( *)# (timezone|user|paths|  \w+|- metrics2|    app|    subdomain|    environment|      LOG_LEVEL"
        r"|    limits|      memory|      cpus):",
        r"\1\2:",
        text,
        flags=re.MULTILINE,
    )
    lab = lab_from_text(offered)
    assert lab.timezone == "Europe/Berlin"
    assert lab.paths.data == "/mnt/data"
    metrics = lab.instances[-1]
    assert (metrics.name, metrics.app, metrics.subdomain) == ("metrics2", "prometheus", "numbers")
    assert (metrics.limits.memory, metrics.limits.cpus, metrics.environment) == ("512M", "1.5", {"LOG_LEVEL": "debug"})


def test_the_starter_names_most_options() -> None:
    text = starter_lab()["homelab.yaml"]
    assert [option.name for option in LAB.options if f"{option.name}:" not in text] == ["servers", "include"]


def test_a_domain_that_a_lab_cannot_have_is_refused() -> None:
    with pytest.raises(UsageError, match="public name"):
        starter_lab("example.com")
