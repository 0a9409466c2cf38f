"""The code in docs/verifying.md, run as it stands there: it takes what we sign and refuses what was changed."""

import json
import os
import re
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.signer import Ed25519Signer
from domain.notifications.signatures import (
    STRIPE_HEADER,
    SignatureStyle,
    SigningKey,
    SigningKeyPair,
    public_text,
    signed_headers,
)
from domain.notifications.signing import Secrets, new_secret

PAGE = Path(__file__).resolve().parents[2] / "docs" / "verifying.md"
SECRETS = new_secret(bytes(range(32))), new_secret(b"\xff" * 24)
SEEDS = bytes(32), b"\x01" * 32
SIGNER = Ed25519Signer()

NODE = """
const { readFileSync } = require("node:fs");
const answer = ({ kind, key, headers, body }) => {
  const raw = Buffer.from(body, "base64");
  try {
    if (kind === "stripe") return verifyStripe(key, headers["HEADER"] , raw);
    return (kind === "v1" ? verifyV1 : verifyV1a)(key, headers, raw);
  } catch (error) {
    return error.name;
  }
};
process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
""".replace("HEADER", STRIPE_HEADER)

GO = """package main

import (
	"encoding/json"
	"net/http"
	"os"

	"receiver/webhooks"
)

type one struct {
	Kind    string
	Key     json.RawMessage
	Headers map[string]string
	Body    []byte
}

func main() {
	cases, answers := []one{}, []bool{}
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	for _, c := range cases {
		h := http.Header{}
		for name, value := range c.Headers {
			h.Set(name, value)
		}
		secret, set, keys := "", struct{ Keys []struct{ X string } }{}, []string{}
		json.Unmarshal(c.Key, &secret)
		json.Unmarshal(c.Key, &set)
		for _, k := range set.Keys {
			keys = append(keys, k.X)
		}
		switch c.Kind {
		case "v1":
			answers = append(answers, webhooks.VerifyV1(secret, h, c.Body))
		case "v1a":
			answers = append(answers, webhooks.VerifyV1a(keys, h, c.Body))
		default:
			answers = append(answers, webhooks.VerifyStripe(secret, h.Get("HEADER"), c.Body))
		}
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}
""".replace("HEADER", STRIPE_HEADER)

PHP = """
$answers = [];
foreach (json_decode(stream_get_contents(STDIN), true) as $one) {
    $body = base64_decode($one['body']);
    $answers[] = match ($one['kind']) {
        'v1' => verify_v1($one['key'], $one['headers'], $body),
        'v1a' => verify_v1a($one['key'], $one['headers'], $body),
        'stripe' => verify_stripe($one['key'], $one['headers']['HEADER'], $body),
    };
}
echo json_encode($answers);
""".replace("HEADER", STRIPE_HEADER)


def sample(language: str) -> str:
    """The one block of code in this language."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return str(code)


def jwks(*seeds: bytes) -> dict[str, Any]:
    """The set that the hub would publish."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    pairs = [
        SigningKeyPair(f"sgk_{n}", "org_1", "", public_text(SIGNER.public_key(s)), at) for n, s in enumerate(seeds)
    ]
    return {"keys": [pair.jwk for pair in pairs]}


def headers_of(style: SignatureStyle, body: bytes, off: timedelta = timedelta()) -> dict[str, str]:
    """A request's headers: two secrets and two keys sign, as during a rotation."""
    keys = [SigningKey(f"sgk_{number}", SIGNER.signing(seed)) for number, seed in enumerate(SEEDS)]
    return signed_headers(style, "evt_01K9", datetime.now(UTC) + off, body, secrets=Secrets.of(SECRETS), keys=keys)


