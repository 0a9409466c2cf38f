"""Others verify what we sign, and we verify what others sign: the published Python and npm packages."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from base64 import b64decode
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from adapters.signer import Ed25519Signer
from domain.notifications.signatures import (
    SignatureStyle,
    SigningKey,
    SigningKeyPair,
    public_text,
    read_private,
    read_public,
    signed_headers,
)
from domain.notifications.signing import Secrets, UntrustedWebhook, new_secret, sign, verify

NODE = Path(__file__).parent / "node"
KEYS = (bytes(24), bytes(range(32)), bytes(range(64)), b"\xff" * 25)
SIGNER = Ed25519Signer()
SEEDS = (bytes(32), b"\xff" * 32)
PACKAGES = ("standardwebhooks", "svix")
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
    """The answers of the npm packages and of Node's crypto, in one run of node."""
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


@pytest.mark.parametrize("package", PACKAGES)
def test_the_npm_packages_accept_what_we_sign_and_refuse_what_was_changed(package: str) -> None:
    """A receiver in JavaScript needs no code of ours."""
    cases, expected = [], []
    for key in KEYS:
        for body in BODIES:
            secret, other = new_secret(key), new_secret(bytes(range(30)))
            headers = sign([other, secret], "evt_01K9", now(), body.encode())
            cases += [
                {"package": package, "secret": secret, "headers": headers, "body": body},
                {"package": package, "secret": other, "headers": headers, "body": body},
                {"package": package, "secret": secret, "headers": headers, "body": body + " "},
                {"package": package, "secret": new_secret(b"z" * 24), "headers": headers, "body": body},
            ]
            expected += [True, True, "WebhookVerificationError", "WebhookVerificationError"]
    assert ask_node(cases) == expected


@pytest.mark.parametrize("package", PACKAGES)
def test_we_accept_what_the_npm_packages_sign(package: str) -> None:
    """And a sender neither."""
    at = int(now().timestamp())
    pairs = [(new_secret(key), body) for key in KEYS for body in BODIES]
    answers = ask_node(
        [{"sign": True, "package": package, "secret": s, "id": "msg_1", "at": at, "body": b} for s, b in pairs]
    )
    for (secret, body), signature in zip(pairs, answers, strict=True):
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}
        assert verify(secret, headers, body.encode(), now()) == "msg_1"


def test_we_sign_the_example_of_the_specification() -> None:
    """The v1a signature that Standard Webhooks 1.0.0 prints, under the key that Svix's tests use."""
    text = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
    key = SigningKey("sgk_1", SIGNER.signing(read_private(text)))
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signed_headers(
        SignatureStyle.ASYMMETRIC, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', keys=[key]
    )
    assert headers["webhook-signature"] == (
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    )


def signed_by_both(body: bytes, secret: str) -> dict[str, str]:
    """A request's headers with v1 and v1a: one secret and two keys."""
    keys = [SigningKey(f"sgk_{number}", SIGNER.signing(seed)) for number, seed in enumerate(SEEDS)]
    return signed_headers(SignatureStyle.BOTH, "evt_01K9", now(), body, secrets=Secrets.of([secret]), keys=keys)


def pair_of(seed: bytes) -> SigningKeyPair:
    """What the hub keeps and shows of a key."""
    return SigningKeyPair("sgk_1", "org_1", "", public_text(SIGNER.public_key(seed)), now())


def test_openssl_accepts_every_v1a_signature_under_the_key_that_we_show() -> None:
    """No published package checks v1a; whoever does it with a library for Ed25519 gets along."""
    for body in BODIES:
        headers = signed_by_both(body.encode(), new_secret(bytes(24)))
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
        offered = [one for one in headers["webhook-signature"].split() if one.startswith("v1a,")]
        assert len(offered) == len(SEEDS)
        for seed, signature in zip(SEEDS, offered, strict=True):
            key = Ed25519PublicKey.from_public_bytes(read_public(pair_of(seed).public))
            key.verify(b64decode(signature[4:], validate=True), content)
            with pytest.raises(InvalidSignature):
                key.verify(b64decode(signature[4:], validate=True), content + b" ")


def test_node_accepts_every_v1a_signature_under_our_json_web_key() -> None:
    """It reads the key as the JWKS has it."""
    cases, expected = [], []
    for body in BODIES:
        headers = signed_by_both(body.encode(), new_secret(bytes(24)))
        for seed in SEEDS:
            cases.append({"jwk": pair_of(seed).jwk, "headers": headers, "body": body})
            cases.append({"jwk": pair_of(seed).jwk, "headers": headers, "body": body + " "})
            expected += [True, False]
        cases.append({"jwk": pair_of(b"z" * 32).jwk, "headers": headers, "body": body})
        expected.append(False)
    assert ask_node(cases) == expected


def test_a_v1a_signature_beside_it_does_not_trouble_who_checks_v1() -> None:
    """Every published verifier passes over versions it does not know; ours does too."""
    secret = new_secret(bytes(range(32)))
    headers = signed_by_both(b"{}", secret)
    Webhook(secret).verify(b"{}", headers)
    assert verify(secret, headers, b"{}", now()) == "evt_01K9"
    cases = [{"package": package, "secret": secret, "headers": headers, "body": "{}"} for package in PACKAGES]
    assert ask_node(cases) == [True, True]


def test_a_v1a_signature_alone_is_not_taken_for_v1() -> None:
    """The secret proves nothing of it."""
    secret, keys = new_secret(bytes(range(32))), [SigningKey("sgk_1", SIGNER.signing(SEEDS[0]))]
    headers = signed_headers(SignatureStyle.ASYMMETRIC, "evt_1", now(), b"{}", keys=keys)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(b"{}", headers)
    with pytest.raises(UntrustedWebhook, match="No signature fits"):
        verify(secret, headers, b"{}", now())
