"""Optimistic concurrency for callers: If-Match names the version that was read."""

from domain.refusals import Stale


def require_version(present: int, expected: int | None) -> None:
    """Raise Stale unless the caller read the present version, or did not say."""
    if expected is not None and expected != present:
        raise Stale(f"It was changed meanwhile: it is at version {present}, not {expected}.", field="If-Match")
