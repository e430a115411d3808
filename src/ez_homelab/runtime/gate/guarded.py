"""What every act on an account rests on: the parts, and the questions that are asked before anything changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .audit import Audit
from .credentials import Credentials
from .factors import Factors
from .identities import Identities
from .kinds import Refused, Session
from .links import Links
from .passwords import Passwords, weakness
from .policy import PROOF_PREFIX, Person
from .sessions import Sessions
from .throttle import Throttle

if TYPE_CHECKING:
    from .clock import Clock
    from .seal import Seal
    from .settings import Settings
    from .store import Store


class Guarded:
    """People and their live sessions, and who may do what in which session."""

    def __init__(self, settings: Settings, store: Store, seal: Seal, passwords: Passwords, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._sessions = Sessions(store, settings, clock)
        self._throttle = Throttle(store, clock)
        self._credentials = Credentials(store, clock)
        self._factors = Factors(store, seal, clock)
        self._links = Links(store, clock)
        self._identities = Identities(clock)
        self._audit = Audit(store, clock)

    def person(self, user: str) -> Person | None:
        """Who `user` is by people.json as it is now; None where nobody has that name."""
        if user.startswith(PROOF_PREFIX):
            return self._identities.find(user)
        return self._settings.people.users.get(user)

    def session_of(self, token: str) -> Session | None:
        """The live session of a token; None for an unknown, ended or expired one. Counts as activity."""
        session = self._sessions.find(token)
        return None if session is None or self._is_void(session) else session

    def has_second_factor(self, user: str) -> bool:
        """Whether there is any; from memory, for the forward-auth server."""
        return self._factors.any(user)

    def end_all(self, user: str, except_id: str | None = None) -> int:
        """Sign the person out everywhere (but there); how many sessions ended."""
        ended = self._sessions.end(*(one.id for one in self._sessions.of(user) if one.id != except_id))
        if ended:
            self._audit.note("signed-out-everywhere", user, detail=f"{ended} sessions")
        return ended

    def _check_live(self, session: Session) -> Session:
        found = self._sessions.with_id(session.id)
        if found is None or self._is_void(found):
            raise Refused("gone")
        return found

    def _is_void(self, session: Session) -> bool:
        person = self.person(session.user)
        return person is None or person.disabled

    def _session_or_gone(self, token: str) -> Session:
        session = self.session_of(token)
        if session is None:
            raise Refused("gone")
        return session

    def _check_level(self, session: Session) -> None:
        if session.factors < 2 and self.has_second_factor(session.user):
            raise Refused("second-factor")

    def _check_may_sign_in(self, user: str, address: str) -> None:
        person = self.person(user)
        if person is None:
            raise self._wrong("sign-in", user, address)
        if person.disabled:
            self._audit.note("disabled-refused", user, address)
            raise Refused("disabled")

    def _check_strength(self, password: str, user: str) -> None:
        if fault := weakness(password, user):
            raise Refused("weak", detail=fault)

    def _wrong(self, event: str, user: str, address: str) -> Refused:
        self._audit.note(f"{event}-wrong", user, address)
        return Refused("wrong")

    def _start(
        self,
        user: str,
        factors: int,
        event: str,
        *,
        address: str,
        agent: str,
        remembered: bool = False,
        from_link: bool = False,
    ) -> tuple[str, Session]:
        self._audit.note(event, user, address)
        return self._sessions.start(
            user, factors, address=address, agent=agent, remembered=remembered, from_link=from_link
        )
