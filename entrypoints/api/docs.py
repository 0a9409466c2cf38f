"""The API's page: plain HTML made from the OpenAPI document, so that it loads without the internet and without scripts."""

import json
from html import escape
from typing import Any

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

_METHODS = ("get", "post", "put", "patch", "delete")

_STYLE = """
:root{color-scheme:light dark;
--line:light-dark(#d8dde6,#333a46);
--soft:light-dark(#f5f7fa,#1b2028);--ink:light-dark(#17202c,#e6eaf0)}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:2rem 1rem;color:var(--ink)}
h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}details{border:1px solid var(--line);border-radius:8px;margin:.5rem 0}
summary{padding:.5rem .8rem;cursor:pointer}details>div{padding:.2rem 1rem 1rem;border-top:1px solid var(--line)}
code,pre{font:13px/1.45 ui-monospace,monospace}pre{background:var(--soft);padding:.8rem;overflow:auto;border-radius:6px}

.m{display:inline-block;min-width:4.2rem;font-weight:700;font-size:12px}
td,th{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top}
"""


class OfflineDocs(OpenAPIRenderPlugin):
    """Renders /docs; the document itself is /docs/openapi.json."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type="text/html")  # type: ignore[arg-type]  # a plain string is accepted

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        groups: dict[str, list[str]] = {}
        for path, operations in sorted(openapi_schema["paths"].items()):
            for method in _METHODS:
                if method in operations:
                    operation = operations[method]
                    groups.setdefault((operation.get("tags") or ["Other"])[0], []).append(
                        _operation(path, method, operation)
                    )
        info = openapi_schema["info"]
        schemas = "".join(
            f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary>"
            f"<div><pre>{_pretty(schema)}</pre></div></details>"
            for name, schema in sorted(openapi_schema.get("components", {}).get("schemas", {}).items())
        )
        body = "".join(f"<h2>{escape(tag)}</h2>{''.join(rows)}" for tag, rows in sorted(groups.items()))
        return (
            f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style><h1>{escape(info['title'])} API</h1>"
            f"<p>{escape(info.get('description', ''))}</p><p><a href='/docs/openapi.json'>OpenAPI 3.1 document</a></p>"
            f"{body}<h2>Shapes</h2>{schemas}</html>"
        ).encode()


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p['in'])}<td>{escape(p.get('description') or '')}</tr>"
        for p in operation.get("parameters", [])
    )
    body = _content(operation.get("requestBody", {}).get("content", {}))
    answers = "".join(
        f"<p><b>{escape(status)}</b> {escape(answer.get('description', ''))}</p>{_content(answer.get('content', {}))}"
        for status, answer in operation.get("responses", {}).items()
        if status.startswith("2")
    )
    return (
        f"<details><summary><span class=m>{method.upper()}</span><code>{escape(path)}</code> — "
        f"{escape(operation.get('summary') or '')}</summary><div><p>{escape(operation.get('description') or '')}</p>"
        + (f"<table>{parameters}</table>" if parameters else "")
        + (f"<h4>Request</h4>{body}" if body else "")
        + f"<h4>Answer</h4>{answers}</div></details>"
    )


def _content(content: dict[str, Any]) -> str:
    return "".join(f"<pre>{_pretty(media.get('schema', {}))}</pre>" for media in content.values())


def _pretty(schema: Any) -> str:
    return escape(json.dumps(schema, indent=2, ensure_ascii=False))
