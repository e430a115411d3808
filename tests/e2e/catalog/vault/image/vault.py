"""Opens to who sends its badge (a variable) and its word (a file, kept in its data from the first start on).

    vault.py           answers on port 8080: /health to everybody, everything else to who sends both as headers
    vault.py change    a new word, from standard input, as a database would take one
    vault.py ask       whether it is well

Needs only what python3-minimal has.
"""

import os
import signal
import socket
import sys
from pathlib import Path

KEPT = Path("/shelf/word")
END = b"\r\n\r\n"


def keep(word):
    os.umask(0o077)
    new = KEPT.with_suffix(".new")
    new.write_text(word)
    new.rename(KEPT)


def asked(connection):
    connection.settimeout(5)
    request = b""
    while END not in request:
        received = connection.recv(65536)
        if not received:
            break
        request += received
    first, *lines = request.split(END)[0].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return first, headers


def answer(connection):
    first, headers = asked(connection)
    status, body = "403 Forbidden", "closed\n"
    if first.startswith("GET /health "):
        status, body = "200 OK", "well\n"
    elif headers.get("x-badge") == os.environ["VAULT_BADGE"] and headers.get("x-word") == KEPT.read_text():
        status, body = "200 OK", "open\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode() + body.encode())


def ask():
    with socket.create_connection(("127.0.0.1", 8080), 1) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: vault\r\n\r\n")
        return b" 200 " in connection.recv(4096)


def serve():
    if not KEPT.exists():
        keep(Path(os.environ["VAULT_WORD_FILE"]).read_text().strip())
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


if sys.argv[1:] == ["ask"]:
    sys.exit(not ask())
elif sys.argv[1:] == ["change"]:
    keep(sys.stdin.readline().strip())
else:
    serve()
