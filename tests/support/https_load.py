"""A steady load over TLS: some clients keep their connection, some make a new one each time."""

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from tests.support.client import Closed, Reset
from tests.support.secure import Secure
from tests.support.tls_client import TlsClient, context_for

Failures = Counter[str]


class HttpsLoad:
    """Runs until `stop`. A request fails when its handshake, its connection or its answer does."""

    def __init__(self, served: Secure, *, kept: int = 3, fresh: int = 3) -> None:
        self._served = served
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(kept + fresh)
        self._tasks: list[Future[tuple[int, Failures]]] = [
            self._pool.submit(self._run, keeps=number < kept) for number in range(kept + fresh)
        ]
        self.ok = 0
        self.failures: Failures = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End, and add up what happened."""
        self._stopping.set()
        for task in self._tasks:
            ok, failures = task.result(30)
            self.ok += ok
            self.failures += failures
        self._tasks.clear()
        self._pool.shutdown()

    # Private

    def _run(self, *, keeps: bool) -> tuple[int, Failures]:
        context = context_for(self._served.ca.root)
        ok, failures = 0, Counter[str]()
        client: TlsClient | None = None
        while not self._stopping.is_set():
            try:
                if client is None:
                    client = TlsClient(self._served.https, "a.test", context)
                closes = _ask(client)
                ok += 1
            except (OSError, Closed, Reset, AssertionError) as error:
                failures[f"{type(error).__name__}: {error}"] += 1
                closes = True
            if client is not None and (closes or not keeps):
                client.close()
                client = None
        if client is not None:
            client.close()
        return ok, failures


def _ask(client: TlsClient) -> bool:
    """Whether the edge closes after it."""
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    answer = client.read_answer()
    assert answer.status == 200, answer
    return answer.closes
