"""A mail server for one test: takes mail over TLS from whoever signs in, and keeps it (RFC 5321, RFC 4954 `PLAIN`)."""

from __future__ import annotations

import asyncio
import base64
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass
class MailServer:
    """`signed_in` is who did, with which password; `mails` are what came, heads and all."""

    port: int = 0
    signed_in: list[tuple[str, str]] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.lab.localhost ESMTP\r\n")
        while line := (await reader.readline()).decode().strip():
            word = line.partition(" ")[0].upper()
            writer.write(self._answer(word, line))
            if word == "DATA":
                self.mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                writer.write(b"250 kept\r\n")
            if word == "QUIT":
                break
        await writer.drain()
        writer.close()

    def _answer(self, word: str, line: str) -> bytes:
        if word == "EHLO":
            return b"250-mail.lab.localhost\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n"
        if word == "AUTH":
            _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
            self.signed_in.append((user, password))
            return b"235 welcome\r\n"
        return {"DATA": b"354 go on\r\n", "QUIT": b"221 bye\r\n"}.get(word, b"250 fine\r\n")


@asynccontextmanager
async def mail_server(certificate: Path, key: Path) -> AsyncIterator[MailServer]:
    """One that listens on 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    made = MailServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
