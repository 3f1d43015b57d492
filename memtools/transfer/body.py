"""The body of an answer, read into a buffer as it arrives.

    fill = open_body(response.raw)
    while n_read := fill(buffer): ...        # buffer[:n_read] holds the bytes that were ready

Bytes are never decoded: digests are of what is published.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable

import urllib3

CHUNK = 256 * 1024  # bytes of one read


def open_body(body: urllib3.HTTPResponse) -> Callable[[memoryview], int]:
    """Return a function that reads the bytes that are ready into a buffer; 0 at the end.

    A body of known length comes straight from its connection: the layers between would copy it
    twice and take a third of the time that receiving takes. Only they can undo chunks.
    """
    connection = getattr(body, "_fp", None)
    if not isinstance(connection, http.client.HTTPResponse) or connection.length is None:

        def through_layers(buffer: memoryview) -> int:
            data = body.read1(min(CHUNK, len(buffer)), decode_content=False)
            buffer[: len(data)] = data
            return len(data)

        return through_layers

    stream = connection.fp  # a buffer before the socket, in which some bytes lie already
    received, left, ready = 0, connection.length, -1

    def straight(buffer: memoryview) -> int:
        nonlocal received, left, ready
        if left == 0:
            return 0
        ready = len(stream.peek()) if ready < 0 else ready
        if ready:
            n_read = stream.readinto(buffer[: min(ready, left)])
            ready -= n_read
        else:
            n_read = stream.raw.readinto(buffer[:left]) or 0
        if not n_read:
            raise urllib3.exceptions.IncompleteRead(received, left)
        received, left = received + n_read, left - n_read
        return n_read

    return straight
