"""Dials a server's own address with the right SNI and Host, as a browser would that had resolved the name."""

from __future__ import annotations

import ssl
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from http.cookies import SimpleCookie
from types import MappingProxyType
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

TIMEOUT = 15.0
"""Seconds for one answer."""


NO_HEADERS: Mapping[str, str] = MappingProxyType({})
ENTRYPOINTS = {"http": 80, "https": 443}
"""The port that answers a scheme."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status and the Location header, or why nothing did (`status` 0).

    `at` is when its first byte came, in seconds of `time.monotonic`.
    """

    status: int
    location: str = ""
    problem: str = ""
    at: float = field(default=0.0, compare=False)

    def __str__(self) -> str:
        if not self.status:
            return self.problem
        return f"{self.status} -> {self.location}" if self.location else str(self.status)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back to a document that was sent: the status, the body, the cookies that are to be kept.

    `status` is 0 where nothing came back, and `text` says why.
    """

    status: int
    text: str
    cookies: Mapping[str, str] = field(default_factory=dict)


class Dialer:
    """Asks one server for any name."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        address: str,
        ports: Mapping[str, int],
        headers: Mapping[str, str] = NO_HEADERS,
        timeout: float = TIMEOUT,
    ) -> None:
        """`headers` go with every GET that does not say otherwise, `timeout` is how long each answer may take."""
        self._client = client
        self._address = address
        self._ports = ports
        self._headers = headers
        self._timeout = timeout

    def like(self, headers: Mapping[str, str], timeout: float = TIMEOUT) -> Dialer:
        """One that asks the same server as somebody else who sends these headers and waits so many seconds."""
        return Dialer(self._client, self._address, self._ports, headers, timeout)

    async def get(self, url: str, *, headers: Mapping[str, str] = NO_HEADERS, target: str = "") -> Answer:
        """The answer to a GET of the URL; redirects not followed, the certificate checked against the authority.

        `target` is sent as it stands in place of the URL's path and query, for paths that a library would tidy up.
        """
        wanted = httpx.URL(url)
        request = self._client.build_request(
            "GET",
            wanted.copy_with(host=self._address, port=self._ports[wanted.scheme]),
            headers={"Host": wanted.netloc.decode(), "Accept": "text/html,*/*", **self._headers, **headers},
            extensions={"sni_hostname": wanted.host} | ({"target": target.encode("ascii")} if target else {}),
            timeout=self._timeout,
        )
        at = 0.0
        try:
            response = await self._client.send(request, stream=True)
            at = time.monotonic()
            await response.aread()
        except httpx.HTTPError as error:
            return Answer(0, problem=_reason(error), at=at or time.monotonic())
        return Answer(response.status_code, response.headers.get("Location", ""), at=at)

    async def post(self, url: str, document: object, *, headers: Mapping[str, str] = NO_HEADERS) -> Reply:
        """The answer to a POST of the document as JSON. No cookie is kept: who calls sends them as a header."""
        wanted = httpx.URL(url)
        request = self._client.build_request(
            "POST",
            wanted.copy_with(host=self._address, port=self._ports[wanted.scheme]),
            headers={"Host": wanted.netloc.decode(), "Accept": "application/json", **headers},
            extensions={"sni_hostname": wanted.host},
            json=document,
        )
        try:
            response = await self._client.send(request)
        except httpx.HTTPError as error:
            return Reply(0, _reason(error))
        set_cookies = SimpleCookie("\r\n".join(response.headers.get_list("Set-Cookie")))
        return Reply(response.status_code, response.text, {name: one.value for name, one in set_cookies.items()})


@asynccontextmanager
async def dialer(address: str, authority_pem: bytes, ports: Mapping[str, int] = ENTRYPOINTS) -> AsyncIterator[Dialer]:
    """A dialer for the server at `address` that trusts this authority and no other; `ports` by scheme."""
    trust = ssl.create_default_context(cadata=authority_pem.decode())
    # The proxy settings of whoever runs this must not come between us and the server.
    # Nor may an answer's cookie come along with the next request: each row says itself who asks.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    async with httpx.AsyncClient(
        verify=trust, timeout=TIMEOUT, trust_env=False, follow_redirects=False, cookies=no_cookies
    ) as client:
        yield Dialer(client, address, ports)


def _reason(error: httpx.HTTPError) -> str:
    text = str(error) or type(error).__name__
    return f"no answer: {text}"
