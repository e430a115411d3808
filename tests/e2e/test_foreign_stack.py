"""What somebody else put on the server is never written: a stack folder, a container of a name that the lab wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from real_lab import RealLab

FOLDER = "/opt/stacks/books"
TEXT = "# Mine.\nservices:\n  books:\n    image: somebody/books:1\n"
NEW = "  books:\n    - echo4: {app: echo}\n"


@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes"), ("up", "--yes")])
def test_a_stack_folder_without_our_marker_is_refused_and_left_alone(
    lab: RealLab, echo: RealLab, command: tuple[str, ...]
) -> None:
    lab.server.write(f"{FOLDER}/compose.yaml", TEXT)
    try:
        lab.write(lab.text + NEW)
        before = lab.everything()
        told = lab.ez(*command, status=1).stderr
        assert f"the stack folder {FOLDER} on core was not made by EZ-Homelab" in told
        assert "rename the stack `books` in homelab.yaml, or move the folder away" in told
        assert lab.everything() == before
        assert lab.server.read(f"{FOLDER}/compose.yaml") == TEXT.encode()
        assert lab.server.run(["ls", "-A", FOLDER]).stdout == "compose.yaml\n"
    finally:
        lab.server.run(["rm", "-r", FOLDER])


def test_a_container_of_that_name_is_refused_and_left_alone(lab: RealLab, echo: RealLab) -> None:
    image = lab.server.docker(["inspect", "--format", "{{.Config.Image}}", "echo"]).stdout.strip()
    lab.server.docker(["run", "-d", "--name", "echo4", image])
    try:
        lab.write(lab.text + NEW)
        before = lab.everything()
        told = lab.ez("apply", "--yes", status=1).stderr
        assert "a container called echo4 on core was not made by EZ-Homelab" in told
        assert "docker rm echo4" in told
        assert lab.everything() == before
    finally:
        lab.server.docker(["rm", "-f", "echo4"])
