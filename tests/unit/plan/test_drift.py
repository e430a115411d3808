"""What is told as drift, line by line, and what is shown of a text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ez_homelab.hosts import FileState
from ez_homelab.observe import Unknown
from ez_homelab.plan.drift import Drift, find_drift, holds_secrets, shown_text, text_diff
from ez_homelab.testing.make_lab import NOW, container_of, desired_of, make_lab, observed_as

if TYPE_CHECKING:
    from ez_homelab.observe import ObservedServer

DESIRED = desired_of(make_lab())
SERVER = DESIRED.servers["core"]
MADE = observed_as(DESIRED)["core"]
WIKI = next(service for service in SERVER.services if service.name == "dokuwiki")
COMPOSE = "/opt/stacks/wiki/compose.yaml"
OURS = next(file.sha256 for file in SERVER.files if file.path == COMPOSE)
THEIRS = FileState("ab" * 32, 0o644, 0, 0)
LEFT_OVER = "/opt/stacks/old/compose.yaml"
BY_HAND = replace(container_of(WIKI), name="by-hand", labels={}, image="busybox:1")
IMAGES = {service.name: service.image for service in SERVER.services}
SERVER_ALONE = "the server differs from homelab.yaml and the last apply"


def found(
    *, images: dict[str, str] | None = None, kept: dict[str, str] | None = None, **changes: Any
) -> ObservedServer:
    server = observed_as(DESIRED, **changes)["core"]
    return replace(
        server, applied=replace(server.applied, images=IMAGES if images is None else images, kept=kept or {})
    )


def wiki(**fields: Any) -> ObservedServer:
    return found(containers={"dokuwiki": fields})


def rows(server: ObservedServer | Unknown) -> tuple[Drift, ...]:
    return find_drift(DESIRED, {"core": server})


def told(server: ObservedServer) -> list[tuple[str, str, str, str]]:
    return [(row.kind, row.name, row.evidence, row.differs) for row in rows(server)]


def by_hand(kept: dict[str, str] | None = None) -> ObservedServer:
    """A person edited the Compose file and made the container of it, which has our fingerprint from there."""
    labels = {**container_of(WIKI).labels, "com.docker.compose.config-hash": "0123456789abcdef"}
    server = found(containers={"dokuwiki": {"labels": labels}}, kept=kept)
    server = replace(server, files={**server.files, COMPOSE: THEIRS}) if kept else server
    return replace(server, applied=replace(server.applied, definitions={"dokuwiki": "fedcba9876543210"}))


CASES: dict[str, tuple[ObservedServer, list[tuple[str, str, str, str]]]] = {
    "as it was left": (found(), []),
    "held": (
        wiki(state="exited", health="none"), [("held", "wiki/dokuwiki", "stopped by a person", SERVER_ALONE)],
    ),
    "made by hand": (
        by_hand(),
        [("changed-definition", "wiki/dokuwiki", "it was made by hand from another definition", SERVER_ALONE)],
    ),
    "made by hand from a text that is kept": (
        by_hand({COMPOSE: THEIRS.sha256}), [("edited-file", COMPOSE, "kept as you chose", SERVER_ALONE)],
    ),
    "crash loop": (
        wiki(state="restarting", health="none", exit_code=3, restarts=9),
        [("crash-loop", "wiki/dokuwiki", "crashes at its start, exit status 3", SERVER_ALONE)],
    ),
    "ill": (wiki(health="unhealthy"), [("failed", "wiki/dokuwiki", "its health check fails", SERVER_ALONE)]),
    "starting": (wiki(health="starting"), []),
    "missing": (found(missing={"dokuwiki"}), [("missing", "wiki/dokuwiki", "no container", SERVER_ALONE)]),
    "missing, by a record of before images were noted": (
        found(missing={"dokuwiki"}, images={}), [("missing", "wiki/dokuwiki", "no container", SERVER_ALONE)],
    ),
    "never applied": (
        found(missing={"dokuwiki"}, images={name: image for name, image in IMAGES.items() if name != "dokuwiki"}), [],
    ),
    "another definition": (
        wiki(fingerprint="another"),
        [("changed-definition", "wiki/dokuwiki", "it was made from another definition", SERVER_ALONE)],
    ),
    "the lab file was changed since": (
        found(containers={"dokuwiki": {"fingerprint": "before"}}, applied={COMPOSE: ("cd" * 32,)},
              files={COMPOSE: FileState("cd" * 32, 0o644, 0, 0)}), [],
    ),
    "another image by hand": (
        wiki(image="dokuwiki:by-hand", image_id="sha256:1"),
        [("changed-definition", "wiki/dokuwiki", "it runs another image than the last apply gave it", SERVER_ALONE)],
    ),
    "another image by hand while the lab file wants a third": (
        found(images={**IMAGES, "dokuwiki": "dokuwiki:applied"},
              containers={"dokuwiki": {"image": "dokuwiki:by-hand", "image_id": "sha256:1"}}),
        [("changed-definition", "wiki/dokuwiki", "it runs another image than the last apply gave it",
          "all three differ")],
    ),
    "moved image": (
        wiki(image_id="sha256:before"),
        [("moved-image", "wiki/dokuwiki", (f"{WIKI.image} is sha256:{WIKI.image} now; the container was made from "
          "sha256:before and keeps it"), "the server differs from homelab.yaml")],
    ),
    "edited": (
        found(files={COMPOSE: THEIRS}), [("edited-file", COMPOSE, "edited on the server", SERVER_ALONE)],
    ),
    "a link in the file's place": (
        found(files={COMPOSE: replace(THEIRS, sha256="")}),
        [("edited-file", COMPOSE, "edited on the server", SERVER_ALONE)],
    ),
    "edited, and the lab's text has changed too": (
        found(files={COMPOSE: THEIRS}, applied={COMPOSE: ("cd" * 32,)}),
        [("edited-file", COMPOSE, "edited on the server", "all three differ")],
    ),
    "edited before any apply": (
        found(files={COMPOSE: THEIRS}, applied={COMPOSE: ()}),
        [("edited-file", COMPOSE, "edited on the server", "the server differs from homelab.yaml")],
    ),
    "kept": (
        found(files={COMPOSE: THEIRS}, kept={COMPOSE: THEIRS.sha256}),
        [("edited-file", COMPOSE, "kept as you chose", SERVER_ALONE)],
    ),
    "edited and no longer of the lab": (
        found(files={LEFT_OVER: THEIRS}, applied={LEFT_OVER: ("cd" * 32,)}),
        [("edited-file", LEFT_OVER, "edited, and no longer of the lab", "the server differs from the last apply")],
    ),
    "file deleted": (found(files={COMPOSE: None}), [("missing", COMPOSE, "no file", SERVER_ALONE)]),
    "file not written yet": (found(files={COMPOSE: None}, applied={COMPOSE: ()}), []),
    "unmanaged": (
        found(extra_containers=[BY_HAND]),
        [("unmanaged", "by-hand", "nobody declared it: image busybox:1, running",
          "the server has it, homelab.yaml does not")],
    ),
    "unmanaged stack": (
        replace(found(), unmarked=("games", "wiki")),
        [("unmanaged-stack", "games", "/opt/stacks/games holds no marker of ours",
          "the server has it, homelab.yaml does not")],
    ),
    "unmanaged stack in the lab's way": (
        replace(found(), unmarked=("wiki",), foreign_stacks=("wiki",)),
        [("unmanaged-stack", "wiki", "/opt/stacks/wiki holds no marker of ours, and the lab has a stack of that name",
          "the server differs from homelab.yaml")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_told(case: str) -> None:
    server, expected = CASES[case]
    assert told(server) == expected


def test_the_name_before_the_digest_can_move_too() -> None:
    name, _, digest = "dokuwiki/dokuwiki:1@sha256:aa".partition("@")
    container = {"image": f"{name}@{digest}", "image_id": "sha256:a"}
    server = found(images={**IMAGES, "dokuwiki": f"{name}@{digest}"}, containers={"dokuwiki": container})
    moved = replace(server, images={**server.images, f"dokuwiki/dokuwiki@{digest}": "sha256:a", name: "sha256:b"})
    assert [(row.kind, row.live) for row in rows(moved)] == [("moved-image", "sha256:a")]
    assert rows(replace(moved, images={**moved.images, name: "sha256:a"})) == ()


def test_only_what_is_kept_is_accepted() -> None:
    assert [row.accepted for row in rows(found(files={COMPOSE: THEIRS}, kept={COMPOSE: THEIRS.sha256}))] == [True]
    assert [row.accepted for row in rows(found(files={COMPOSE: THEIRS}, kept={COMPOSE: OURS}))] == [False]


def test_a_server_that_could_not_be_looked_at_is_told_and_nothing_else_of_it() -> None:
    (row,) = rows(Unknown("core", "no route to host", NOW))
    assert (row.kind, row.evidence, row.differs) == ("unknown", "no route to host", "the server could not be looked at")


def test_a_row_as_a_document() -> None:
    (row,) = rows(found(files={COMPOSE: THEIRS}))
    document = row.to_dict()
    assert document["differs"] == SERVER_ALONE
    assert (document["desired"], document["live"]) == (f"text {OURS[:12]}", "text abababababab")
    assert document["fix"] == f"ez-homelab drift keep {COMPOSE} (or: overwrite, adopt)"


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("/opt/stacks/wiki/.env", True),
        ("/opt/stacks/wiki/secrets/wiki/password", True),
        ("/opt/stacks/wiki/config/wiki/.env", True),
        ("/opt/stacks/wiki/compose.yaml", False),
        ("/opt/stacks/secrets/compose.yaml", False),
        ("/opt/stacks/wiki/config/secrets/readme", False),
    ],
)
def test_no_line_of_a_secret_is_shown(path: str, secret: bool) -> None:
    assert holds_secrets(path) is secret
    assert ("hunter2" in shown_text(path, b"A=hunter2\n")) is not secret
    assert ("hunter2" in text_diff(path, "A=1", "A=hunter2")) is not secret


def test_texts_and_their_difference() -> None:
    assert shown_text(COMPOSE, None) == ""
    assert shown_text(COMPOSE, b"\xff\xfe") == "(2 bytes that are no text)\n"
    assert text_diff("/a", "one\ntwo\n", "one\n2\n").splitlines() == [
        "--- /a (the lab's)", "+++ /a (on the server)", "@@ -1,2 +1,2 @@", " one", "-two", "+2",
    ]  # fmt: skip
