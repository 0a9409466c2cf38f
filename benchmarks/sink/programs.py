"""Building, starting and asking the receiver and the sender: in C where there is a compiler, else in Python."""

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import httpx

from benchmarks.sink.receiver import header
from benchmarks.stage import HOST, Process
from domain.notifications.signing import UntrustedWebhook, verify

_HERE = Path(__file__).parent
_POLL = 0.02


class Unfinished(Exception):
    """Not everything came in time, or not as it should. The text says what did."""


def cache(name: str, *of: Path) -> Path:
    """A folder outside the project for what is built from these files; another one when they change."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in of)).hexdigest()[:12]
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    folder = Path(home if Path(home).is_absolute() else tempfile.gettempdir()) / "patchbay-bench" / f"{name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def program(name: str) -> tuple[str, ...]:
    """The command of `receiver` or `sender`, compiled if need be and if that can be."""
    source = _HERE / f"{name}.c"
    compiler = shutil.which("cc")
    if compiler is None:
        return (sys.executable, "-m", f"benchmarks.sink.{name}")
    binary = cache(name, source) / name
    if not binary.exists():
        made = binary.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-O2", "-o", str(made), str(source)], check=True)
        made.replace(binary)
    return (str(binary),)


def language() -> str:
    """What the two programs are made of, for the record."""
    return "Python" if program("sender")[0] == sys.executable else "C"


@attrs.frozen
class Sent:
    """What the sender reports. Times in Unix seconds, cpu in seconds, percentiles of the answer in ms."""

    answered: int
    statuses: Mapping[str, int]
    began: float
    ended: float
    cpu: float
    p50: float
    p95: float
    p99: float

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return self.answered / (self.ended - self.began)


def send(
    port: int,
    request: bytes,
    count: int,
    *,
    connections: int = 64,
    rate: float = 0,
    seconds: int = 300,
    accept: str = "2",
) -> Sent:
    """POST it `count` times; see sender.c. Raises Unfinished when an answer's status does not begin with `accept`."""
    command = [*program("sender"), *map(str, (port, connections, count, rate, seconds))]
    done = subprocess.run(command, input=request, capture_output=True, check=False, timeout=seconds + 30)
    if done.returncode:
        raise Unfinished(f"the sender ended with {done.returncode}: {done.stderr.decode()[-500:]}")
    sent = Sent(**json.loads(done.stdout))
    if not all(status.startswith(accept) for status in sent.statuses):
        raise Unfinished(f"not everything was taken: {sent.statuses}")
    return sent


@attrs.define
class Sink:
    """A receiver that runs."""

    process: Process
    port: int
    http: httpx.Client

    def url(self, number: int) -> str:
        """One of its addresses; any number."""
        return f"http://{HOST}:{self.port}{self.path(number)}"

    @staticmethod
    def path(number: int) -> str:
        """The path of that address."""
        return f"/hook/{number}"

    def forget(self) -> None:
        """It has heard nothing."""
        self.http.put(f"http://{HOST}:{self.port}/reset").raise_for_status()

    def count(self) -> dict[str, float]:
        """Its report; see receiver.c."""
        counted: dict[str, float] = self.http.get(f"http://{HOST}:{self.port}/count").json()
        return counted

    def until(self, requests: int, seconds: float) -> dict[str, float]:
        """Wait for so many; the report. Raises Unfinished after so long."""
        deadline = time.monotonic() + seconds
        while (counted := self.count())["requests"] < requests:
            if time.monotonic() > deadline:
                raise Unfinished(f"only {counted['requests']:,.0f} of {requests:,} deliveries came in {seconds:.0f} s")
            time.sleep(_POLL)
        return counted

    def check(self, deliveries: int, secrets: Mapping[str, str]) -> None:
        """Each came once and complete, and the samples are genuine. secrets: by path. Raises Unfinished otherwise."""
        counted = self.count()
        if (counted["requests"], counted["ids"], counted["incomplete"]) != (deliveries, deliveries, 0):
            raise Unfinished(f"not each of {deliveries:,} deliveries came once and complete: {counted}")
        samples = self._samples()
        for sample in samples:
            head, _, body = sample.partition(b"\r\n\r\n")
            names = ("webhook-id", "webhook-timestamp", "webhook-signature")
            headers = {name: header(head, name.encode()).decode() for name in names}
            try:
                verify(secrets[head.split(b" ", 2)[1].decode()], headers, body, datetime.now(UTC))
            except UntrustedWebhook as error:
                raise Unfinished(f"a delivery is not genuine: {error}") from error
        if not samples:
            raise Unfinished("there is no sample to verify")

    def waits(self) -> list[float]:
        """From `data.sent_at` to the arrival, in ms, sorted."""
        raw = self.http.get(f"http://{HOST}:{self.port}/waits").content
        return sorted(wait * 1000 for (wait,) in struct.iter_unpack("<d", raw))

    def _samples(self) -> list[bytes]:
        raw, found = self.http.get(f"http://{HOST}:{self.port}/samples").content, []
        while raw:
            (length,) = struct.unpack_from("<I", raw)
            found.append(raw[4 : 4 + length])
            raw = raw[4 + length :]
        return found


def template(path: str, headers: Mapping[str, Any], size: int = 500) -> bytes:
    """A POST of one event whose body has `size` bytes, for the sender."""
    before, after = b'{"type":"kiln.fired","data":{"sent_at":%b,"n":"%b","padding":"' % (b"@" * 17, b"#" * 8), b'"}}'
    body = before + b"x" * (size - len(before) - len(after)) + after
    lines = [f"POST {path} HTTP/1.1", f"Host: {HOST}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
