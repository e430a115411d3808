"""What every Host does alike. A host takes part by a subclass in test_conformance.py that gives it a `server`.

Where a host differs on purpose, a class attribute says so, once, and the cases that depend on it are skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ez_homelab.errors import CommandError, LockedError
from ez_homelab.hosts import Command, Completed, FileState, Host, command

if TYPE_CHECKING:
    from collections.abc import Callable

ME = {"uid": os.getuid(), "gid": os.getgid()}
LOCK_TEXT = "alice, ez-homelab apply, since 12:00"

# Tells how it was called; ends with the status it was told.
PROBE = """
import json, os, sys
json.dump({"arguments": sys.argv[1:], "directory": os.getcwd(), "stdin": sys.stdin.buffer.read().hex(),
           "environment": dict(os.environ)}, sys.stdout)
sys.exit(int(os.environ.get("PROBE_STATUS", "0")))
"""
BIG = """
import sys
for _ in range(160):
    sys.stdout.write("o" * 65535 + "\\n")
    sys.stderr.write("e" * 65535 + "\\n")
"""
ARGUMENTS = [
    "plain",
    "",
    " ",
    "two words",
    "it's",
    'say "hello"',
    "$(touch /tmp/owned)",
    "`id`",
    "$HOME",
    "a; b && c | d > e",
    "line one\nline two",
    "tab\tand\rreturn",
    "back\\slash",
    "*",
    "~",
    "!history",
    "-dash",
    "--",
    "-c",
    "ünïcödé 家 🏠",
]


@dataclass(frozen=True)
class Server:
    """A host to try, and an empty folder on it."""

    host: Host
    base: str

    def path(self, *parts: str) -> str:
        return "/".join((self.base, *parts))

    async def put(self, path: str, content: bytes = b"x", mode: int = 0o644) -> None:
        await self.host.write(path, content, mode=mode, **ME)

    async def probe(self, *arguments: str, **options: Any) -> tuple[Completed, Any]:
        done = await self.host.run(probe_command(*arguments, **options))
        return done, json.loads(done.stdout)


def probe_command(*arguments: str, **options: Any) -> Command:
    return command(sys.executable, "-c", PROBE, *arguments, changes=False, **options)


def look(*argv: str, timeout: float = 60.0) -> Command:
    return command(*argv, timeout=timeout, changes=False)


class Conformance:
    """The suite."""

    runs_programs = True
    """False where programs are only imitated."""
    writes_to_disk = True
    """False where what is written lies elsewhere than at its path on this machine's disk."""
    foresees_refusals = True
    """False where a write is not found to be impossible before it is really tried."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Server:
        raise NotImplementedError

    @pytest.fixture
    def programs(self) -> None:
        if not self.runs_programs:
            pytest.skip("this host runs no real programs")

    @pytest.fixture
    def disk(self) -> None:
        if not self.writes_to_disk:
            pytest.skip("this host's files are not on this machine's disk")

    def test_keeps_the_protocol(self, server: Server) -> None:
        assert isinstance(server.host, Host)

    # Programs

    @pytest.mark.parametrize("argument", ARGUMENTS)
    async def test_hands_an_argument_over_as_it_is(self, server: Server, argument: str) -> None:
        _, seen = await server.probe(argument)
        assert seen["arguments"] == [argument]

    async def test_keeps_arguments_apart_and_in_order(self, server: Server) -> None:
        _, seen = await server.probe(*ARGUMENTS)
        assert seen["arguments"] == ARGUMENTS

    @pytest.mark.parametrize("status", [0, 1, 2, 126, 255])
    async def test_tells_the_exit_status(self, server: Server, status: int) -> None:
        done, _ = await server.probe(environment={"PROBE_STATUS": str(status)})
        assert done.status == status
        assert done.ok == (status == 0)

    async def test_tells_the_command(self, server: Server) -> None:
        asked = probe_command("a")
        assert (await server.host.run(asked)).command == asked

    async def test_a_missing_program_is_127(self, server: Server) -> None:
        done = await server.host.run(look("no-such-program-anywhere", "-x"))
        assert done.status == 127
        assert "no-such-program-anywhere" in done.last_line

    async def test_hands_over_stdin_byte_by_byte(self, server: Server) -> None:
        content = bytes(range(256)) * 1000
        _, seen = await server.probe(stdin=content)
        assert bytes.fromhex(seen["stdin"]) == content

    async def test_without_stdin_there_is_nothing_to_read(self, server: Server) -> None:
        _, seen = await server.probe()
        assert seen["stdin"] == ""

    async def test_adds_to_the_environment(self, server: Server) -> None:
        value = "it's $(id)\nund ünïcödé"
        _, seen = await server.probe(environment={"PROBE_VALUE": value})
        assert seen["environment"]["PROBE_VALUE"] == value
        assert "PATH" in seen["environment"]

    async def test_runs_in_the_folder(self, server: Server) -> None:
        _, seen = await server.probe(directory=server.base)
        assert seen["directory"] == server.base

    @pytest.mark.usefixtures("programs")
    async def test_a_folder_that_is_not_there(self, server: Server) -> None:
        with pytest.raises(CommandError) as raised:
            await server.probe(directory=server.path("nowhere"))
        assert server.path("nowhere") in raised.value.what

    @pytest.mark.usefixtures("programs")
    async def test_a_signal_is_128_and_its_number(self, server: Server) -> None:
        assert (await server.host.run(look("sh", "-c", "kill -KILL $$"))).status == 128 + 9

    @pytest.mark.usefixtures("programs")
    async def test_stdin_that_nobody_reads(self, server: Server) -> None:
        done = await server.host.run(command("true", stdin=b"x" * 1_000_000, changes=False))
        assert done.ok

    @pytest.mark.usefixtures("programs")
    @pytest.mark.parametrize("listening", [True, False])
    async def test_much_output_on_both_streams(self, server: Server, listening: bool) -> None:
        lines: list[str] = []
        done = await server.host.run(look(sys.executable, "-c", BIG), on_line=lines.append if listening else None)
        assert done.ok
        assert done.stdout == ("o" * 65535 + "\n") * 160
        assert done.stderr == ("e" * 65535 + "\n") * 160
        assert len(lines) == (320 if listening else 0)

    async def test_lines_come_in_order(self, server: Server) -> None:
        lines: list[str] = []
        script = "i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo $i; done; printf 'no end'"
        done = await server.host.run(look("sh", "-c", script), on_line=lines.append)
        assert lines == [*(str(number) for number in range(1, 501)), "no end"]
        assert done.stdout.splitlines() == lines

    @pytest.mark.usefixtures("programs")
    async def test_lines_of_both_streams(self, server: Server) -> None:
        lines: list[str] = []
        await server.host.run(
            look("sh", "-c", "echo out; echo; echo err >&2; printf 'dos\\r\\n'"), on_line=lines.append
        )
        assert sorted(lines) == ["", "dos", "err", "out"]

    @pytest.mark.usefixtures("programs", "disk")
    async def test_a_line_comes_while_the_program_still_runs(self, server: Server) -> None:
        go = Path(server.path("go"))
        script = f"echo ready; while [ ! -e {go} ]; do :; done"
        done = await server.host.run(look("sh", "-c", script), on_line=lambda _line: go.touch())
        assert done.ok

    @pytest.mark.usefixtures("programs")
    async def test_output_that_is_not_utf8(self, server: Server) -> None:
        lines: list[str] = []
        done = await server.host.run(look("printf", "a\\377b\\n"), on_line=lines.append)
        assert done.stdout == "a\ufffdb\n"
        assert lines == ["a\ufffdb"]

    @pytest.mark.usefixtures("programs")
    async def test_a_timeout_ends_the_program_and_all_it_started(self, server: Server) -> None:
        with pytest.raises(CommandError) as raised:
            await server.host.run(look("sh", "-c", "sleep 1000 & echo $!; wait", timeout=1.0))
        assert "1 s" in raised.value.what
        assert raised.value.fix
        stat = await server.host.read(f"/proc/{raised.value.evidence}/stat")
        assert stat is None or stat.rpartition(b")")[2].split()[0] == b"Z"

    @pytest.mark.usefixtures("programs")
    async def test_an_error_of_the_listener_ends_the_program(self, server: Server) -> None:
        def refuse(line: str) -> None:
            raise RuntimeError(line)

        with pytest.raises(RuntimeError, match="first"):
            await server.host.run(look("sh", "-c", "echo first; sleep 1000"), on_line=refuse)

    # Files

    async def test_no_such_file(self, server: Server) -> None:
        assert await server.host.read(server.path("nothing")) is None
        assert await server.host.read(server.path("no", "folder", "nothing")) is None
        assert await server.host.states([server.path("nothing")]) == {server.path("nothing"): None}

    @pytest.mark.parametrize("content", [b"", b"text\n", bytes(range(256)), b"x" * 1_000_000])
    async def test_reads_what_was_written(self, server: Server, content: bytes) -> None:
        await server.put(server.path("file"), content)
        assert await server.host.read(server.path("file")) == content

    @pytest.mark.parametrize("name", ["with space", "it's", "$(id)", "-rf", "ünï🏠", "new\nline", ".hidden", "n" * 255])
    async def test_any_name_will_do(self, server: Server, name: str) -> None:
        path = server.path(name)
        await server.put(path, b"here")
        assert await server.host.read(path) == b"here"
        assert await server.host.list_files(server.base) == [path]
        await server.host.remove(path)
        assert await server.host.list_files(server.base) == []

    async def test_something_below_a_file_is_not_there(self, server: Server) -> None:
        await server.put(server.path("file"))
        assert await server.host.read(server.path("file", "below")) is None
        assert (await server.host.states([server.path("file", "below")]))[server.path("file", "below")] is None

    async def test_a_folder_cannot_be_read(self, server: Server) -> None:
        with pytest.raises(CommandError) as raised:
            await server.host.read(server.base)
        assert server.base in raised.value.what

    async def test_a_write_makes_the_parents(self, server: Server) -> None:
        await server.put(server.path("a", "b", "c", "file"), b"deep")
        assert await server.host.read(server.path("a", "b", "c", "file")) == b"deep"

    async def test_a_write_replaces(self, server: Server) -> None:
        path = server.path("file")
        await server.put(path, b"old and long", 0o755)
        await server.put(path, b"new", 0o600)
        assert await server.host.read(path) == b"new"
        assert await server.host.states([path]) == {path: FileState.of(b"new", mode=0o600, **ME)}

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o755, 0o777, 0o444, 0o400])
    async def test_mode(self, server: Server, mode: int) -> None:
        path = server.path("file")
        before = os.umask(0o077)
        try:
            await server.put(path, b"x", mode)
        finally:
            os.umask(before)
        assert await server.host.states([path]) == {path: FileState.of(b"x", mode=mode, **ME)}

    async def test_owner(self, server: Server) -> None:
        if os.getuid() != 0:
            pytest.skip("only root gives files away")
        path = server.path("file")
        await server.host.write(path, b"x", mode=0o600, uid=1234, gid=1235)
        assert await server.host.states([path]) == {path: FileState.of(b"x", mode=0o600, uid=1234, gid=1235)}
        await server.host.write(path, b"x")
        assert await server.host.states([path]) == {path: FileState.of(b"x")}

    async def test_a_folder_is_not_overwritten(self, server: Server) -> None:
        if not self.foresees_refusals:
            pytest.skip("this host does not try the write")
        await server.put(server.path("folder", "file"), b"kept")
        with pytest.raises(CommandError) as raised:
            await server.put(server.path("folder"))
        assert raised.value.cause
        assert raised.value.fix
        assert await server.host.list_files(server.base) == [server.path("folder", "file")]

    async def test_a_file_is_not_taken_for_a_folder(self, server: Server) -> None:
        if not self.foresees_refusals:
            pytest.skip("this host does not try the write")
        await server.put(server.path("file"), b"kept")
        with pytest.raises(CommandError) as raised:
            await server.put(server.path("file", "below"))
        assert raised.value.cause
        assert await server.host.read(server.path("file")) == b"kept"

    async def test_many_states_at_once(self, server: Server) -> None:
        paths = [server.path(f"{number:03}") for number in range(100)]
        for path in paths[::2]:
            await server.put(path, path.encode())
        expected = {path: FileState.of(path.encode(), **ME) for path in paths[::2]} | dict.fromkeys(paths[1::2])
        assert await server.host.states(iter(paths)) == expected
        assert await server.host.states([]) == {}

    async def test_the_state_of_a_folder_is_that_of_no_file(self, server: Server) -> None:
        state = (await server.host.states([server.base]))[server.base]
        assert state is not None
        assert state.sha256 == ""

    async def test_lists_what_is_below(self, server: Server) -> None:
        paths = [server.path(*parts) for parts in (("b",), ("a", "z"), ("a", "b", "c"), (".x",), ("a.b",))]
        for path in paths:
            await server.put(path)
        assert await server.host.list_files(server.base) == sorted(paths)
        assert await server.host.list_files(server.path("a")) == [server.path("a", "b", "c"), server.path("a", "z")]

    async def test_no_folder_is_not_an_empty_folder(self, server: Server) -> None:
        assert await server.host.list_files(server.base) == []
        assert await server.host.list_files(server.path("nowhere")) is None

    async def test_remove_leaves_the_folders(self, server: Server) -> None:
        await server.put(server.path("a", "file"))
        await server.host.remove(server.path("a", "file"))
        assert await server.host.read(server.path("a", "file")) is None
        assert await server.host.list_files(server.path("a")) == []

    async def test_removing_what_is_not_there(self, server: Server) -> None:
        await server.host.remove(server.path("nothing"))
        await server.host.remove(server.path("no", "folder", "nothing"), prune_below=server.base)
        assert await server.host.list_files(server.base) == []

    async def test_prunes_empty_folders_below_the_given_one(self, server: Server) -> None:
        await server.put(server.path("top", "a", "b", "file"))
        await server.host.remove(server.path("top", "a", "b", "file"), prune_below=server.path("top"))
        assert await server.host.list_files(server.path("top", "a")) is None
        assert await server.host.list_files(server.path("top")) == []

    async def test_prunes_also_where_the_file_went_before(self, server: Server) -> None:
        await server.put(server.path("top", "a", "file"))
        await server.host.remove(server.path("top", "a", "file"))
        await server.host.remove(server.path("top", "a", "file"), prune_below=server.path("top"))
        assert await server.host.list_files(server.path("top", "a")) is None

    async def test_keeps_folders_with_files(self, server: Server) -> None:
        await server.put(server.path("top", "a", "b", "file"))
        await server.put(server.path("top", "a", "other"))
        await server.host.remove(server.path("top", "a", "b", "file"), prune_below=server.path("top"))
        assert await server.host.list_files(server.path("top", "a", "b")) is None
        assert await server.host.list_files(server.path("top", "a")) == [server.path("top", "a", "other")]

    async def test_prunes_nothing_outside_the_given_folder(self, server: Server) -> None:
        await server.put(server.path("topping", "a", "file"))
        await server.host.remove(server.path("topping", "a", "file"), prune_below=server.path("top"))
        assert await server.host.list_files(server.path("topping", "a")) == []

    async def test_a_pruned_folder_comes_back_with_a_file(self, server: Server) -> None:
        path = server.path("top", "a", "file")
        await server.put(path)
        await server.host.remove(path, prune_below=server.path("top"))
        await server.put(path)
        assert await server.host.list_files(server.path("top", "a")) == [path]

    @pytest.mark.parametrize("path", ["relative", "", "/a/../b", "/a//b", "/a/", "/a/./b", "/a\0b"])
    async def test_a_path_that_is_not_plain(self, server: Server, path: str) -> None:
        tries: list[Callable[[], Any]] = [
            lambda: server.host.read(path),
            lambda: server.put(path),
            lambda: server.host.states([path]),
            lambda: server.host.list_files(path),
            lambda: server.host.remove(path),
        ]
        for attempt in tries:
            with pytest.raises(ValueError, match="plain path"):
                await attempt()

    @pytest.mark.usefixtures("disk")
    async def test_a_reader_sees_the_old_file_or_the_new(self, server: Server) -> None:
        path = Path(server.path("file"))
        contents = [b"a" * 300_000, b"b" * 200_000]
        await server.put(str(path), contents[0])
        seen: set[bytes] = set()
        over = threading.Event()

        def read_on() -> None:
            while not over.is_set():
                seen.add(path.read_bytes())

        reader = asyncio.get_running_loop().run_in_executor(None, read_on)
        for number in range(200):
            await server.put(str(path), contents[number % 2])
        over.set()
        await reader  # raises where the file was missing at any time
        assert seen
        assert seen <= set(contents)

    async def test_writes_at_the_same_time(self, server: Server) -> None:
        await asyncio.gather(*(server.put(server.path(f"{n}"), b"%d" % n) for n in range(20)))
        await asyncio.gather(*(server.put(server.path("same"), b"%d" % n * 1000) for n in range(10)))
        assert len(await server.host.list_files(server.base) or []) == 21
        assert await server.host.read(server.path("same")) in {b"%d" % n * 1000 for n in range(10)}

    @pytest.mark.usefixtures("disk")
    async def test_a_link_is_replaced_and_not_followed(self, server: Server) -> None:
        target = Path(server.path("target"))
        target.write_bytes(b"kept")
        link = Path(server.path("link"))
        link.symlink_to(target)
        state = (await server.host.states([str(link)]))[str(link)]
        assert state is not None
        assert state.sha256 == ""
        await server.put(str(link), b"new")
        assert target.read_bytes() == b"kept"
        assert not link.is_symlink()
        assert link.read_bytes() == b"new"

    @pytest.mark.usefixtures("disk")
    async def test_links_are_listed_and_removed_and_not_followed(self, server: Server) -> None:
        await server.put(server.path("folder", "file"))
        link = Path(server.path("link"))
        link.symlink_to(server.path("folder"))
        assert await server.host.list_files(server.base) == [server.path("folder", "file"), str(link)]
        await server.host.remove(str(link))
        assert await server.host.list_files(server.base) == [server.path("folder", "file")]

    # Locks

    async def test_a_lock_excludes_and_names_its_holder(self, server: Server) -> None:
        path = server.path("state", "lock")
        async with server.host.lock(path, LOCK_TEXT):
            with pytest.raises(LockedError) as raised:
                async with server.host.lock(path, "bob"):
                    pytest.fail("two hold the lock")
        assert raised.value.evidence == LOCK_TEXT
        assert raised.value.fix

    async def test_a_lock_ends_with_its_context(self, server: Server) -> None:
        path = server.path("lock")
        with pytest.raises(RuntimeError, match="broken off"):
            async with server.host.lock(path, LOCK_TEXT):
                raise RuntimeError("broken off")
        async with server.host.lock(path, "bob") as left:
            with pytest.raises(LockedError) as raised:
                async with server.host.lock(path, "carol"):
                    pytest.fail("two hold the lock")
        assert raised.value.evidence == "bob"
        assert left == ""

    async def test_locks_of_other_names_are_free(self, server: Server) -> None:
        async with server.host.lock(server.path("one"), "alice"), server.host.lock(server.path("two"), "bob"):
            pass