def cases() -> list[tuple[dict[str, Any], bool]]:
    """Requests, and whether each is to be taken."""
    found: list[tuple[dict[str, Any], bool]] = []
    plans: tuple[tuple[str, tuple[SignatureStyle, ...], tuple[Any, ...], Any], ...] = (
        ("v1", (SignatureStyle.STANDARD, SignatureStyle.BOTH), SECRETS, new_secret(b"z" * 24)),
        (
            "v1a",
            (SignatureStyle.ASYMMETRIC, SignatureStyle.BOTH),
            (jwks(SEEDS[0]), jwks(SEEDS[1]), jwks(b"\x02" * 32, SEEDS[1])),
            jwks(b"\x02" * 32),
        ),
        ("stripe", (SignatureStyle.STRIPE,), SECRETS, new_secret(b"z" * 24)),
    )
    for kind, styles, right, wrong in plans:
        for style in styles:
            for body in (b"", b'{"a":1}', "ü 漢字\r\n".encode(), bytes(range(256))):
                headers = headers_of(style, body)

                def case(key: Any, sent: dict[str, str], raw: bytes, kind: str = kind) -> dict[str, Any]:
                    return {"kind": kind, "key": key, "headers": sent, "body": b64encode(raw).decode()}

                found += [(case(key, headers, body), True) for key in right]
                found += [
                    (case(wrong, headers, body), False),
                    (case(right[0], headers, body + b" "), False),
                    (case(right[0], headers_of(style, body, timedelta(minutes=-6)), body), False),
                    (case(right[0], headers_of(style, body, timedelta(minutes=6)), body), False),
                ]
                name = STRIPE_HEADER if kind == "stripe" else "webhook-signature"
                forged = {"stripe": headers[name].partition(",")[0] + ",v1=,v1=00", "v1": "v1, v1,AAAA v2,x"}
                found.append((case(right[0], {**headers, name: forged.get(kind, "v1a, v1a,AAAA v1,x")}, body), False))
                if kind != "stripe":
                    found.append((case(right[0], {**headers, "webhook-id": "evt_2"}, body), False))
    return found


def in_python(asked: list[dict[str, Any]], _: Path) -> list[Any]:
    """The sample for Python."""
    names: dict[str, Any] = {}
    exec(compile(sample("python"), str(PAGE), "exec"), names)
    return [
        names[f"verify_{one['kind']}"](
            one["key"],
            one["headers"][STRIPE_HEADER] if one["kind"] == "stripe" else one["headers"],
            b64decode(one["body"]),
        )
        for one in asked
    ]


def in_node(asked: list[dict[str, Any]], folder: Path) -> list[Any]:
    """The sample for Node."""
    (folder / "receiver.cjs").write_text(sample("javascript") + NODE, encoding="utf-8")
    return _ask(["node", "receiver.cjs"], asked, folder)


def in_go(asked: list[dict[str, Any]], folder: Path) -> list[Any]:
    """The sample for Go, which needs nothing but the standard library."""
    (folder / "webhooks").mkdir()
    (folder / "webhooks" / "verify.go").write_text(sample("go"), encoding="utf-8")
    (folder / "main.go").write_text(GO, encoding="utf-8")
    (folder / "go.mod").write_text("module receiver\n\ngo 1.19\n", encoding="utf-8")
    return _ask(["go", "run", "."], asked, folder)


def in_php(asked: list[dict[str, Any]], folder: Path) -> list[Any]:
    """The sample for PHP."""
    (folder / "receiver.php").write_text(sample("php") + PHP, encoding="utf-8")
    return _ask(["php", "receiver.php"], asked, folder)


def _ask(command: list[str], asked: list[dict[str, Any]], folder: Path) -> list[Any]:
    if not shutil.which(command[0]):
        missing = f"{command[0]} is not installed: its sample is not run"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    done = subprocess.run(
        command,
        cwd=folder,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-mod=mod"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers: list[Any] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("run", [in_python, in_node, in_go, in_php])
def test_the_sample_takes_what_we_sign_and_nothing_else(
    run: Callable[[list[dict[str, Any]], Path], list[Any]], tmp_path: Path
) -> None:
    """People copy these, and never look at them again."""
    asked = cases()
    answers = run([case for case, _ in asked], tmp_path)
    assert len(answers) == len(asked)
    wrong = [(case, answer) for (case, taken), answer in zip(asked, answers, strict=True) if (answer is True) != taken]
    assert wrong == []
