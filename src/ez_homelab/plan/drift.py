"""What is otherwise on the servers than the lab left it: seen by comparing what should be, what was applied, what is.

What homelab.yaml wants and no apply has done yet is no drift: that is a plan's to tell.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING, Literal

from ez_homelab.observe.observed import Unknown
from ez_homelab.observe.states import state_of
from ez_homelab.plan.files import edited_files, is_still_kept
from ez_homelab.render.desired import STACKS_FOLDER, stack_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.observe.observed import ObservedContainer, ObservedServer
    from ez_homelab.render.desired import Desired, DesiredServer, DesiredService

DriftKind = Literal[
    "unknown", "crash-loop", "failed", "missing", "changed-definition", "moved-image", "edited-file", "held",
    "unmanaged", "unmanaged-stack",
]  # fmt: skip

NOT_SHOWN = "not shown: this file holds secrets"


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is otherwise than the lab left it.

    `desired`, `applied` and `live` are what the lab file, the last apply and the server say of it, in words; empty
    where that source says nothing. `path` is the file, for those that have a text to show. `accepted`: a person chose
    it so.
    """

    server: str
    kind: DriftKind
    name: str
    evidence: str
    desired: str = ""
    applied: str = ""
    live: str = ""
    path: str = ""
    fix: str = ""
    accepted: bool = False

    @property
    def differs(self) -> str:
        """Which of the three differs from which."""
        if self.kind == "unknown":
            return "the server could not be looked at"
        if not self.desired and not self.applied:
            return "the server has it, homelab.yaml does not"
        if not self.applied:
            return "the server differs from homelab.yaml"
        if not self.desired:
            return "the server differs from the last apply"
        if self.desired == self.applied:
            return "the server differs from homelab.yaml and the last apply"
        return "all three differ"

    def to_dict(self) -> dict[str, object]:
        """The row as `--json` prints it."""
        return {**asdict(self), "differs": self.differs}


def find_drift(desired: Desired, observed: Mapping[str, ObservedServer | Unknown]) -> tuple[Drift, ...]:
    """Everything that is otherwise than the lab left it, server by server."""
    rows: list[Drift] = []
    for name, server in desired.servers.items():
        found = observed[name]
        if isinstance(found, Unknown):
            rows.append(Drift(name, "unknown", name, found.reason))
        else:
            rows += [*_containers(server, found), *_files(server, found), *_of_others(server, found)]
    return tuple(rows)


def holds_secrets(path: str) -> bool:
    """Whether no line of the file may be shown: a stack's `.env`, and what lies in its folder `secrets`."""
    parts = path.removeprefix(f"{stack_folder(path)}/").split("/")
    return parts[-1] == ".env" or parts[0] == "secrets"


def shown_text(path: str, content: bytes | None) -> str:
    """The file's text as far as a person may see it; empty where there is no file."""
    if content is None:
        return ""
    if holds_secrets(path):
        return f"({NOT_SHOWN})\n"
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"({len(content)} bytes that are no text)\n"


def text_diff(path: str, desired: str, live: str) -> str:
    """The lab's text against the one on the server, as a unified diff; both as `shown_text` gives them."""
    if holds_secrets(path):
        return f"({NOT_SHOWN})"
    before, after = desired.splitlines(), live.splitlines()
    return "\n".join(unified_diff(before, after, f"{path} (the lab's)", f"{path} (on the server)", lineterm="", n=2))


def _containers(server: DesiredServer, found: ObservedServer) -> Iterator[Drift]:
    for service in server.services:
        container = found.container(service.name)
        if container is None:
            yield from _missing(service, found)
        elif container.fingerprint is not None:
            yield from _state(service, container, found)
            yield from _definition(server, service, container, found)
            yield from _image(service, container, found)


def _missing(service: DesiredService, found: ObservedServer) -> Iterator[Drift]:
    applied = found.applied
    # A record of before images were noted down knows the stack's file alone.
    known = service.name in applied.images if applied.images else f"{_folder(service)}/compose.yaml" in applied.files
    if known:
        yield Drift(found.name, "missing", service.key, "no container", "running", "running", "no container",
                    fix="ez-homelab apply")  # fmt: skip


def _state(service: DesiredService, container: ObservedContainer, found: ObservedServer) -> Iterator[Drift]:
    state, evidence = state_of(service, container)
    kind: DriftKind
    if state == "held":
        kind, fix = "held", "ez-homelab apply --start-held"
    elif state == "failed":
        kind, fix = ("crash-loop" if container.crashes else "failed"), f"ez-homelab logs {service.app}"
    else:
        return
    yield Drift(found.name, kind, service.key, evidence, "running", "running", evidence, fix=fix)


