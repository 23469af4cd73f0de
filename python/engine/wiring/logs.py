"""Logs: events with fields; JSON, or coloured lines where stderr is a terminal."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import msgspec
import structlog

from engine.messaging.credentials import masked

__all__ = ["set_up_logs"]


def set_up_logs(level: str = "info", *, stream: TextIO | None = None) -> None:
    """Send what structlog is told to stderr (or `stream`), from `level` up."""
    out = sys.stderr if stream is None else stream
    logging.getLogger("asyncio").addFilter(_is_worth_saying)
    last: Any = structlog.dev.ConsoleRenderer() if out.isatty() else _render
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _without_passwords,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Drop what asyncio says whenever a TLS connection of nats-py ends, all being well."""
    return "eof_received() has no effect" not in record.getMessage()


_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def _without_passwords(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Take passwords out of addresses, wherever they were written; others are never logged."""
    for name, value in event.items():
        if isinstance(value, str) and "://" in value:
            event[name] = masked(value)
    return event


_encoder = msgspec.json.Encoder(enc_hook=repr)


def _render(_logger: object, _method: str, event: object) -> str:
    return _encoder.encode(event).decode()
