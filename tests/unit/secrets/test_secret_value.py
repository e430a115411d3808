"""A secret shows itself to nobody who did not ask."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import asdict, dataclass

import pytest

from ez_homelab.secrets.value import Secret

VALUE = "k3Jq9ZtLw8VbN2xR"


@dataclass(frozen=True)
class Holder:
    password: Secret


def test_only_reveal_gives_it_away() -> None:
    secret = Secret(VALUE)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", f"{secret:.3}", "%s %r" % (secret, secret)]  # noqa: UP031
    shown += [repr(Holder(secret)), str({secret: [secret]}), str(asdict(Holder(secret)))]
    assert not [text for text in shown if VALUE[:3] in text]
    assert all("[secret]" in text for text in shown)
    assert secret.reveal() == VALUE


@pytest.mark.parametrize("write", [json.dumps, pickle.dumps, lambda it: pickle.dumps(it, protocol=0), vars, len, iter])
def test_nothing_writes_it(write: object) -> None:
    with pytest.raises(TypeError) as refused:
        write(Secret(VALUE))  # type: ignore[operator]
    assert VALUE not in str(refused.value)


def test_a_log_and_a_traceback_do_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(VALUE)
    logging.getLogger("any").error("the secret %s of %r", secret, {"x": secret})
    assert VALUE not in caplog.text
    try:
        raise ValueError(secret)
    except ValueError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert VALUE not in "".join(line for line in told.format() if "VALUE" not in line)


def test_equality_is_of_the_values() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret(VALUE[:-1])
    assert Secret(VALUE) != VALUE
    assert {Secret(VALUE), Secret(VALUE)} == {Secret(VALUE)}
    assert Secret("ü") == Secret("ü")


def test_copies_are_the_same_secret() -> None:
    secret = Secret(VALUE)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret
