"""The operator's service that says which names may have certificates on demand."""

import http.server
import threading
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.ports import free_port


class Allowing:
    """Says yes to names that it knows, once `wait` is set. `statuses` has what it says of which."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.statuses = {"yes.test": 200, "made.test": 201, "moved.test": 302, "broken.test": 500}
        self.wait = threading.Event()
        self.wait.set()
        owner = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                [name] = parse_qs(urlsplit(self.path).query)["domain"]
                owner.asked.append(name)
                owner.wait.wait(10)
                self.send_response(owner.statuses.get(name, 404))
                self.send_header("Location", "/?domain=yes.test")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/ask?secret=1"

    def __enter__(self) -> Self:
        threading.Thread(  # noqa: TID251
            target=self.server.serve_forever, args=(0.02,), daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.wait.set()
        self.server.shutdown()
        self.server.server_close()
