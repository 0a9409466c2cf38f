"""`patchbay demo --once` is the first thing a newcomer runs. It checks itself, so it must say no when something is wrong."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import attrs

from entrypoints.demo.story import CHAPTERS

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120


@attrs.frozen
class Ended:
    """How a demo ended. said: all that it said, on one line."""

    code: int
    said: str


def play(folder: Path, *command: str) -> Ended:
    """Run it in a folder of its own, as wide as a poster, so that no line breaks."""
    environment = {**os.environ, "COLUMNS": "400", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Ended(done.returncode, " ".join(done.stdout.split()))


def free_ports() -> tuple[str, str]:
    """Two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1]), str(other.getsockname()[1])


def test_every_step_of_the_demo_holds(tmp_path: Path) -> None:
    """All of the main job, over HTTP, with nothing but what `make demo` starts."""
    port, sandbox_port = free_ports()
    demo = "import sys; from entrypoints.cli import main; sys.exit(main())"
    ended = play(tmp_path, "-c", demo, "demo", "--once", "--port", port, "--sandbox-port", sandbox_port)

    assert ended.code == 0, ended.said
    for number, chapter in enumerate(CHAPTERS, 1):
        assert f"✓ {number}. {chapter.title}" in ended.said
    assert "✗" not in ended.said


def test_a_step_that_fails_is_named_and_the_demo_exits_with_an_error(tmp_path: Path) -> None:
    """A check that cannot fail checks nothing."""
    script = ROOT / "tests" / "integration" / "demo_in_trouble.py"
    ended = play(tmp_path, str(script), *free_ports())

    assert ended.code == 1, ended.said
    assert "✓ 6. Stripe breaks down" in ended.said
    assert "✗ 7. The client pays on the hosted page" in ended.said
    assert "Step 7 failed: The client pays on the hosted page" in ended.said
    assert CHAPTERS[-1].title not in ended.said, "it went on after the failure"
