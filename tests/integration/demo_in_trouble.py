"""`patchbay demo --once`, but Stripe breaks down just before the client pays. A script of its own, for test_demo.py."""

import asyncio
import sys

from entrypoints.demo import stage
from entrypoints.demo.player import Chapter, Story
from entrypoints.demo.story import CHAPTERS

PAYING = next(chapter for chapter in CHAPTERS if chapter.title == "The client pays on the hosted page")


async def break_down(story: Story) -> list[str]:
    """From now on no hosted page can be had."""
    await story.box("POST", "/stripe/_sandbox/faults", {"path": "/v1/checkout", "status": 500, "count": 1000})
    return ["Stripe is out of order"]


if __name__ == "__main__":
    at = CHAPTERS.index(PAYING)
    told = (*CHAPTERS[:at], Chapter("Stripe breaks down", break_down), *CHAPTERS[at:])
    stage.CHAPTERS = told  # type: ignore[attr-defined, assignment]
    port, sandbox_port = (int(argument) for argument in sys.argv[1:])
    sys.exit(asyncio.run(stage.play(once=True, port=port, sandbox_port=sandbox_port)))
