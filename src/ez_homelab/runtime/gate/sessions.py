"""Sessions: all in memory for the forward-auth server, every change of them in the database as well."""

from __future__ import annotations

import secrets
from dataclasses import astuple, fields, replace
from typing import TYPE_CHECKING

from .clock import CLOCK_STEP
from .kinds import Refused, Session
from .policy import PROOF_PREFIX
from .tokens import new_token, token_hash

if TYPE_CHECKING:
    from .clock import Clock
    from .settings import Settings
    from .store import Store

SEEN_EVERY = 15
"""Seconds. A session's last activity is known this exactly, and is not written down for every request."""
AT_MOST = 500
"""Sessions of one person; beyond that the one that was idle longest ends."""
FRESH = 600
"""Seconds for which a password that was given counts for changing second factors."""
LONGEST_AGENT = 300
"""Of a browser's name for itself, which is shown to the session's owner; browsers' own are shorter."""

COLUMNS = ", ".join(field.name for field in fields(Session))
MARKS = ", ".join("?" for _ in fields(Session))


class Sessions:
    """Every live session. Temporary identities of the proof are in memory only."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._live: dict[bytes, Session] = {}
        self._tokens: dict[str, bytes] = {}
        self._of_user: dict[str, set[str]] = {}
        self._unsaved: set[bytes] = set()
        for token, *values in store.rows(f"SELECT token, {COLUMNS} FROM sessions"):  # noqa: S608 - our own names
            self._keep(token, _session(values))

    def find(self, token: str) -> Session | None:
        """The session of a token, which counts as activity; None for an unknown or ended one."""
        key = token_hash(token)
        session = self._live.get(key)
        if session is None:
            return None
        now = self._clock()
        since = now - session.seen
        if 0 <= since < SEEN_EVERY and now < session.expires:
            return session
        return self._look(key, session, now)

    def with_id(self, session_id: str) -> Session | None:
        """The live session with this public handle."""
        key = self._tokens.get(session_id)
        return None if key is None else self._live_one(key)

    def of(self, user: str) -> tuple[Session, ...]:
        """A person's live sessions, the most recently seen first."""
        found = [self.with_id(session_id) for session_id in tuple(self._of_user.get(user, ()))]
        return tuple(sorted((one for one in found if one), key=lambda one: one.seen, reverse=True))

    def users(self) -> tuple[str, ...]:
        """Everybody who has a session."""
        return tuple(self._of_user)

    def start(
        self,
        user: str,
        factors: int,
        *,
        address: str,
        agent: str,
        remembered: bool = False,
        from_link: bool = False,
        seconds: float | None = None,
    ) -> tuple[str, Session]:
        """A new session and its token. `seconds`: how long at most, where it is not as the policy says."""
        now, token = self._clock(), new_token()
        expires = now + (self._longest(remembered) if seconds is None else seconds)
        handle = secrets.token_hex(8)
        session = Session(
            *(handle, user, factors, now, now, expires, remembered),
            *(address, agent[:LONGEST_AGENT], from_link, now + FRESH),
        )
        with self._store.transaction():
            self._put(token_hash(token), session)
            self._end_the_idlest(user)
        return token, session

    def renew(self, session: Session, factors: int) -> tuple[str, Session]:
        """The same session at another level and with another token; the one before is void. Raises `Refused` (gone)."""
        before = self._tokens.get(session.id)
        if before is None:
            raise Refused("gone")
        token, now = new_token(), self._clock()
        renewed = replace(session, factors=factors, seen=now, fresh_until=now + FRESH)
        with self._store.transaction():
            self._drop([before])
            self._put(token_hash(token), renewed)
        return token, renewed

    def freshen(self, session_id: str) -> None:
        """The password was given again. Raises `Refused` (gone)."""
        session = self.with_id(session_id)
        if session is None:
            raise Refused("gone")
        with self._store.transaction():
            self._put(self._tokens[session_id], replace(session, fresh_until=self._clock() + FRESH))

    def is_fresh(self, session: Session) -> bool:
        """Whether the password was given within the last `FRESH` seconds; no where the clock went back behind it."""
        now_one = self.with_id(session.id)
        return now_one is not None and 0 < now_one.fresh_until - self._clock() <= FRESH

    def end(self, *session_ids: str) -> int:
        """End them for good; how many there were."""
        keys = [key for one in session_ids if (key := self._tokens.get(one)) is not None]
        with self._store.transaction(durable=True):
            self._drop(keys)
        return len(keys)

    def save(self) -> None:
        """Write down when sessions were last seen."""
        saved = [key for key in self._unsaved if key in self._live]
        rows = [(self._live[key].seen, key) for key in saved]
        self._unsaved.clear()
        if rows:
            with self._store.transaction():
                self._store.change_many("UPDATE sessions SET seen = ? WHERE token = ?", rows)

    def sweep(self) -> None:
        """Drop what has ended by itself."""
        with self._store.transaction():
            for key in tuple(self._live):
                self._live_one(key)

    def _longest(self, remembered: bool) -> int:
        times = self._settings.policy.session
        return times.remembered if remembered else times.lifetime

    def _look(self, key: bytes, session: Session, now: float) -> Session | None:
        current = self._live_one(key)
        if current is None:
            return None
        seen = replace(current, seen=now)
        self._live[key] = seen
        if not session.user.startswith(PROOF_PREFIX):
            self._unsaved.add(key)
        return seen

    def _live_one(self, key: bytes) -> Session | None:
        """The session if it has not ended; what has is dropped."""
        now, session = self._clock(), self._live[key]
        if session.seen > now + CLOCK_STEP:
            session = self._set_back(key, session, now)
        longest = self._longest(session.remembered)
        idle = not session.remembered and now - session.seen >= self._settings.policy.session.idle
        if idle or now >= min(session.expires, session.started + longest):
            with self._store.transaction():
                self._drop([key])
            return None
        return session

    def _set_back(self, key: bytes, session: Session, now: float) -> Session:
        # The clock was put back. Nobody is signed out for that, and nobody stays longer than a new session would.
        expires = min(session.expires, now + self._longest(session.remembered))
        set_back = replace(session, started=min(session.started, now), seen=now, expires=expires, fresh_until=0.0)
        with self._store.transaction():
            self._put(key, set_back)
        return set_back

    def _put(self, key: bytes, session: Session) -> None:
        self._keep(key, session)
        if not session.user.startswith(PROOF_PREFIX):
            statement = f"INSERT OR REPLACE INTO sessions (token, {COLUMNS}) VALUES (?, {MARKS})"  # noqa: S608
            self._store.change(statement, key, *astuple(session))

    def _keep(self, key: bytes, session: Session) -> None:
        self._live[key] = session
        self._tokens[session.id] = key
        self._of_user.setdefault(session.user, set()).add(session.id)

    def _drop(self, keys: list[bytes]) -> None:
        for key in keys:
            self._store.change("DELETE FROM sessions WHERE token = ?", key)
            session = self._live.pop(key)
            self._tokens.pop(session.id, None)
            ids = self._of_user[session.user]
            ids.discard(session.id)
            if not ids:
                del self._of_user[session.user]

    def _end_the_idlest(self, user: str) -> None:
        ids = self._of_user[user]
        if len(ids) > AT_MOST:
            self._drop([min((self._tokens[one] for one in ids), key=lambda key: self._live[key].seen)])


def _session(values: list[object]) -> Session:
    names = [field.name for field in fields(Session)]
    row = dict(zip(names, values, strict=True))
    row["remembered"], row["from_link"] = bool(row["remembered"]), bool(row["from_link"])
    return Session(**row)  # type: ignore[arg-type]  # the table has the columns of the class
