"""What only the local host can show: links, pipes, killed writers and holders, daemons, real kernel refusals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ez_homelab.errors import CommandError, LockedError
from ez_homelab.hosts import command, local_files, local_process
from ez_homelab.hosts.local import LocalHost

ME = {"uid": os.getuid(), "gid": os.getgid()}
is_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root: gives files to other users, mounts file systems")


@pytest.fixture
def host() -> LocalHost:
    return LocalHost()


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def temporaries(folder: Path) -> list[str]:
    return [name for name in names(folder) if local_files.is_temporary(name)]


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process that has said "ready"."""
    argv = [sys.executable, "-c", script, *map(str, arguments)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# Programs


async def test_a_file_that_cannot_be_executed_is_126(host: LocalHost, tmp_path: Path) -> None:
    (tmp_path / "program").write_text("nothing to run")
    done = await host.run(command(str(tmp_path / "program")))
    assert done.status == 126
    assert "Permission denied" in done.last_line


async def test_a_program_for_another_machine_is_126(host: LocalHost, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF not for here")
    program.chmod(0o755)
    done = await host.run(command(str(program)))
    assert done.status == 126
    assert "Exec format error" in done.last_line


async def test_a_daemon_is_not_waited_for(host: LocalHost) -> None:
    done = await host.run(command("sh", "-c", "sleep 1000 & echo $!", timeout=30))
    daemon = int(done.stdout)
    assert done.ok
    assert not is_gone(daemon)
    os.kill(daemon, signal.SIGKILL)


async def test_what_ignores_sigterm_is_killed(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_process, "GRACE_SECONDS", 0.2)
    script = "trap '' TERM; sleep 1000 & echo $!; while :; do sleep 1000; done"
    with pytest.raises(CommandError) as raised:
        await host.run(command("sh", "-c", script, timeout=0.5))
    assert is_gone(int(raised.value.evidence))


async def test_sigterm_comes_first(host: LocalHost, tmp_path: Path) -> None:
    script = f"trap 'touch {tmp_path}/tidied; exit' TERM; echo ready; while :; do sleep 0.01; done"
    with pytest.raises(CommandError):
        await host.run(command("sh", "-c", script, timeout=0.5))
    assert (tmp_path / "tidied").exists()


async def test_a_silent_program_that_times_out(host: LocalHost) -> None:
    with pytest.raises(CommandError) as raised:
        await host.run(command("sleep", "1000", timeout=0.05))
    assert raised.value.evidence == "it printed nothing"


async def test_cancelling_ends_the_program(host: LocalHost) -> None:
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(host.run(command("sh", "-c", "echo $$; exec sleep 1000"), on_line=started.set_result))
    pid = int(await started)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert is_gone(pid)


async def test_a_timeout_error_of_the_listener_is_its_own(host: LocalHost) -> None:
    def refuse(_line: str) -> None:
        raise TimeoutError("the listener's")

    with pytest.raises(TimeoutError, match="the listener's"):
        await host.run(command("echo", "line"), on_line=refuse)


async def test_programs_side_by_side(host: LocalHost) -> None:
    done = await asyncio.gather(*(host.run(command("echo", str(number))) for number in range(30)))
    assert [each.stdout for each in done] == [f"{number}\n" for number in range(30)]


# Files


async def test_content_is_never_open_to_more_people_than_the_file(
    host: LocalHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    filled: list[tuple[int, int, int]] = []
    real_open, real_write = os.open, os.write

    def watched_open(path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
        descriptor = real_open(path, flags, mode, **options)
        if flags & os.O_CREAT:
            made.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    def watched_write(descriptor: int, content: Any) -> int:
        seen = os.fstat(descriptor)
        if stat.S_ISREG(seen.st_mode):
            filled.append((stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid))
        return real_write(descriptor, content)

    monkeypatch.setattr(os, "open", watched_open)
    monkeypatch.setattr(os, "write", watched_write)
    before = os.umask(0)
    try:
        for mode in (0o600, 0o640, 0o644):
            await host.write(str(tmp_path / "secret"), b"secret", mode=mode, **ME)
    finally:
        os.umask(before)
    assert made == [0o600, 0o600, 0o600]
    assert filled == [(mode, ME["uid"], ME["gid"]) for mode in (0o600, 0o640, 0o644)]


async def test_new_parents_are_0755_whatever_the_umask(host: LocalHost, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        await host.write(str(tmp_path / "a" / "b" / "file"), b"", **ME)
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")] == [0o755, 0o755]


async def test_an_own_link_among_the_parents_is_followed(host: LocalHost, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "absolute").symlink_to(tmp_path / "disk")
    (tmp_path / "relative").symlink_to("./absolute/../disk/")
    await host.write(str(tmp_path / "absolute" / "new" / "one"), b"1", **ME)
    await host.write(str(tmp_path / "relative" / "new" / "two"), b"2", **ME)
    assert names(tmp_path / "disk" / "new") == ["one", "two"]
    await host.remove(str(tmp_path / "relative" / "new" / "two"), prune_below=str(tmp_path))
    assert names(tmp_path / "disk" / "new") == ["one"]


async def test_what_a_link_leads_to_is_not_made(host: LocalHost, tmp_path: Path) -> None:
    (tmp_path / "stacks").symlink_to(tmp_path / "disk" / "stacks")
    with pytest.raises(CommandError) as raised:
        await host.write(str(tmp_path / "stacks" / "media" / "compose.yaml"), b"", **ME)
    assert "mounted" in raised.value.cause
    assert names(tmp_path) == ["stacks"]


async def test_links_in_a_circle(host: LocalHost, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(CommandError) as raised:
        await host.write(str(tmp_path / "a" / "file"), b"", **ME)
    assert "circle" in raised.value.cause


@is_root
async def test_a_link_of_another_user_is_refused(host: LocalHost, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_bytes(b"kept")
    link = tmp_path / "config"
    link.symlink_to(tmp_path / "elsewhere")
    os.lchown(link, 1000, 1000)
    for attempt in (host.write(str(link / "file"), b"planted"), host.remove(str(link / "file"))):
        with pytest.raises(CommandError) as raised:
            await attempt
        assert "user 1000" in raised.value.what
        assert raised.value.fix
    assert (tmp_path / "elsewhere" / "file").read_bytes() == b"kept"


async def test_a_named_pipe_stops_nobody(host: LocalHost, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(CommandError) as raised:
        await host.read(str(pipe))
    assert "not a plain file" in raised.value.evidence
    state = (await host.states([str(pipe)]))[str(pipe)]
    assert state is not None
    assert state.sha256 == ""
    (tmp_path / ".ez-homelab-0123456789abcdef.tmp").symlink_to(pipe)
    os.mkfifo(tmp_path / ".ez-homelab-fedcba9876543210.tmp")
    await host.write(str(pipe), b"a file now", **ME)
    assert pipe.read_bytes() == b"a file now"


async def test_reads_follow_links(host: LocalHost, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"content")
    (tmp_path / "link").symlink_to("target")
    assert await host.read(str(tmp_path / "link")) == b"content"


WRITER = """
import asyncio, os, sys, time
from ez_homelab.hosts.local import LocalHost
def wait(descriptor):
    print("ready", flush=True)
    time.sleep(1000)
os.fsync = wait
asyncio.run(LocalHost().write(sys.argv[1], b"half", uid=os.getuid(), gid=os.getgid()))
"""


async def test_leftovers_of_a_killed_writer_are_removed_and_those_of_a_living_one_kept(
    host: LocalHost, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    await host.write(str(path), b"old", **ME)
    writer = child(WRITER, path)
    try:
        await host.write(str(tmp_path / "other"), b"", **ME)
        assert len(temporaries(tmp_path)) == 1
        assert await host.list_files(str(tmp_path)) == [str(path), str(tmp_path / "other")]
    finally:
        kill(writer)
    assert path.read_bytes() == b"old"
    assert len(temporaries(tmp_path)) == 1
    await host.write(str(tmp_path / "other"), b"", **ME)
    assert temporaries(tmp_path) == []


async def test_a_cancelled_write_is_over_when_the_caller_goes_on(
    host: LocalHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()
    real_write_file = local_files.write_file

    def slow(*arguments: Any, **options: Any) -> None:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
        real_write_file(*arguments, **options)

    monkeypatch.setattr(local_files, "write_file", slow)
    writing = asyncio.create_task(host.write(str(tmp_path / "file"), b"whole", **ME))
    await begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert (tmp_path / "file").read_bytes() == b"whole"


# Locks

HOLDER = """
import asyncio, sys, time
from ez_homelab.hosts import command
from ez_homelab.hosts.local import LocalHost
async def hold():
    host = LocalHost()
    async with host.lock(sys.argv[1], "a killed run"):
        await host.run(command("sh", "-c", "exec sleep 1000 >/dev/null 2>&1 & echo $! > " + sys.argv[2]))
        print("ready", flush=True)
        time.sleep(1000)
asyncio.run(hold())
"""


async def test_a_killed_holder_frees_the_lock_though_its_daemon_lives(host: LocalHost, tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    holder = child(HOLDER, path, tmp_path / "daemon")
    daemon = int((tmp_path / "daemon").read_text())
    try:
        with pytest.raises(LockedError) as raised:
            async with host.lock(path, "we"):
                pytest.fail("two hold the lock")
        assert raised.value.evidence == "a killed run"
        kill(holder)
        assert not is_gone(daemon)
        async with host.lock(path, "we") as left:
            assert Path(path).read_text() == "we"
        assert left == "a killed run"
    finally:
        kill(holder)
        os.kill(daemon, signal.SIGKILL)


async def test_only_its_owner_can_open_a_lock(host: LocalHost, tmp_path: Path) -> None:
    async with host.lock(str(tmp_path / "lock"), "we"):
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (b"a run that a power cut ended", "a run that a power cut ended"),
        (b"\0" * 40, ""),
        (b"\xff\n", "\ufffd"),
        (b"x" * 10_000, "x" * 4096),
    ],
)
async def test_text_of_an_ended_run_is_told_and_not_believed(
    host: LocalHost, tmp_path: Path, found: bytes, told: str
) -> None:
    (tmp_path / "lock").write_bytes(found)
    async with host.lock(str(tmp_path / "lock"), "we") as left:
        assert (tmp_path / "lock").read_text() == "we"
    assert left == told
    assert (tmp_path / "lock").read_text() == ""


async def test_a_lock_is_no_link(host: LocalHost, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "lock").symlink_to("precious")
    with pytest.raises(CommandError):
        async with host.lock(str(tmp_path / "lock"), "we"):
            pytest.fail("a link was followed")
    assert (tmp_path / "precious").read_text() == "kept"


# What the kernel refuses


@pytest.fixture(scope="module")
def refusals() -> dict[str, Any]:
    """What real_refusals.py saw in a mount namespace of its own."""
    script = Path(__file__).with_name("real_refusals.py")
    argv = ["unshare", "--mount", "--propagation", "private", sys.executable, str(script)]
    done = subprocess.run(argv, capture_output=True, text=True)
    if "unshare failed" in done.stderr:
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@is_root
@pytest.mark.parametrize(
    ("case", "evidence", "cause"),
    [
        ("full", "No space left on device", "full"),
        ("full of files", "No space left on device", "full"),
        ("read-only", "Read-only file system", "read-only"),
        ("not root", "Permission denied", "may not"),
        ("not root, new folder", "Permission denied", "may not"),
        ("given away", "Operation not permitted", "only root"),
        ("mounted over", "Device or resource busy", "mounted"),
        ("remove read-only", "Read-only file system", "read-only"),
    ],
)
def test_a_refusal_is_told_and_changes_nothing(refusals: dict[str, Any], case: str, evidence: str, cause: str) -> None:
    seen = refusals[case]
    assert seen["evidence"] == evidence
    assert cause in seen["cause"]
    assert seen["fix"]
    assert seen["content"] == "old"
    assert seen["names"] == ["file"]


@is_root
def test_a_full_disk_still_has_a_lock(refusals: dict[str, Any]) -> None:
    assert refusals["lock on a full disk"] == "held"


@is_root
def test_a_mount_point_is_not_pruned(refusals: dict[str, Any]) -> None:
    assert refusals["mount point"] == "stays"
