"""A worker as a process sends its rounds to a collector, tied to the samples of another process."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from engine.domain.ids import partition_of
from engine.messaging.embedded import embedded_server
from engine.wiring import open_broker
from support.definitions import frame, report
from support.processes import Auditor, publish, worker_process
from support.spans import spans_kept
from support.terminal import at_work
from support.waiting import wait_until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(60)]


class Collector:
    """What was sent over OTLP: (service, span)."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[tuple[str, Span]] = []

    def take(self, body: bytes) -> None:
        for one in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {pair.key: pair.value.string_value for pair in one.resource.attributes}
            for scope in one.scope_spans:
                self.spans += [(about["service.name"], span) for span in scope.spans]


@contextmanager
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_workers_round_is_a_child_of_samples_from_another_process() -> None:
    one, auditor = at_work("spring-shoes"), Auditor()
    partition = partition_of("spring-shoes")
    with collector() as collected, spans_kept() as spans:
        async with embedded_server() as server, open_broker(server.url, name="feed") as broker:
            await publish(broker, one)
            environ = {"ENGINE_TRACES_RATIO": "0.000001", "ENGINE_TRACES_ENDPOINT": collected.url}
            flags = ("--nats", server.url, "--name", "w1", "--interval", "0.2")
            async with auditor.following(broker), worker_process(*flags, environ=environ) as worker:
                rows = [report("spring-shoes", "google", at=one.changed_at)]
                payload = frame(partition, rows, sequence=1)
                await broker.frames.publish(partition, payload, message_id="f1")
                await broker.frames.flush()
                await wait_until(
                    lambda: any(r.metrics_sequence for r in auditor.rounds(partition)),
                    within_s=30,
                    what="a round over the samples",
                )
                worker.signal(signal.SIGTERM)
                assert (await worker.ended(within_s=20))[0] == 0
    (published,) = spans.named("publish samples")
    assert published.context is not None
    (round_,) = [span for service, span in collected.spans if service == "engine-worker"]
    assert round_.name == "round"
    assert int.from_bytes(round_.trace_id) == published.context.trace_id
    assert int.from_bytes(round_.parent_span_id) == published.context.span_id
