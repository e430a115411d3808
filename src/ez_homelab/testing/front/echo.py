"""An app that tells what it was asked: `python -m ez_homelab.testing.front.echo PORT`.

Every path answers with a JSON document (see `_seen`); a WebSocket gets each message back; `/events` is an event
stream of three events. `GET /.asked` says how many requests came before it, and counts as none itself.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import WSMsgType, web


class Echo:
    """The handler of every request."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.raw_path == "/.asked":
            return web.json_response({"asked": self.asked})
        self.asked += 1
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await _speak(request)
        if request.raw_path == "/events":
            return await _events(request)
        return web.json_response(await _seen(request))


async def _seen(request: web.BaseRequest) -> dict[str, object]:
    """The request as it came: headers in their order and spelling, the target undecoded, the length of the body."""
    return {
        "method": request.method,
        "target": request.raw_path,
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers],
        "body": sum([len(piece) async for piece in request.content.iter_any()]),
    }


async def _speak(request: web.BaseRequest) -> web.WebSocketResponse:
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    # The first message is what the handshake brought.
    await answer.send_json(await _seen(request))
    async for message in answer:
        if message.type == WSMsgType.TEXT:
            await answer.send_str(message.data)
    return answer


async def _events(request: web.BaseRequest) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for number in range(3):
        await answer.write(f"data: {number}\n\n".encode())
    return answer


async def _serve(port: int) -> None:
    server = web.Server(Echo())
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    asyncio.run(_serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
