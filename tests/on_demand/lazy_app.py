"""An app as a process: `python lazy_app.py PORT DELAY [ADDRESS]`. Says what it was asked, and on some paths does more.

/health: 200. /status/N: that status. /stream/N: N pieces, ten a second. /drop: ends without an answer. /never: gives
none. An upgrade: echoes bytes. DELAY `crash`: says two lines and ends with exit code 3. It tells its name, which is APP
of its environment.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys


async def body_of(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if "chunked" not in fields.get("transfer-encoding", ""):
        return await reader.readexactly(int(fields.get("content-length", "0")))
    body = b""
    while size := int((await reader.readline()).strip(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    while piece := await reader.read(65536):
        writer.write(piece)


async def stream(writer: asyncio.StreamWriter, pieces: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in range(pieces):
        writer.write(b"8\r\n%08d\r\n" % number)
        await writer.drain()
        await asyncio.sleep(0.1)
    writer.write(b"0\r\n\r\n")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
            first, *lines = head.rstrip().split("\r\n")
            method, target, _ = first.split(" ")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            if "upgrade" in fields:
                await echo(reader, writer)
                break
            body = await body_of(reader, fields)
            kind, _, number = target.strip("/").partition("/")
            if kind == "stream":
                await stream(writer, int(number))
                continue
            if kind == "drop":
                break
            if kind == "never":
                await reader.read(-1)
            status = int(number) if kind == "status" else 200
            told = {
                "app": os.environ.get("APP", ""),
                "pid": os.getpid(),
                "method": method,
                "target": target,
                "fields": fields,
                "size": len(body),
                "sum": hashlib.sha256(body).hexdigest(),
            }
            content = json.dumps(told).encode()
            writer.write(b"HTTP/1.1 %d Its own\r\nX-App: yes\r\nContent-Length: %d\r\n\r\n" % (status, len(content)))
            writer.write(b"" if method == "HEAD" else content)
            await writer.drain()
            if fields.get("connection") == "close":
                break
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def run(port: int, delay: str, address: str) -> None:
    if delay == "crash":
        sys.stdout.write("reading the settings\nFATAL: the database is of another time\n")
        sys.exit(3)
    await asyncio.sleep(float(delay))
    server = await asyncio.start_server(serve, address, port, backlog=1024)
    await server.serve_forever()


asyncio.run(run(int(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"))
