"""Names of images, in every form that Docker and this tool write them. The cases stand in references.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ez_homelab.images.reference import Reference, as_listed, is_base, is_edition, mirrored, pinned, short

DIGEST = f"sha256:{'a' * 64}"
CASES = yaml.safe_load((Path(__file__).parent / "references.yaml").read_text().replace("DIGEST", DIGEST))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:50])
def test_a_reference_in_every_form(case: dict[str, Any]) -> None:
    text = case["text"]
    digest = DIGEST if case.get("digest") else ""
    assert Reference.parse(text) == Reference(case["registry"], case["path"], case.get("tag", ""), digest)
    assert Reference.parse(str(Reference.parse(text))) == Reference.parse(text)
    assert short(text) == case["short"]
    assert as_listed(text) == case["listed"]
    assert is_edition(text) == case.get("edition", False)
    assert is_base(text) == case.get("base", False)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "a/", "/a", "a:", ":1", "a@", "a@sha256:1", f"a@{DIGEST}0", "a b", "a:1:2", "Traefik:1", "a//b"),
        *("a:-1", "https://a.b/c", "a.b/", f"a:{'1' * 129}", "a\n", "-a", "a:$(x)", "a.b:port/c", "--help"),
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ValueError, match="not the name of an image"):
        Reference.parse(text)


@pytest.mark.parametrize(
    ("reference", "there"),
    [
        ("traefik:v3", "registry.lan/library/traefik:v3"),
        (f"docker.io/prom/prometheus:v3@{DIGEST}", f"registry.lan/prom/prometheus:v3@{DIGEST}"),
        ("ghcr.io/a/b:1", "registry.lan/ghcr.io/a/b:1"),
        ("registry.example:5000/b:1", "registry.lan/registry.example-5000/b:1"),
        ("127.0.0.1:20444/ez-homelab/x:1", "registry.lan/ez-homelab/x:1"),
    ],
)
def test_a_mirror_has_every_registry(reference: str, there: str) -> None:
    assert mirrored(reference, "registry.lan") == there
    assert mirrored(reference, "registry.lan/hub") == there.replace("registry.lan", "registry.lan/hub", 1)
    assert mirrored(reference, None) == reference


@pytest.mark.parametrize("name", ["traefik:v3", "prom/prometheus:v3", "ghcr.io/a/b:1"])
def test_the_short_name_of_a_mirrored_image_is_the_catalogs(name: str) -> None:
    for mirror in ("registry.lan", "registry.lan:5000/hub/deeper"):
        there = mirrored(name, mirror)
        assert short(there, mirror) == name
        assert short(there) != name
        assert short(f"{there}@{DIGEST}", mirror) == name


def test_pinned() -> None:
    assert pinned("docker.io/a/b", "1", DIGEST) == f"docker.io/a/b:1@{DIGEST}"
    assert pinned("docker.io/a/b", "", DIGEST) == f"docker.io/a/b@{DIGEST}"
