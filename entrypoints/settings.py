"""Settings: the environment read once into a frozen value. A start with mistakes lists all of them and stops."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from adapters.http.guard import AddressGuard
from adapters.http.proxy import Proxy
from adapters.queue import check_queue_url

PREFIX = "PATCHBAY_"


class WrongSettings(Exception):
    """Some settings cannot be; the text lists each on a line of its own."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


@attrs.frozen
class Settings:
    """How this hub runs. Each field is the variable PATCHBAY_<NAME>, or PATCHBAY_<NAME>_FILE with a path to read it from."""

    data_dir: Path
    """Where the key file and the SQLite database are (default ./data)."""
    database_url: str
    """sqlite:///path or postgresql://user:password@host/name (default: patchbay.db in data_dir)."""
    queue_url: str | None
    """nats://… or tls://… (JetStream), postgresql://…, or embedded: (default: follows the database)."""
    host: str
    """The address to listen on (default 127.0.0.1)."""
    port: int
    """The port to listen on (default 8000)."""
    public_url: str
    """The address under which the outside world reaches the hub: in payment links and for webhooks."""
    key_file: Path
    """The key ring (default keys.json in data_dir)."""
    key_ring: str | None
    """The key ring itself, instead of a file."""
    allow_networks: tuple[str, ...]
    """Private addresses that may be reached all the same: CIDRs or host:port, separated by commas."""
    proxy_url: str | None = attrs.field(repr=False)
    """An http:// proxy for what users address: webhooks, Slack, Discord, token servers."""
    no_proxy: tuple[str, ...]
    """Hosts that are reached without the proxy, separated by commas."""
    stripe_url: str
    paypal_url: str | None
    flutterwave_url: str | None
    """Where Stripe's API is; an emulator can stand in."""
    log_level: str
    """debug, info, warning or error (default info)."""
    log_format: str
    """json or console (default: console on a terminal)."""
    retention_days: int
    """How long finished deliveries and handled webhooks are kept (default 90)."""
    payload_days: int
    """How long the headers and bodies of delivery attempts are kept (default 30)."""
    audit_days: int
    """How long the audit trail is kept (default 400)."""
    organisation: str
    """The name of the organisation made at the first start (default My organisation)."""
    owner_email: str
    """Who owns it (default owner@localhost)."""
    metrics_token: str | None
    """If set, /metrics asks for it as a bearer token."""

    @property
    def retention(self) -> timedelta:
        """retention_days as a length of time."""
        return timedelta(days=self.retention_days)

    @property
    def payload_retention(self) -> timedelta:
        """payload_days as a length of time."""
        return timedelta(days=self.payload_days)

    @property
    def audit_retention(self) -> timedelta:
        """audit_days as a length of time."""
        return timedelta(days=self.audit_days)

    @property
    def proxy(self) -> Proxy | None:
        """The proxy, if there is one."""
        return None if self.proxy_url is None else Proxy(self.proxy_url, self.no_proxy)

    @property
    def secure_cookies(self) -> bool:
        """Whether the console is reached over TLS."""
        return self.public_url.startswith("https://")

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the environment. Raises WrongSettings listing every mistake."""
        reader = _Reader(os.environ if environment is None else environment)
        data_dir = Path(reader.text("DATA_DIR", "data")).expanduser()
        host = reader.text("HOST", "127.0.0.1")
        port = reader.number("PORT", 8000, least=1, most=65535)
        settings = cls(
            data_dir=data_dir,
            database_url=reader.database("DATABASE_URL", f"sqlite:///{data_dir / 'patchbay.db'}"),
            queue_url=reader.queue("QUEUE_URL"),
            host=host,
            port=port,
            public_url=reader.url("PUBLIC_URL", f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"),  # noqa: S104
            key_file=Path(reader.text("KEY_FILE", str(data_dir / "keys.json"))).expanduser(),
            key_ring=reader.text("KEY_RING", "") or None,
            allow_networks=reader.networks("ALLOW_NETWORKS"),
            proxy_url=reader.proxy("PROXY_URL", reader.many("NO_PROXY")),
            no_proxy=reader.many("NO_PROXY"),
            stripe_url=reader.url("STRIPE_URL", "https://api.stripe.com"),
            paypal_url=reader.optional_url("PAYPAL_URL"),
            flutterwave_url=reader.optional_url("FLUTTERWAVE_URL"),
            log_level=reader.choice("LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
            log_format=reader.choice("LOG_FORMAT", "auto", ("auto", "json", "console")),
            retention_days=reader.number("RETENTION_DAYS", 90, least=1, most=3650),
            payload_days=reader.number("PAYLOAD_DAYS", 30, least=1, most=3650),
            audit_days=reader.number("AUDIT_DAYS", 400, least=1, most=3650),
            organisation=reader.text("ORGANISATION", "My organisation"),
            owner_email=reader.text("OWNER_EMAIL", "owner@localhost"),
            metrics_token=reader.text("METRICS_TOKEN", "") or None,
        )
        reader.unknown({field.name.upper() for field in attrs.fields(cls)})
        if reader.mistakes:
            raise WrongSettings(reader.mistakes)
        return settings


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.mistakes: list[str] = []

    def text(self, name: str, default: str) -> str:
        variable = PREFIX + name
        path = self._environment.get(f"{variable}_FILE")
        if path and variable in self._environment:
            self.mistakes.append(f"{variable} and {variable}_FILE are both set; set one.")
        if path:
            try:
                return Path(path).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                self.mistakes.append(f"{variable}_FILE: {path} cannot be read ({type(error).__name__}).")
                return default
        return self._environment.get(variable, "").strip() or default

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        text = self.text(name, str(default))
        if text.isascii() and text.isdigit() and least <= int(text) <= most:
            return int(text)
        self.mistakes.append(f"{PREFIX}{name}: '{text}' is not a whole number from {least} to {most}.")
        return default

    def choice(self, name: str, default: str, options: tuple[str, ...]) -> str:
        text = self.text(name, default).lower()
        if text in options:
            return text
        self.mistakes.append(f"{PREFIX}{name}: '{text}' is none of {', '.join(options)}.")
        return default

    def url(self, name: str, default: str) -> str:
        text = self.text(name, default).rstrip("/")
        if _is_address(text):
            return text
        self.mistakes.append(f"{PREFIX}{name}: '{text}' is not an http(s) address.")
        return default

    def optional_url(self, name: str) -> str | None:
        return self.url(name, "") if self.text(name, "") else None

    def database(self, name: str, default: str) -> str:
        text = self.text(name, default)
        if not text.startswith(("sqlite:///", "postgresql://", "postgres://")):
            self.mistakes.append(f"{PREFIX}{name}: it begins with sqlite:/// or postgresql://.")
            return default
        if not text.startswith("sqlite:") and not _has_database_port(text):
            self.mistakes.append(f"{PREFIX}{name}: its port is not a whole number from 1 to 65535.")
            return default
        return text.replace("postgres://", "postgresql://", 1)

    def queue(self, name: str) -> str | None:
        text = self.text(name, "")
        try:
            if text:
                check_queue_url(text)
        except ValueError as error:
            self.mistakes.append(f"{PREFIX}{name}: {error}.")
        return text or None

    def proxy(self, name: str, past: tuple[str, ...]) -> str | None:
        text = self.text(name, "")
        try:
            if text:
                Proxy(text, past)
        except ValueError as error:
            self.mistakes.append(f"{PREFIX}{name} or {PREFIX}NO_PROXY: {error}")
        return text or None

    def many(self, name: str) -> tuple[str, ...]:
        return tuple(entry.strip() for entry in self.text(name, "").split(",") if entry.strip())

    def networks(self, name: str) -> tuple[str, ...]:
        entries = self.many(name)
        try:
            AddressGuard(entries)
        except ValueError as error:
            self.mistakes.append(f"{PREFIX}{name}: {error}.")
        return entries

    def unknown(self, known: set[str]) -> None:
        """A variable that is nearly a setting is a slip of the pen; one that is far from all is somebody else's."""
        for variable in sorted(self._environment):
            name = variable.removeprefix(PREFIX).removesuffix("_FILE")
            if variable.startswith(PREFIX) and name not in known:
                meant = get_close_matches(name, known, n=1, cutoff=0.7)
                if meant:
                    self.mistakes.append(f"{variable} is no setting; did you mean {PREFIX}{meant[0]}?")


def _has_database_port(text: str) -> bool:
    """Whether the port is one, or left out. The text may hold a password, in which anything may stand."""
    port = re.fullmatch(r"[^:]*://(?:.*@)?(?:\[[^]]*\]|[^:/?]*)(?::([^/?]*))?(?:[/?].*)?", text, re.DOTALL)
    if port is None:
        return False
    return port[1] is None or (port[1].isascii() and port[1].isdigit() and 1 <= int(port[1]) <= 65535)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and not (parts.query or parts.fragment)
    )
