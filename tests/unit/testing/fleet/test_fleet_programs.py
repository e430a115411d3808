from __future__ import annotations

import os
import sys

import pytest

from ez_homelab.errors import PrerequisiteError
from ez_homelab.testing.fleet import programs


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PrerequisiteError, match="needs root"):
        programs.check_prerequisites()


def test_another_system_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "needs Linux" in (programs.why_no_fleet() or "")


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(programs, "PROGRAMS", {"sh": "dash", "no-such-program": "its-package"})
    with pytest.raises(PrerequisiteError) as missing:
        programs.check_prerequisites()
    assert missing.value.evidence == "no-such-program"
    assert missing.value.fix == "apt-get install its-package"


def test_the_last_line_is_taken_from_the_first_stream_that_speaks() -> None:
    assert programs.last_line("\n", "one\ntwo\n\n") == "two"
    assert programs.last_line("") == "no output"