def _definition(
    server: DesiredServer, service: DesiredService, container: ObservedContainer, found: ObservedServer
) -> Iterator[Drift]:
    """A container made from something else than the last apply left; one that homelab.yaml has outrun is a plan's."""
    applied = found.applied.images.get(service.name, "")
    if applied and container.image != applied:
        yield Drift(found.name, "changed-definition", service.key, "it runs another image than the last apply gave it",
                    service.image, applied, container.image, fix="ez-homelab apply")  # fmt: skip
    elif found.is_made_by_hand(container) and not is_still_kept(server, found, f"{_folder(service)}/compose.yaml"):
        known = f"definition {found.applied.definitions[service.name][:12]}"
        yield Drift(found.name, "changed-definition", service.key, "it was made by hand from another definition",
                    known, known, f"definition {container.definition[:12]}", fix="ez-homelab apply")  # fmt: skip
    elif container.fingerprint != service.fingerprint and _is_as_applied(server, service, found):
        wanted = f"definition {service.fingerprint}"
        yield Drift(found.name, "changed-definition", service.key, "it was made from another definition",
                    wanted, wanted, f"definition {container.fingerprint}", fix="ez-homelab apply")  # fmt: skip


def _is_as_applied(server: DesiredServer, service: DesiredService, found: ObservedServer) -> bool:
    """Whether the last apply wrote all that the lab file says of the service's stack."""
    own = [file for file in server.files if file.path.startswith(f"{_folder(service)}/")]
    return all(file.sha256 in found.applied.files.get(file.path, ()) for file in own)


def _image(service: DesiredService, container: ObservedContainer, found: ObservedServer) -> Iterator[Drift]:
    """A name that means another image by now than when the container was made. The container keeps what it has."""
    for reference in dict.fromkeys((container.image, container.image.partition("@")[0])):
        image_id = found.image_id(reference)
        if image_id and image_id != container.image_id:
            evidence = f"{reference} is {image_id} now; the container was made from {container.image_id} and keeps it"
            yield Drift(found.name, "moved-image", service.key, evidence, desired=f"{reference} ({image_id})",
                        live=container.image_id)  # fmt: skip
            return


def _files(server: DesiredServer, found: ObservedServer) -> Iterator[Drift]:
    edited = set(edited_files(server, found))
    wanted = {file.path: file.sha256 for file in server.files}
    for path in sorted(wanted.keys() | found.applied.files.keys()):
        known = found.applied.files.get(path, ())
        if path in edited:
            yield _edited(path, wanted.get(path), known, server, found)
        elif path in wanted and known and found.files.get(path) is None:
            applied = _text(wanted[path] if wanted[path] in known else known[-1])
            yield Drift(found.name, "missing", path, "no file", _text(wanted[path]), applied, "no file", path,
                        "ez-homelab apply")  # fmt: skip


def _edited(
    path: str, wanted: str | None, known: tuple[str, ...], server: DesiredServer, found: ObservedServer
) -> Drift:
    state = found.files[path]
    live = _text(state.sha256) if state and state.sha256 else "a link or a folder"
    applied = _text(wanted if wanted in known else known[-1] if known else None)
    kept = is_still_kept(server, found, path)
    evidence = "kept as you chose" if kept else "edited on the server" if wanted else "edited, and no longer of the lab"
    fix = "" if kept else f"ez-homelab drift keep {path} (or: overwrite, adopt)"
    return Drift(found.name, "edited-file", path, evidence, _text(wanted), applied, live, path, fix, accepted=kept)


def _text(sha256: str | None) -> str:
    return f"text {sha256[:12]}" if sha256 else ""


def _of_others(server: DesiredServer, found: ObservedServer) -> Iterator[Drift]:
    for container in found.containers:
        if container.fingerprint is None:
            evidence = f"nobody declared it: image {container.image}, {container.state}"
            yield Drift(found.name, "unmanaged", container.name, evidence, live=container.state)
    own = {stack.name for stack in server.stacks} - {*found.foreign_stacks}
    for name in found.unmarked:
        if name not in own:
            yield _foreign(name, found)


def _foreign(name: str, found: ObservedServer) -> Drift:
    folder = f"{STACKS_FOLDER}/{name}"
    if name in found.foreign_stacks:
        fix = f"rename the stack `{name}` in homelab.yaml, or move the folder away"
        evidence = f"{folder} holds no marker of ours, and the lab has a stack of that name"
        return Drift(found.name, "unmanaged-stack", name, evidence, "a stack", "", "made by hand", fix=fix)
    return Drift(found.name, "unmanaged-stack", name, f"{folder} holds no marker of ours", live="made by hand")


def _folder(service: DesiredService) -> str:
    return f"{STACKS_FOLDER}/{service.stack}"
