"""The vendors' own descriptions, which judge what we send and what our sandbox answers.

They are not part of the project: `PATCHBAY_SPECS` says where they are (by default `../shared/specs`).
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

SPECS = Path(os.environ.get("PATCHBAY_SPECS", Path(__file__).resolve().parents[2] / "shared" / "specs"))


@cache
def load(path: str) -> dict[str, Any]:
    """One description. Skips the test where the descriptions are absent, which CI does not allow."""
    file = SPECS / path
    if not file.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{file} is missing, and CI may not skip")
        pytest.skip(f"the vendors' descriptions are not here ({file}); set PATCHBAY_SPECS")
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def problems(path: str, schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with `value` by a schema of the description `path`; empty when nothing is."""
    document = load(path)
    bundled = {**_openapi_30(schema), "components": _openapi_30(document.get("components", {}))}
    return [
        f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}"
        for e in Draft202012Validator(bundled).iter_errors(value)
    ]


def component(path: str, name: str) -> dict[str, Any]:
    """The schema `name` of a description, as a reference."""
    assert name in load(path)["components"]["schemas"], f"{path} has no schema {name}"
    return {"$ref": f"#/components/schemas/{name}"}


def _openapi_30(node: Any) -> Any:
    """OpenAPI 3.0 says `nullable: true` where JSON Schema says a type of null; 3.1 has none and passes unchanged."""
    if isinstance(node, list):
        return [_openapi_30(item) for item in node]
    if not isinstance(node, dict):
        return node
    mapped = {key: _openapi_30(value) for key, value in node.items() if key != "nullable"}
    if node.get("nullable") is True:
        return {"anyOf": [mapped, {"type": "null"}]}
    return mapped
