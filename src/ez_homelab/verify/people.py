"""The people of a proof for as long as it takes: it may look several times, and they are the same each time."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from ez_homelab.errors import EzError
from ez_homelab.verify.portal import SignInRefusedError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from ez_homelab.verify.sign_on import Visitors


class ProofPeople:
    """Who signs in during a proof, by server; used with `async with`, at whose end all of them go.

    They come at the first look that needs them: with Authelia that takes seconds, and each time three more sign-ins.
    """

    def __init__(self) -> None:
        self._known: dict[str, Visitors | str] = {}
        self._leaving = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._known.clear()
        await self._leaving.aclose()

    async def on(self, server: str, coming: AbstractAsyncContextManager[Visitors]) -> Visitors | str:
        """Those of that server, who come if they are not there yet; text that says why where there can be none.

        The next look tries again then, except after a refusal: three of them would make the server's address wait.
        """
        if server in self._known:
            return self._known[server]
        try:
            self._known[server] = await self._leaving.enter_async_context(coming)
        except SignInRefusedError as error:
            self._known[server] = str(error)
        except EzError as error:
            return str(error)
        return self._known[server]
