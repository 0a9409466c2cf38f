"""Others verify what we sign, and we verify what others sign: the published Python and npm packages."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from domain.notifications.signing import UntrustedWebhook, new_secret, sign, verify

NODE = Path(__file__).parent / "node"
KEYS = (bytes(24), bytes(range(32)), bytes(range(64)), b"\xff" * 25)
BODIES = ('{"test": 2432232314}', "{}", "", "ü 漢字 🎉\r\n\t", '{"a":"' + "x" * 100_000 + '"}')


def now() -> datetime:
    """The packages read the machine's clock."""
    return datetime.now(UTC)


@cache
def node_packages() -> Path:
    """The folder with the npm packages of the lock file, installed once outside the checkout.

    `PATCHBAY_NODE_CACHE` says where (by default ~/.cache/patchbay-tests). Without npm the test is skipped, but not in CI.
    """
    if not shutil.which("npm") or not shutil.which("node"):
        if os.environ.get("CI"):
            pytest.fail("node and npm are missing, and CI may not skip")
        pytest.skip("node and npm are not installed: the npm package's opinion is not asked")
    lock = (NODE / "package-lock.json").read_bytes()
    cache_folder = Path(os.environ.get("PATCHBAY_NODE_CACHE") or Path.home() / ".cache" / "patchbay-tests")
    folder = cache_folder / f"node-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not folder.exists():
        cache_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_folder) as draft:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(NODE / name, draft)
            done = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
                cwd=draft,
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
            if done.returncode:
                if os.environ.get("CI"):
                    pytest.fail(f"npm ci failed: {done.stderr[-2000:]}")
                pytest.skip(f"npm could not install the package (offline?): {done.stderr[-300:]}")
            shutil.copytree(draft, folder, dirs_exist_ok=True)
    return folder


def ask_node(cases: list[dict[str, Any]]) -> list[Any]:
    """The npm package's answers, in one run of node."""
    done = subprocess.run(
        ["node", str(NODE / "second_opinion.cjs")],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "NODE_PATH": str(node_packages() / "node_modules")},
    )
    answers: list[Any] = json.loads(done.stdout)
    return answers


@given(key=st.binary(min_size=24, max_size=64), body=st.text(st.characters(codec="utf-8")))
def test_the_python_package_accepts_what_we_sign(key: bytes, body: str) -> None:
    """A receiver in Python needs no code of ours."""
    secret, other = new_secret(key), new_secret(bytes(range(30)))
    headers = sign([other, secret], "evt_01K9", now(), body.encode())
    Webhook(secret).verify(body.encode(), headers, json_parse=False)
    Webhook(other).verify(body.encode(), headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.encode() + b" ", headers, json_parse=False)


@given(key=st.binary(min_size=24, max_size=64), body=st.text(st.characters(codec="utf-8")))
def test_we_accept_what_the_python_package_signs(key: bytes, body: str) -> None:
    """And a sender neither."""
    secret, at = new_secret(key), now()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body),
    }
    assert verify(secret, headers, body.encode(), at) == "msg_1"
    with pytest.raises(UntrustedWebhook):
        verify(secret, headers, body.encode() + b" ", at)


def test_a_time_in_another_zone_is_accepted_by_the_python_package() -> None:
    """Its own `sign` gets such a time wrong; ours must not."""
    secret = new_secret(bytes(32))
    at = now().astimezone(timezone(timedelta(hours=-7)))
    Webhook(secret).verify(b"{}", sign([secret], "evt_1", at, b"{}"))


def test_the_npm_package_accepts_what_we_sign_and_refuses_what_was_changed() -> None:
    """A receiver in JavaScript needs no code of ours."""
    cases, expected = [], []
    for key in KEYS:
        for body in BODIES:
            secret, other = new_secret(key), new_secret(bytes(range(30)))
            headers = sign([other, secret], "evt_01K9", now(), body.encode())
            cases += [
                {"secret": secret, "headers": headers, "body": body},
                {"secret": other, "headers": headers, "body": body},
                {"secret": secret, "headers": headers, "body": body + " "},
                {"secret": new_secret(b"z" * 24), "headers": headers, "body": body},
            ]
            expected += [True, True, "WebhookVerificationError", "WebhookVerificationError"]
    assert ask_node(cases) == expected


def test_we_accept_what_the_npm_package_signs() -> None:
    """And a sender neither."""
    at = int(now().timestamp())
    pairs = [(new_secret(key), body) for key in KEYS for body in BODIES]
    answers = ask_node([{"sign": True, "secret": s, "id": "msg_1", "at": at, "body": b} for s, b in pairs])
    for (secret, body), signature in zip(pairs, answers, strict=True):
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}
        assert verify(secret, headers, body.encode(), now()) == "msg_1"
