from __future__ import annotations

import pytest

from ez_homelab.progress import Silent


def test_silence_takes_lines_and_lets_errors_through(capsys: pytest.CaptureFixture[str]) -> None:
    with Silent().step("a") as say:
        say("a line")
    with pytest.raises(ValueError, match="no"), Silent().step("b"):
        raise ValueError("no")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
