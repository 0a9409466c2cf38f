"""`patchbay demo`: the main job, played from beginning to end over HTTP against a sandboxed hub."""

from entrypoints.demo.stage import play

__all__ = ["play"]
