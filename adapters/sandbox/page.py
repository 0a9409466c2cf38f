"""The look of the sandbox's pages: one style sheet inline, light and dark, no script, nothing from elsewhere."""

from datetime import UTC, datetime

from litestar import MediaType, Response
from markupsafe import Markup

_STYLE = """
:root { color-scheme: light dark; --ground: #f4f5f8; --card: #fff; --ink: #1a1e27; --faint: #667085; --line: #e2e5ec;
  --accent: #3b5bdb; --good: #1f7a46; --bad: #c22f35; --code: #f0f2f6; }
@media (prefers-color-scheme: dark) { :root { --ground: #14161b; --card: #1d2028; --ink: #eceff5; --faint: #98a1b3;
  --line: #333946; --accent: #8da2fb; --good: #5fcf91; --bad: #ff8a8f; --code: #262a34; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, sans-serif; }
header.top { background: var(--card); border-bottom: 1px solid var(--line); padding: .8rem 1.2rem; display: flex;
  gap: .8rem; align-items: baseline; flex-wrap: wrap; }
header.top strong { font-size: 1.1rem; } header.top span { color: var(--faint); }
main { max-width: 54rem; margin: 0 auto; padding: 1.2rem; }
article, .card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.2rem;
  margin: 0 0 1rem; overflow-wrap: anywhere; }
h1, h2, h3 { line-height: 1.25; margin: 0 0 .5rem; } h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; }
h3 { font-size: 1rem; } p { margin: 0 0 .6rem; } .keep { white-space: pre-wrap; }
a { color: var(--accent); } a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.faint, small { color: var(--faint); } .good { color: var(--good); } .bad { color: var(--bad); }
.button { display: inline-block; border: 1px solid var(--line); border-radius: .4rem; padding: .3rem .8rem;
  text-decoration: none; font-weight: 600; }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .5rem 1.2rem;
  margin: .2rem 0 .8rem; }
.tag { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .6rem; font-size: .85em; }
table { border-collapse: collapse; width: 100%; } th { color: var(--faint); font-weight: 500; }
th, td { text-align: left; vertical-align: top; padding: .45rem .8rem .45rem 0; border-bottom: 1px solid var(--line); }
pre { background: var(--code); border-radius: .4rem; padding: .7rem .9rem; margin: .4rem 0 .8rem; overflow: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, Menlo, Consolas, monospace; }
iframe { width: 100%; height: 44rem; border: 1px solid var(--line); border-radius: .6rem; background: #fff; }
summary { cursor: pointer; color: var(--faint); }
"""

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def page(title: str, body: Markup | str, *, lead: str = "Patchbay sandbox") -> Response[str]:
    """A page. Whatever is not Markup is escaped; build `body` with `Markup("<p>{}</p>").format(text)`."""
    html = Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        "<style>{style}</style></head><body>"
        '<header class="top"><strong>{title}</strong><span>{lead}</span></header><main>{body}</main></body></html>'
    ).format(title=title, lead=lead, style=Markup(_STYLE), body=body)  # noqa: S704 - the style sheet is ours
    return Response(str(html), media_type=MediaType.HTML, headers=_HEADERS)


def joined(parts: list[Markup]) -> Markup:
    """Pieces of a page in a row."""
    return Markup().join(parts)


def moment(at: datetime) -> Markup:
    """A time as a person reads it, in UTC."""
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(), f"{utc:%Y-%m-%d %H:%M:%S} UTC")


def empty(text: str) -> Markup:
    """What stands where nothing has come yet."""
    return Markup('<p class="card faint">{}</p>').format(text)
