"""Spans of OpenTelemetry behind the port of `messaging.traces`: the only module that imports it."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from engine.messaging.traces import TRACEPARENT, Kind, carried

__all__ = ["OtelTraces", "exporting", "provider_of"]

MOST_LINKS = 32  # of a round that counts the frames of many publishers
SEND_S = 2.0  # for a batch of spans; a collector that is away costs no round

_KINDS = {
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
}
_w3c = TraceContextTextMapPropagator()


def exporting(
    endpoint: str, *, ratio: float, service: str, name: str
) -> tuple["OtelTraces", Callable[[], None]]:
    """Return what sends a share of all traces to a collector, and how to end it.

    Spans are sent from a thread of their own. The end sends what waits, and blocks: four seconds
    at most, for a collector that takes connections and says nothing.
    """
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=SEND_S)
    provider = provider_of(BatchSpanProcessor(exporter), ratio=ratio, service=service, name=name)

    def end() -> None:
        patience = threading.Timer(SEND_S, exporter.shutdown)
        patience.daemon = True
        patience.start()
        provider.shutdown()
        patience.cancel()

    return OtelTraces(provider), end


def provider_of(
    processor: SpanProcessor, *, ratio: float, service: str, name: str
) -> TracerProvider:
    """Return a provider that samples a share of new traces, and those that come sampled."""
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        resource=Resource.create({"service.name": service, "service.instance.id": name}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    return provider


class OtelTraces:
    """`messaging.traces.Traces` over a provider."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("engine")

    @contextmanager
    def span(
        self,
        name: str,
        *,
        kind: Kind,
        parents: Sequence[str] = (),
        attributes: Mapping[str, str | int | float] | None = None,
    ) -> Iterator[None]:
        found = [_read(header) for header in dict.fromkeys(parents)]
        valid = [one for one in found if one.is_valid]
        context = Context()
        if valid:
            context = trace.set_span_in_context(trace.NonRecordingSpan(valid[-1]), context)
        span = self._tracer.start_span(
            name,
            context=context,
            kind=_KINDS[kind],
            attributes=attributes,
            links=[Link(one) for one in valid[:-1][-MOST_LINKS:]],
        )
        token = carried.set(_header(span) if span.get_span_context().trace_flags.sampled else "")
        try:
            yield
        except Exception as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, str(error)))
            raise
        finally:
            carried.reset(token)
            span.end()


def _read(header: str) -> SpanContext:
    """Return what a header names; not valid where it cannot be read."""
    context = _w3c.extract({TRACEPARENT: header}, context=Context())
    return trace.get_current_span(context).get_span_context()


def _header(span: trace.Span) -> str:
    carrier: dict[str, str] = {}
    _w3c.inject(carrier, context=trace.set_span_in_context(span, Context()))
    return carrier[TRACEPARENT]
