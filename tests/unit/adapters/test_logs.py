"""No secret reaches the log, by whatever way it comes."""

import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from adapters.logs import configure_logs
from adapters.redaction import LONGEST, redact, redact_text

CANARY = "c4n4ryC4N4RYc4n4ry"

LOOKS = [
    f"sk_live_{CANARY}",
    f"sk_test_{CANARY}",
    f"rk_live_{CANARY}",
    f"whsec_{CANARY}+/{CANARY}==",
    f"pb_01K9ZZZZZZZZZZZZZZZZZZZZZZ_{CANARY}-_x",
    f"xoxb-123-{CANARY}",
    f"pi_3abc_secret_{CANARY}",
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{CANARY}",
    f"Authorization: Bearer {CANARY}",
    f"bearer  {CANARY}",
    f"Basic {CANARY}==",
    f"https://user:{CANARY}@example.com/x",
    f"https://{CANARY}@example.com",
    f"postgresql+asyncpg://hub:p@{CANARY}@db:5432/hub",
    f"https://hooks.slack.com/services/T000/B000/{CANARY}",
    f"https://hooks.slack.com/workflows/{CANARY}/1",
    f"http://127.0.0.1:9000/slack/services/T000/B000/{CANARY}",
    f"https://discord.com/api/v10/webhooks/123456789/{CANARY}?wait=true",
    f"https://discordapp.com/api/webhooks/123456789/{CANARY}",
    f"GET /pay/{CANARY} HTTP/1.1",
    f"https://example.com/?a=1&access_token={CANARY}&b=2",
    f"password={CANARY}",
    f"client_secret = '{CANARY}'",
    f'{{"api_key": "{CANARY}", "x": 1}}',
    f"{{'SMTP_PASSWORD': '{CANARY} {CANARY}'}}",
    f"-----BEGIN EC PRIVATE KEY-----\n{CANARY}\n-----END EC PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}",
]

NAMES = (
    "secret password smtp_password token access_token refreshToken Authorization proxy-authorization api_key apiKey"
    " X-Api-Key webhook_url slack_webhook_url cookie Set-Cookie credentials private_key clientSecret database_url"
    " Webhook-Signature Stripe-Signature"
).split()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Where the log goes; the process's logging is put back afterwards."""
    root = logging.getLogger()
    before = root.handlers, root.level, logging.raiseExceptions
    stream = io.StringIO()
    configure_logs(json=True, level="debug", stream=stream)
    yield stream
    root.handlers, root.level, logging.raiseExceptions = before
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def last(log: io.StringIO) -> dict[str, Any]:
    """The last line, read back."""
    line: dict[str, Any] = json.loads(log.getvalue().splitlines()[-1])
    return line


@pytest.mark.parametrize("text", LOOKS)
def test_what_looks_like_a_secret_is_taken_out_wherever_it_stands(log: io.StringIO, text: str) -> None:
    """In the message, a field, a nested field, a name, bytes, an argument, and an exception's text, also a cause's."""
    logger = structlog.get_logger("test")
    message = f"before {text} after"
    logger.info(message, field=text, nested={"a": [{"b": (text,)}], text: 1}, raw=text.encode())
    logger.info("shown %s", text)
    logging.getLogger("library").warning("it said %s", text)
    logging.getLogger("library").warning({"it": text})
    try:
        try:
            raise KeyError(text)
        except KeyError as error:
            raise ValueError(f"while reading {text}") from error
    except ValueError as error:
        logger.exception("failed", error=error)
        logging.getLogger("library").exception("failed too")
    assert CANARY not in log.getvalue()
    assert len(log.getvalue().splitlines()) == 6
    assert "before" in log.getvalue()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [CANARY, CANARY.encode(), [CANARY], {"a": CANARY}, 123456])
def test_a_field_that_is_named_like_a_secret_is_not_shown(log: io.StringIO, name: str, value: object) -> None:
    """Whatever its value looks like, and however deep it is."""
    structlog.get_logger("test").info("x", **{name: value}, headers={"deep": {name: value}})
    assert CANARY not in log.getvalue()
    assert "123456" not in json.dumps({k: v for k, v in last(log).items() if k != "timestamp"})


