"""A port of the machine that leads into a server. Run as a program of its own: `forward.py DESCRIPTOR PORT`.

DESCRIPTOR is a socket that listens on the machine's 127.0.0.1; a socket stays in the network namespace it was made
in. The program itself runs in the server's network namespace, so what it dials is the server's own 127.0.0.1.
Standard library only, since it runs isolated from any environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _serve(descriptor: int, port: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:  # nothing listens in the server: the caller sees its connection closed
                return
            with contextlib.closing(inner_writer):
                await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    server = await asyncio.start_server(answer, sock=socket.socket(fileno=descriptor))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
