"""Transactions of the gate's database: one that fails at its very end leaves nothing open behind it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from ez_homelab.runtime.gate.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A database in which a rule is only looked at when a transaction is to be kept."""
    opened = Store(tmp_path / "gate.db")
    opened.change("PRAGMA foreign_keys = ON")
    opened.change("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
    opened.change("CREATE TABLE children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)")
    yield opened
    opened.close()


def test_after_a_commit_that_fails_the_next_transaction_is_one_of_its_own(store: Store, tmp_path: Path) -> None:
    with pytest.raises(sqlite3.IntegrityError), store.transaction():
        store.change("INSERT INTO children VALUES (1)")
    with store.transaction():
        store.change("INSERT INTO parents VALUES (2)")

    other = Store(tmp_path / "gate.db")
    assert other.rows("SELECT parent FROM children") == []
    assert other.rows("SELECT id FROM parents") == [(2,)]
    other.close()


def test_a_fault_is_told_as_it_was_where_sqlite_has_rolled_back_already(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.change("ROLLBACK")
        raise ZeroDivisionError
    with store.transaction():
        store.change("INSERT INTO parents VALUES (3)")

    assert store.rows("SELECT id FROM parents") == [(3,)]
