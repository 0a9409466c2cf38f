"""The vendors' own descriptions, which judge what we send and what our sandbox answers.

They are not part of the project: `PATCHBAY_SPECS` says where they are (by default `../shared/specs`).
"""

import json
import os
import re
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
    bundled = {**_openapi_30(schema), "components": _components(path)}
    return [
        f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}"
        for e in Draft202012Validator(bundled).iter_errors(value)
    ]


def component(path: str, name: str) -> dict[str, Any]:
    """The schema `name` of a description, as a reference."""
    assert name in load(path)["components"]["schemas"], f"{path} has no schema {name}"
    return {"$ref": f"#/components/schemas/{name}"}


def resolved(path: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference leads to; any other schema is itself."""
    while "$ref" in schema:
        node: Any = load(path)
        for part in schema["$ref"].removeprefix("#/").split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        schema = node
    return schema


def operation(path: str, method: str, url: str) -> dict[str, Any] | None:
    """What the description says of a method at a URL's path; a route without placeholders goes first. None if unknown."""
    routes = load(path)["paths"]
    for route in sorted(routes, key=lambda route: route.count("{")):
        pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{[^}]*\}", route))
        if re.fullmatch(pattern, url) and method.lower() in routes[route]:
            found: dict[str, Any] = routes[route][method.lower()]
            return found
    return None


@cache
def _components(path: str) -> Any:
    """Converted once: the larger descriptions take a tenth of a second."""
    return _openapi_30(load(path).get("components", {}))


def _openapi_30(node: Any) -> Any:
    """OpenAPI 3.0 says `nullable: true` where JSON Schema says a type of null; 3.1 has none and passes unchanged."""
    if isinstance(node, list):
        return [_openapi_30(item) for item in node]
    if not isinstance(node, dict):
        return node
    # A property may be called `nullable`: the names under `properties` are no keywords.
    mapped = {
        key: {name: _openapi_30(schema) for name, schema in value.items()}
        if key == "properties" and isinstance(value, dict)
        else _openapi_30(value)
        for key, value in node.items()
        if key != "nullable"
    }
    for edge, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        # 3.0 has a flag beside the limit, JSON Schema the limit itself.
        if mapped.get(edge) is True and limit in mapped:
            mapped[edge] = mapped.pop(limit)
        elif isinstance(mapped.get(edge), bool):
            del mapped[edge]
    if node.get("nullable") is True:
        return {"anyOf": [mapped, {"type": "null"}]}
    return mapped
