"""A value that shows itself to nobody who did not ask for it by name."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Text that prints as `[secret]` everywhere; `reveal()` gives it away. It cannot be pickled or written as JSON."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "[secret]"

    __str__ = __repr__

    def __format__(self, _form: str) -> str:
        # No form: a width or a cut would tell something of the value, or hide that there is one.
        return str(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(("secret", self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: dict[int, object]) -> Secret:
        return self  # `dataclasses.asdict` copies what it does not know

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere as it is; it lies in the lab's store")

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        self.__getstate__()
