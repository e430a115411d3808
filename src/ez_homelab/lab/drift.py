"""What is otherwise than a lab left it, and what a person decides about it; its door is the class in this package."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ez_homelab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ez_homelab.config.files import Edit
    from ez_homelab.lab import Homelab
    from ez_homelab.plan import Choice
    from ez_homelab.plan.drift import Drift
    from ez_homelab.render.desired import DesiredServer


async def find(lab: Homelab) -> tuple[Drift, ...]:
    """Everything that is otherwise than the lab left it."""
    from ez_homelab.plan.drift import find_drift

    _, observed = await lab.look_and_plan()
    return find_drift(lab.desired, observed)


async def texts(lab: Homelab, server: str, path: str) -> tuple[str, str]:
    """The lab's text of a file and the server's, as far as a person may see them."""
    from ez_homelab.plan.drift import shown_text

    wanted = next((file.content for file in lab.desired.servers[server].files if file.path == path), None)
    return shown_text(path, wanted), shown_text(path, await lab.hosts[server].read(path))


async def decide(lab: Homelab, choice: Choice, paths: Iterable[str]) -> tuple[Edit, ...]:
    """Settle what becomes of edited files; for `adopt` returns the edits of the lab's own files, not written yet.

    Raises `UsageError` for a path that nobody edited, `NotAdoptedError` for a text that cannot become the lab's.
    """
    found = await _edited(lab, paths)
    if choice == "adopt":
        return tuple([edit for server, path in found for edit in await _adopted(lab, server.name, path)])
    async with lab.locked():
        for server, path in found:
            await _note(lab, server, path, keep=choice == "keep")
    return ()


async def _edited(lab: Homelab, paths: Iterable[str]) -> list[tuple[DesiredServer, str]]:
    from ez_homelab.observe import Unknown
    from ez_homelab.plan.files import edited_files

    _, observed = await lab.look_and_plan()
    edited = {path: server for server in lab.desired.servers.values()
              if not isinstance(found := observed[server.name], Unknown)
              for path in edited_files(server, found)}  # fmt: skip
    wanted = [*paths]
    for path in wanted:
        if path not in edited:
            known = ", ".join(sorted(edited)) or "none"
            raise UsageError(f"{path} was not edited on a server", evidence=f"edited: {known}", fix="ez-homelab drift")
    return [(edited[path], path) for path in wanted]


async def _note(lab: Homelab, server: DesiredServer, path: str, *, keep: bool) -> None:
    from ez_homelab.observe.look import APPLIED_RECORD
    from ez_homelab.observe.record import encode_applied, parse_applied

    host = lab.hosts[server.name]
    record = parse_applied(await host.read(APPLIED_RECORD))
    wanted = next((file.sha256 for file in server.files if file.path == path), None)
    live = (await host.states([path]))[path]
    after = record.keeping(path, live.sha256, wanted) if keep and live else record.not_keeping(path)
    await host.write(APPLIED_RECORD, encode_applied(after), mode=0o600)


async def _adopted(lab: Homelab, server: str, path: str) -> tuple[Edit, ...]:
    from ez_homelab.config.adopt import adopt_compose, adopt_edits
    from ez_homelab.config.adopted_files import adopt_file
    from ez_homelab.render.desired import STACKS_FOLDER, stack_folder

    stack = stack_folder(path).removeprefix(f"{STACKS_FOLDER}/")
    below = path.removeprefix(f"{stack_folder(path)}/")
    content = await lab.hosts[server].read(path) or b""
    if below != "compose.yaml":
        return (adopt_file(lab.folder, stack, below, content),)
    wanted = next(file.content for file in lab.desired.servers[server].files if file.path == path)
    services = {instance.container(name): (instance.name, name) for instance in lab.instances
                if instance.server == server and instance.stack == stack
                for name in instance.app.compose.services}  # fmt: skip
    edits = adopt_edits(lab.folder, adopt_compose(wanted.decode(), content.decode(), services))
    _require_the_same(_rendered_with(lab, edits, server, path), content.decode(), path)
    return edits


def _rendered_with(lab: Homelab, edits: Iterable[Edit], server: str, path: str) -> str:
    """What would be rendered if the edits were written; tried on a copy of the lab's own files."""
    with TemporaryDirectory() as name:
        copy = Path(name)
        for file, text in (lab.own_files() | {_below(lab, edit): edit.after.encode() for edit in edits}).items():
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            (copy / file).write_bytes(text)
        files = lab.rendered_from(copy).servers[server].files
        return next(file.content.decode() for file in files if file.path == path)


def _below(lab: Homelab, edit: Edit) -> str:
    return edit.path.relative_to(lab.folder).as_posix()


def _require_the_same(rendered: str, edited: str, path: str) -> None:
    from ez_homelab.config.adopt import compose_differences
    from ez_homelab.config.adopted_files import not_adopted
    from ez_homelab.errors import Fault

    if differences := compose_differences(rendered, edited):
        message = "would not be as it was edited"
        raise not_adopted(path, tuple(Fault(path, 0, 0, f"`{place}` {message}") for place in differences))