def test_objects_are_shown_by_their_text_without_secrets(log: io.StringIO) -> None:
    """A JSON renderer would call repr after the redaction."""

    class Thing:
        def __repr__(self) -> str:
            return f"Thing(key='sk_live_{CANARY}')"

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError(CANARY)

    structlog.get_logger("test").info("x", thing=Thing(), things=[Thing()], broken=Broken())
    assert CANARY not in log.getvalue()
    assert last(log)["broken"] == "<Broken>"


def test_what_is_no_secret_stays(log: io.StringIO) -> None:
    """A log in which everything is hidden helps nobody."""
    structlog.get_logger("test").info(
        "invoice.paid",
        invoice="inv_01K9ZZZZZZZZZZZZZZZZZZZZZZ",
        amount=12500,
        url="https://hooks.example.com/a?b=c",
        has_secret=True,
        secret=None,
        text="the token: it has expired",
        key="pb_01K9ZZZZZZZZZZZZZZZZZZZZZZ_x",
    )
    line = last(log)
    assert line["event"] == "invoice.paid"
    assert line["invoice"] == "inv_01K9ZZZZZZZZZZZZZZZZZZZZZZ"
    assert (line["amount"], line["has_secret"], line["secret"]) == (12500, True, None)
    assert line["url"] == "https://hooks.example.com/a?b=c"
    assert line["text"] == "the token: it has expired"
    assert line["key"] == "pb_01K9ZZZZZZZZZZZZZZZZZZZZZZ_[redacted]", "the part that names the key helps to find it"
    assert (line["level"], line["logger"]) == ("info", "test")
    assert line["timestamp"].endswith("Z")


def test_bound_ids_are_on_every_line_also_a_library_s(log: io.StringIO) -> None:
    """One request can be followed through everything it touched."""
    with structlog.contextvars.bound_contextvars(request_id="req_1", delivery_id="dlv_1"):
        logging.getLogger("uvicorn.access").info("GET /")
        assert (last(log)["request_id"], last(log)["delivery_id"]) == ("req_1", "dlv_1")
        structlog.get_logger("test").info("x")
        assert last(log)["request_id"] == "req_1"
    structlog.get_logger("test").info("x")
    assert "request_id" not in last(log)


def test_a_line_that_cannot_be_formatted_is_not_printed_raw(
    log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """The standard library would print its arguments past the redaction."""
    logging.getLogger("library").warning("%d", CANARY)
    assert CANARY not in log.getvalue() + capsys.readouterr().err


def test_the_level_is_kept(log: io.StringIO) -> None:
    """And talkative libraries are quiet even at debug."""
    configure_logs(json=True, level="warning", stream=log)
    structlog.get_logger("test").info("quiet")
    logging.getLogger("library").info("quiet")
    structlog.get_logger("test").warning("loud")
    assert [json.loads(line)["event"] for line in log.getvalue().splitlines()] == ["loud"]
    configure_logs(json=True, level="debug", stream=log)
    logging.getLogger("httpcore.http11").debug("quiet")
    assert "quiet" not in log.getvalue()
    with pytest.raises(ValueError, match="LOUD"):
        configure_logs(json=True, level="loud", stream=log)


def test_lines_for_a_person_are_redacted_too(log: io.StringIO) -> None:
    """The same rules on a terminal."""
    configure_logs(json=False, stream=log)
    try:
        raise ValueError(f"sk_live_{CANARY}")
    except ValueError:
        structlog.get_logger("test").exception("failed", password=CANARY)
    assert "failed" in log.getvalue()
    assert "Traceback" in log.getvalue()
    assert CANARY not in log.getvalue()


def test_a_huge_text_is_cut() -> None:
    """A hostile answer must not fill the disk."""
    assert len(redact_text("x" * 1_000_000)) < LONGEST + 20


@pytest.mark.parametrize(
    "piece",
    ["a", "token", "secret-", "eyJ", "://", "pb_", "pi_a_", "/services/T", "-----BEGIN ", "api_key ", "Basic ", "="],
)
def test_no_text_makes_the_search_slow(piece: str) -> None:
    """Regular expressions that backtrack would let a receiver stop the hub."""
    began = time.process_time()
    redact_text(piece * (LONGEST // len(piece)))
    assert time.process_time() - began < 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    )
)
def test_redaction_never_fails_and_always_gives_json(value: object) -> None:
    """A log line must never break what it tells about."""
    json.dumps(redact(value))


def test_a_value_that_holds_itself_does_not_loop() -> None:
    """Depth is limited."""
    loop: list[object] = []
    loop.append(loop)
    json.dumps(redact(loop))
