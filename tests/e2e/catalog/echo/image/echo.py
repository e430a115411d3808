"""Answers every request with its head, as it came. Needs only what python3-minimal has."""

import signal
import socket
import sys

END = b"\r\n\r\n"


def answer(connection):
    connection.settimeout(5)
    request = b""
    while END not in request:
        received = connection.recv(65536)
        if not received:
            return
        request += received
    body = request.split(END)[0]
    head = "HTTP/1.1 200 OK\r\nServer: echo/1\r\nX-Powered-By: echo\r\nContent-Type: text/plain\r\n"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode() + body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
listening = socket.socket()
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.bind(("0.0.0.0", 8080))  # noqa: S104 - inside its container
listening.listen(64)
while True:
    connection, _ = listening.accept()
    try:
        with connection:
            answer(connection)
    except OSError as error:
        print(error, file=sys.stderr)  # noqa: T201 - its container's log
