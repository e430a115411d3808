from __future__ import annotations

import pytest

from ez_homelab.errors import CommandError
from ez_homelab.hosts import Command, Completed, FileState, command, run_checked
from ez_homelab.hosts.protocol import parents_below
from ez_homelab.testing.fake_host import FakeHost


@pytest.mark.parametrize("argv", [(), ("",), ("a\0b",), ("a", "b\0")])
def test_what_is_no_command(argv: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"program|NUL"):
        Command(argv)


@pytest.mark.parametrize(("name", "value"), [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")])
def test_what_is_no_environment_variable(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="environment"):
        command("true", environment={name: value})


def test_a_command_changes_things_unless_it_says_otherwise() -> None:
    assert command("rm", "x").changes
    assert not command("ls", changes=False).changes


def test_the_text_of_a_command_can_be_typed() -> None:
    assert str(command("echo", "two words", "$(id)")) == "echo 'two words' '$(id)'"


@pytest.mark.parametrize(
    ("stdout", "stderr", "last"),
    [
        ("out\n", "first\nlast\n\n", "last"),
        ("out\n", "  \n", "out"),
        ("", "", "exit status 3, no output"),
    ],
)
def test_the_evidence_line(stdout: str, stderr: str, last: str) -> None:
    assert Completed(command("x"), 3, stdout, stderr).last_line == last


def test_the_state_of_content() -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert FileState.of(b"", mode=0o600, uid=1, gid=2) == FileState(empty, 0o600, 1, 2)


@pytest.mark.parametrize(
    ("path", "top", "folders"),
    [
        ("/a/b/c/file", "/a", ["/a/b/c", "/a/b"]),
        ("/a/file", "/a", []),
        ("/ab/c/file", "/a", []),
        ("/a/b/file", None, []),
        ("/a/b/file", "", ["/a/b", "/a"]),
    ],
)
def test_prunable_folders(path: str, top: str | None, folders: list[str]) -> None:
    assert parents_below(path, top) == folders


async def test_run_checked_returns_what_went_well() -> None:
    fake = FakeHost()
    fake.answer(("docker", "info"), stdout="fine\n")
    lines: list[str] = []
    done = await run_checked(fake, command("docker", "info"), what="Docker was not asked", on_line=lines.append)
    assert done.stdout == "fine\n"
    assert lines == ["fine"]


async def test_run_checked_names_program_status_host_evidence_and_fix() -> None:
    fake = FakeHost("core")
    fake.answer(("docker", "info"), status=5, stderr="cannot connect\n")
    with pytest.raises(CommandError) as raised:
        await run_checked(fake, command("docker", "info"), what="Docker was not asked", cause="it is off")
    assert raised.value.what == "Docker was not asked: `docker info` ended with status 5 on core"
    assert raised.value.evidence == "cannot connect"
    assert raised.value.cause == "it is off"
    assert raised.value.fix.endswith("docker info")
