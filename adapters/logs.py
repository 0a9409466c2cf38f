"""How the hub writes its log: one line an event, with the request's and the delivery's id, without secrets.

Everything comes through here, also what libraries log with the standard library. Bind ids for the length of a request or
an attempt with `structlog.contextvars.bound_contextvars(request_id=…)`.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from adapters.redaction import redact

_TALKATIVE = ("alembic", "httpcore", "httpx", "stripe", "aiosqlite", "asyncio", "apscheduler", "markdown_it")
"""Libraries whose debug and info lines tell nothing to whoever runs the hub."""

_WITH_HANDLERS = ("uvicorn", "uvicorn.access", "uvicorn.error")
"""Libraries that would print by themselves. (Start uvicorn with `log_config=None`.)"""


def configure_logs(json: bool, level: str = "info", *, stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging, for the process. May be called again.

    Args:
        json: a JSON object a line, for machines; else lines for a person, in colour on a terminal.
        level: `debug`, `info`, `warning`, `error` or `critical`. Raises ValueError for another.
        stream: where to write, by default standard error.
    """
    out = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(
            colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _redact_event, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in _WITH_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    # A line that cannot be formatted would be printed with its raw arguments, past the redaction.
    logging.raiseExceptions = False


def _redact_event(_: Any, __: str, event: MutableMapping[str, Any]) -> EventDict:
    redacted: EventDict = redact(event)
    return redacted
