"""What an app does and what it may do next. Pure: times come in as seconds of a clock that only goes forward.

asleep -> waking -> awake -> falling_asleep -> asleep
            |                     |
          failed                awake        (somebody came before the stop)

Out of each an app can be held while somebody else changes its containers; what it does after that is found out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
LEAST_PAUSE = 1.5
"""Seconds after a failed start before a person's `Try again` starts it once more."""


class State(StrEnum):
    """What an app does."""

    ASLEEP = "asleep"
    WAKING = "waking"
    AWAKE = "awake"
    FALLING_ASLEEP = "falling_asleep"
    FAILED = "failed"
    HELD = "held"
    """Somebody else changes its containers: whoever comes waits, and nothing of it is started or stopped."""


UNSETTLED = (State.WAKING, State.FALLING_ASLEEP, State.HELD)
"""Whoever comes waits for what it becomes."""


class Answer(StrEnum):
    """What to do with somebody who comes."""

    START = "start"
    """Start the app, then as `WAIT`: exactly one of those who come gets this."""
    WAIT = "wait"
    SERVE = "serve"
    REFUSE = "refuse"
    """It has failed a moment ago, and its pause is not over."""


class OutOfTurnError(Exception):
    """A step that does not follow from the state: a fault of the waker's own."""


@dataclass(slots=True)
class Life:
    """The life of one app."""

    state: State = State.ASLEEP
    since: float = 0.0
    """When the state began."""
    used: float = 0.0
    """When it was last seen in use."""
    failures: int = 0
    """Failed starts in a row."""
    retry_at: float = 0.0
    reason: str = ""
    wanted: bool = False
    """Somebody came while it was falling asleep, or while it was held."""
    stopping: bool = False
    """Its containers are being stopped: it has to sleep before it can wake."""
    held_until: float = 0.0
    slept: bool = False
    """It slept when it was held."""

    def ask(self, now: float) -> Answer:
        """Somebody comes."""
        match self.state:
            case State.AWAKE:
                self.used = now
                return Answer.SERVE
            case State.WAKING:
                return Answer.WAIT
            case State.FALLING_ASLEEP | State.HELD:
                self.wanted = True
                return Answer.WAIT
            case State.FAILED if now < self.retry_at:
                return Answer.REFUSE
        self._enter(State.WAKING, now)
        return Answer.START

    def retry(self, now: float) -> Answer:
        """A person asks to try again, which shortens a failed app's pause but does not do away with it."""
        if self.state is State.FAILED:
            self.retry_at = min(self.retry_at, self.since + LEAST_PAUSE)
        return self.ask(now)

    def ready(self, now: float) -> None:
        """It has started."""
        self._must_be(State.WAKING)
        self._enter(State.AWAKE, now)
        self.used, self.failures, self.retry_at, self.reason = now, 0, 0.0, ""

    def fail(self, now: float, reason: str) -> None:
        """It has not started."""
        self._must_be(State.WAKING)
        self._enter(State.FAILED, now)
        self.reason = reason
        self.retry_at = now + min(FIRST_PAUSE * 2.0**self.failures, LONGEST_PAUSE)
        self.failures = min(self.failures + 1, 20)

    def seen_in_use(self, now: float) -> None:
        """Something was open, or has finished since the last look."""
        if self.state is State.AWAKE:
            self.used = now

    def may_sleep(self, now: float, idle: float) -> bool:
        """Whether nobody has used it for that long."""
        return self.state is State.AWAKE and now - self.used >= idle

    def fall(self, now: float) -> None:
        """It is to fall asleep: its route goes back to the waker."""
        self._must_be(State.AWAKE)
        self._enter(State.FALLING_ASLEEP, now)

    def stay(self, now: float) -> None:
        """It stays awake after all."""
        self._must_be(State.FALLING_ASLEEP)
        if self.stopping:
            raise OutOfTurnError("its containers are being stopped")
        self._enter(State.AWAKE, now)
        self.used = now

    def stop(self) -> bool:
        """Whether its containers may be stopped now. From then on there is no way back but through sleep."""
        self._must_be(State.FALLING_ASLEEP)
        self.stopping = not self.wanted
        return self.stopping

    def asleep(self, now: float) -> Answer:
        """Its containers are stopped. `START`: somebody came meanwhile, and it has to wake again."""
        self._must_be(State.FALLING_ASLEEP)
        wanted = self.wanted
        self._enter(State.ASLEEP, now)
        return self.ask(now) if wanted else Answer.WAIT

    def found(self, now: float, *, running: bool) -> Answer:
        """Docker says whether its containers run. `START`: somebody else has started it, and it has to be made ready.

        What happens while it wakes, falls asleep or is held is the business of whoever makes it do so.
        """
        if self.state in (State.ASLEEP, State.FAILED) and running:
            self._enter(State.WAKING, now)
            return Answer.START
        if self.state is State.AWAKE and not running:
            self._enter(State.ASLEEP, now)
        return Answer.WAIT

    def hold(self, now: float, seconds: float) -> None:
        """From now on somebody else changes its containers. Held once more, it is held so much longer from now."""
        if self.state is not State.HELD:
            slept, wanted = self.state not in (State.WAKING, State.AWAKE), self.wanted or self.state is State.WAKING
            self._enter(State.HELD, now)
            self.slept, self.wanted = slept, wanted
        self.held_until = now + seconds

    def release(self, now: float, *, running: bool, stay: bool = False) -> Answer:
        """It is held no longer; Docker says whether its containers run. `stay`: it may not sleep at this hour.

        `START`: it has to be made ready, because it runs or somebody waits. `WAIT` where it runs all the same: nobody
        has come since it was held, and it falls asleep again, which whoever comes before the stop turns round.
        """
        self._must_be(State.HELD)
        wanted, slept = self.wanted, self.slept
        self.failures, self.retry_at, self.reason = 0, 0.0, ""
        if running and slept and not wanted and not stay:
            self._enter(State.FALLING_ASLEEP, now)
            return Answer.WAIT
        self._enter(State.ASLEEP, now)
        if running or wanted:
            self._enter(State.WAKING, now)
            return Answer.START
        return Answer.WAIT

    def _enter(self, state: State, now: float) -> None:
        self.state, self.since, self.wanted, self.stopping = state, now, False, False

    def _must_be(self, state: State) -> None:
        if self.state is not state:
            raise OutOfTurnError(f"it is {self.state.value}, not {state.value}")
