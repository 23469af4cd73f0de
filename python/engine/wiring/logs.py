"""Logs: events with fields; JSON, or coloured lines where stderr is a terminal."""

import logging
import sys
from typing import Any, TextIO

import msgspec
import structlog

__all__ = ["set_up_logs"]


def set_up_logs(level: str = "info", *, stream: TextIO | None = None) -> None:
    """Send what structlog is told to stderr (or `stream`), from `level` up."""
    out = sys.stderr if stream is None else stream
    last: Any = structlog.dev.ConsoleRenderer() if out.isatty() else _render
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )


_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_encoder = msgspec.json.Encoder(enc_hook=repr)


def _render(_logger: object, _method: str, event: object) -> str:
    return _encoder.encode(event).decode()
