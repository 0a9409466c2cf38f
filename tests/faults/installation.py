"""The hub as an installation: its processes under a supervisor that starts again whatever ended, and a receiver."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from struct import pack
from typing import Any

import attrs
import httpx

from tests.faults.receiver import Receipt, receipts

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
PATIENCE = 60.0
"""Seconds to wait for something that must come; much more than it takes, because the machine may be busy."""

_AFTER_A_FALL = 0.2
"""Seconds until what ended by itself is started again: the database may be away, and a start needs it."""


@attrs.define(eq=False)
class Role:
    """A process that is to run, and the one that runs for it now. falls: how old they were, in s, that ended by themselves."""

    name: str
    arguments: Sequence[str]
    more: Mapping[str, Any]
    pid: int = 0
    born: float = 0.0
    falls: list[float] = attrs.field(factory=list)
    wanted: bool = True
    code: int | None = None
    died: threading.Event = attrs.field(factory=threading.Event)


class Installation:
    """Processes, a data folder, a receiver. Not for use by several threads, except `call`."""

    def __init__(self, folder: Path, seed: str, environment: Mapping[str, str] | None = None) -> None:
        self.port, self.receiver_port = free_ports(2)
        self.url = f"http://{HOST}:{self.port}"
        self.log = folder / "received"
        self._folder = folder
        self._clock = folder / "clock"
        self._clock.write_bytes(pack("d", 0.0))
        self._environment = {
            "PATCHBAY_DATA_DIR": str(folder / "data"),
            "PATCHBAY_PORT": str(self.port),
            "PATCHBAY_ALLOW_NETWORKS": f"{HOST}:{self.receiver_port}",
            "PATCHBAY_LOG_FORMAT": "json",
            "PATCHBAY_LOG_LEVEL": "warning",
            **(environment or {}),
        }
        self.roles: dict[str, Role] = {}
        self._lock = threading.Lock()
        self._of_pid: dict[int, Role] = {}
        self._births: queue.Queue[int] = queue.Queue()
        self._errors = (folder / "nursery.log").open("ab")
        self.log.touch()
        self._receiver = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.receiver", str(self.receiver_port), str(self.log), seed], cwd=ROOT
        )
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._ask, self._told = self._nursery.stdin, self._nursery.stdout
        assert json.loads(self._told.readline()) == {"ready": True}
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.http = httpx.Client(timeout=15, trust_env=False)
        self.api_key = ""

    # Processes

    def found(self) -> None:
        """The first start: a database, a key."""
        made = self.start("keys", "keys", "create", "--name", "faults", _once=True)
        assert made.died.wait(PATIENCE), "the first start hangs"
        text = self.story("keys")
        assert made.code == 0, text
        self.api_key = next(word for word in text.split() if word.startswith("pb_"))

    def start(self, name: str, *arguments: str, _once: bool = False, **more: Any) -> Role:
        """Run `patchbay` with these arguments from now on. more: `file_limit` in bytes; `clock=True` for one to be set."""
        if more.pop("clock", False):
            more["clock"] = str(self._clock)
        role = self.roles[name] = Role(name, arguments, more, wanted=not _once)
        self._bear(role)
        return role

    def kill(self, name: str) -> float:
        """As a power cut does: no warning, nothing finished. Returns when; it is not started again by itself."""
        role = self.roles[name]
        role.wanted = False
        moment = time.time()
        if not role.died.is_set():
            os.kill(role.pid, signal.SIGKILL)
        assert role.died.wait(PATIENCE), "it cannot be killed"
        return moment

    def stop(self, name: str) -> int:
        """SIGTERM; the exit code."""
        role = self.roles[name]
        role.wanted = False
        os.kill(role.pid, signal.SIGTERM)
        assert role.died.wait(PATIENCE), f"it does not end:\n{self.story(name)}"
        assert role.code is not None
        return role.code

    def start_again(self, name: str) -> float:
        """What was killed. Returns when it was born."""
        role = self.roles[name]
        role.wanted = True
        self._bear(role)
        return role.born

    def until_ready(self) -> None:
        """Wait until the hub answers."""
        self.until("the hub", lambda: self._ready() or None)

    def set_clock(self, ahead_s: float) -> None:
        """From now on the clocks of all processes that were started with one show so much more than the machine's."""
        with self._clock.open("r+b") as file:  # in place: they have it in their memory
            file.write(pack("d", ahead_s))

    def _ready(self) -> bool:
        try:
            return self.http.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _bear(self, role: Role) -> None:
        with self._lock:
            role.died.clear()
            role.code = None
            asked = {
                "arguments": role.arguments,
                "environment": self._environment,
                "log": str(self._folder / f"{role.name}.log"),
                **role.more,
            }
            self._births = queue.Queue()
            self._of_pid[-1] = role
            self._ask.write(json.dumps(asked).encode() + b"\n")
            self._ask.flush()
            role.pid = self._births.get(timeout=PATIENCE)
            role.born = time.time()

    def _listen(self) -> None:
        for line in self._told:
            told = json.loads(line)
            if "born" in told:
                self._of_pid[told["born"]] = self._of_pid.pop(-1)
                self._births.put(told["born"])
            elif "died" in told:
                role = self._of_pid.pop(told["died"])
                role.code = told["code"]
                role.died.set()
                if role.wanted:
                    role.falls.append(time.time() - role.born)
                    threading.Timer(_AFTER_A_FALL, self._pick_up, (role,)).start()

    def _pick_up(self, role: Role) -> None:
        if role.wanted and role.died.is_set():
            self._bear(role)

    def story(self, name: str) -> str:
        """The end of a process's log."""
        path = self._folder / f"{name}.log"
        return path.read_text()[-4000:] if path.exists() else ""

    def close(self) -> None:
        """Nothing is left running."""
        for role in self.roles.values():
            role.wanted = False
        self.http.close()
        self._ask.close()
        self._nursery.wait(PATIENCE)
        self._listener.join(PATIENCE)
        self._told.close()
        self._receiver.kill()
        self._receiver.wait()
        self._errors.close()

    # The host application

    @property
    def headers(self) -> dict[str, str]:
        """What a call of the host application carries."""
        return {"Authorization": f"Bearer {self.api_key}"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One API call that is to succeed; its JSON."""
        answer = self.http.request(method, self.url + path, json=body, headers=self.headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def endpoint(self, path: str, **more: Any) -> str:
        """An endpoint of the receiver that is told everything; its id."""
        made: str = self.call("POST", "/api/webhooks", {"url": f"{self._receiver_url}{path}", "events": ["*"], **more})[
            "id"
        ]
        return made

    def publish(self, *numbers: int) -> list[str]:
        """Events that carry these numbers; their ids."""
        events = [{"type": "kiln.fired", "data": {"n": number}} for number in numbers]
        return [item["id"] for item in self.call("POST", "/api/events/batch", {"events": events})["items"]]

    def pending(self) -> bool:
        """Whether something waits to be delivered."""
        return bool(self.call("GET", "/api/deliveries?status=pending&limit=1")["items"])

    def deliveries(self, query: str = "") -> list[Any]:
        """All of them, newest first."""
        found: list[Any] = []
        cursor = ""
        while True:
            page = self.call("GET", f"/api/deliveries?limit=200{query}{cursor}")
            found += page["items"]
            if page.get("next_cursor") is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    # The receiver

    @property
    def _receiver_url(self) -> str:
        return f"http://{HOST}:{self.receiver_port}"

    def mood(self, **mood: Any) -> None:
        """How the receiver answers from now on; see there."""
        self.until("the receiver", lambda: self._put(mood))

    def _put(self, mood: Mapping[str, Any]) -> bool:
        try:
            return self.http.put(f"{self._receiver_url}/_mood", json=mood).is_success
        except httpx.TransportError:
            return False

    def received(self, since: int = 0) -> list[Receipt]:
        """What came so far. since: what `heard` said before."""
        return receipts(self.log, since)

    def heard(self) -> int:
        """How far the receiver's log goes."""
        return self.log.stat().st_size

    def until(self, what: str, look: Any, patience: float = PATIENCE) -> Any:
        """Look again and again until there is something to see."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if seen := look():
                return seen
            time.sleep(0.05)
        stories = "\n".join(f"{name}: {self.story(name)}" for name in self.roles)
        raise AssertionError(f"{what} did not come within {patience:.0f} s\n{stories}")

    def until_delivered(self, patience: float = PATIENCE) -> None:
        """Wait until nothing is pending any more."""
        self.until("the last delivery", lambda: not self._pending_now(), patience)

    def _pending_now(self) -> bool:
        try:
            return self.pending()
        except (httpx.TransportError, AssertionError):
            return True


@contextmanager
def installed(folder: Path, seed: str = "", environment: Mapping[str, str] | None = None) -> Iterator[Installation]:
    """An installation with an empty database and an API key; everything is ended at the end."""
    made = Installation(folder, seed, environment)
    try:
        made.found()
        yield made
    finally:
        made.close()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind((HOST, 0))
    ports: list[Any] = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
