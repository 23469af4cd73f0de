"""Spans kept in memory, in the place of a collector."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from engine.messaging import traces
from engine.wiring.otel import OtelTraces, provider_of

__all__ = ["Spans", "header_of", "spans_kept"]


class Spans:
    """Those that have ended, as they were sampled."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def named(self, name: str) -> list[ReadableSpan]:
        return [one for one in self._exporter.get_finished_spans() if one.name == name]


@contextmanager
def spans_kept(*, ratio: float = 1.0) -> Iterator[Spans]:
    """Trace while the context lasts."""
    exporter = InMemorySpanExporter()
    provider = provider_of(SimpleSpanProcessor(exporter), ratio=ratio, service="test", name="t1")
    traces.install(OtelTraces(provider))
    try:
        yield Spans(exporter)
    finally:
        traces.install(None)
        provider.shutdown()


def header_of(span: ReadableSpan) -> str:
    """Return the header of a sampled span, as the W3C has it."""
    context = span.context
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
