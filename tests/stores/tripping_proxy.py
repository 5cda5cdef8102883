"""Stands before a storage server and lets single requests go wrong."""

import http.client
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    method: str
    path: str
    """With its query."""
    body: bytes

    @property
    def writes(self) -> bool:
        """Whether it sends an object or a part of one."""
        return self.path.startswith(("/upload/", "/resumable/")) and bool(self.body)


Trip = int | Literal["cut", "mute"] | None
"""A status to answer instead; cut: break the connection when half of the body has gone through; mute: carry it out,
but break the connection instead of answering; None: nothing."""


class TrippingProxy:
    """Listens on loopback. `trip` is asked about every request."""

    def __init__(self, upstream: int) -> None:
        self.trip: Callable[[Request], Trip] = lambda request: None
        self.asked: list[Request] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = Request(self.command, self.path, body)
                proxy.asked.append(request)
                trip = proxy.trip(request)
                if isinstance(trip, int):
                    self.answer(trip, {"Content-Type": "application/json"}, b'{"error": {}}')
                elif trip == "cut":
                    self.cut(body)
                else:
                    self.forward(body, mute=trip == "mute")

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def cut(self, body: bytes) -> None:
                head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
                with socket.create_connection(("127.0.0.1", upstream)) as server:
                    server.sendall(f"{self.command} {self.path} HTTP/1.1\r\n{head}\r\n".encode())
                    server.sendall(body[: len(body) // 2])
                self.hang_up()

            def forward(self, body: bytes, *, mute: bool) -> None:
                server = http.client.HTTPConnection("127.0.0.1", upstream, timeout=60)
                try:
                    server.request(self.command, self.path, body, dict(self.headers.items()))
                    found = server.getresponse()
                    content = found.read()
                finally:
                    server.close()
                if mute:
                    self.hang_up()
                else:
                    self.answer(found.status, dict(found.getheaders()), content)

            def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def hang_up(self) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *arguments: object) -> None:
                """A client that hangs up, as one does that is killed, is nothing to tell."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def times(count: int, trip: Trip, when: Callable[[Request], bool]) -> Callable[[Request], Trip]:
    """Have the first `count` requests of that kind go wrong."""
    left = iter(range(count))
    taking = threading.Lock()

    def decide(request: Request) -> Trip:
        with taking:
            return trip if when(request) and next(left, None) is not None else None

    return decide
