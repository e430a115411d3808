"""What is written down beside runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.apply.journal import Journal, not_done

if TYPE_CHECKING:
    from pathlib import Path


def test_notes_newest_first_and_clean(tmp_path: Path) -> None:
    from ez_homelab.redaction import know

    know(["ottokar-the-secret"])
    journal = Journal(str(tmp_path / "journal.db"))
    journal.note(who="ann", command="ez users invite bob", what="invite bob")
    journal.note(who="ann", command="ez x ottokar-the-secret", what="login-link ann")
    assert [(one.who, one.command, one.what) for one in journal.notes()] == [
        ("ann", "ez x [secret]", "login-link ann"),
        ("ann", "ez users invite bob", "invite bob"),
    ]
    assert [one.what for one in journal.notes(1)] == ["login-link ann"]


def test_a_note_is_no_run_so_that_one_that_was_cut_off_is_still_seen(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    journal = Journal(path)
    run = journal.begin(who="ann", command="ez apply", plan="p")
    journal.step(run, "core:service:wiki/dokuwiki", "create").__enter__()
    journal.note(who="ann", command="ez users invite bob", what="invite bob")
    assert [*not_done(path)] == ["core:service:wiki/dokuwiki"]
    assert [one.outcome for one in journal.runs()] == [None]
