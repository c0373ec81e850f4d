"""Rows about memory, imports, and many connections at once."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from tests.bench.messages import JSON
from tests.bench.rows import Goal, Ratios, Row
from tests.bench.timing import Effort
from tests.bench.transport import listening_server

__all__ = ["ROWS"]


def _bytes_each(make: Callable[[], Any], number: int) -> float:
    """How many bytes one more of them takes."""
    make()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [make() for _ in range(number)]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    each = (after - before) / number
    del kept
    return each


def _memory_of_events(_: Effort) -> Ratios:
    from flowstorm_channel.codecs import JsonCodec
    from tests.bench.peers.pydantic_models import EVENT

    decode = JsonCodec().decode
    return {
        name: [
            _bytes_each(lambda text=text: decode(text), 500)
            / _bytes_each(lambda text=text: EVENT.validate_json(text), 500)
        ]
        for name, text in JSON.items()
        if name != "f"
    }


def _idle_server() -> Any:
    from flowstorm_channel import RequestHead, SocketV1Server

    server = SocketV1Server()
    server.receive_data(RequestHead(method="GET", url="/socket", headers=()))
    server.receive_data(JSON["a"])
    for _ in server.events():
        server.ready()
    for _ in server.data_to_send():
        pass
    return server


def _memory_of_a_connection(_: Effort) -> Ratios:
    # What a codec of default limits takes is shared, and made before.
    return {"one": [_bytes_each(_idle_server, 500) / 1024]}


def _crowd(effort: Effort) -> Ratios:
    """What of a core 50 000 idle connections and 1000 streams of 20 ms of audio take: of one second each.

    An idle connection is looked at once a second, as a host does that keeps one timer for all of them.
    """
    quick = effort.processes == 1
    parts = 10 if quick else 1
    idle = [_idle_server() for _ in range(50_000 // parts)]
    streams = [listening_server() for _ in range(1000 // parts)]
    block = bytes(640)
    shares = []
    gc.collect()
    gc.freeze()
    for _ in range(2 if quick else 5):
        began = time.process_time()
        for _ in range(50):
            for server in streams:
                server.receive_data(block)
                for _event in server.events():
                    pass
                server.next_deadline()
        for server in idle:
            server.next_deadline()
        shares.append((time.process_time() - began) * parts)
    gc.unfreeze()
    return {"one core": shares}


_IMPORT = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"


def _import(what: str) -> float:
    program = [sys.executable, "-c", _IMPORT.format(what)]
    # As for a user, for whom Python keeps what it has compiled.
    around = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return float(subprocess.run(program, check=True, capture_output=True, text=True, env=around).stdout)


def _imports(effort: Effort) -> Ratios:
    # Each in a process of its own; the first one finds the files cold.
    _import("flowstorm_channel")
    return {
        "import": [
            _import("flowstorm_channel") / _import("attrs, cattrs, msgpack") for _ in range(effort.rounds)
        ]
    }


ROWS = [
    Row(
        "memory-of-events",
        "memory of decoded events",
        "models of pydantic",
        (Goal(0.32),),
        _memory_of_events,
    ),
    Row(
        "memory-of-a-connection",
        "memory of one idle V1 connection, at the server",
        "nothing",
        (Goal(2.5),),
        _memory_of_a_connection,
        unit="KB",
    ),
    Row(
        "crowd",
        "50 000 idle connections and 1000 streams of 20 ms audio: share of one core",
        "real time",
        (Goal(0.7),),
        _crowd,
    ),
    Row(
        "import",
        "import flowstorm_channel",
        "import attrs, cattrs, msgpack",
        (Goal(1.5),),
        _imports,
    ),
]
