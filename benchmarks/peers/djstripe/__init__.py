"""What a Django team would otherwise run: dj-stripe behind gunicorn with two workers, on PostgreSQL."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from benchmarks.peers.servers import Postgres, until_it_listens
from benchmarks.peers.side import Missing
from benchmarks.sink.programs import cache
from benchmarks.stage import HOST, Process, Stage, free_port

_HERE = Path(__file__).parent
_PIP_PATIENCE = 900


@attrs.frozen
class DjStripe:
    """One that runs. path: of its webhook view."""

    port: int
    path: str
    processes: tuple[Process, ...]


def install() -> Path:
    """The programs of an environment of its own, at the versions of requirements.txt: outside the project, made once.

    Raises Missing.
    """
    folder = cache("djstripe", _HERE / "requirements.txt")
    programs = folder / "bin"
    if not (folder / ".complete").exists():
        for command in (
            [sys.executable, "-m", "venv", str(folder)],
            [str(programs / "pip"), "install", "--quiet", "-r", str(_HERE / "requirements.txt")],
        ):
            done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=_PIP_PATIENCE)
            if done.returncode:
                raise Missing(f"dj-stripe could not be installed: {done.stderr.strip()[-500:]}")
        (folder / ".complete").touch()
    return programs


def versions() -> dict[str, str]:
    """As they are pinned."""
    lines = (_HERE / "requirements.txt").read_text().split()
    return {name: version for name, _, version in (line.partition("==") for line in lines)}


@contextmanager
def djstripe(stage: Stage, postgres: Postgres, programs: Path, secret: str, api: str) -> Iterator[DjStripe]:
    """With tables of its own; its webhook endpoint's secret is `secret`, and it finds Stripe's API at `api`."""
    postgres.execute("DROP DATABASE IF EXISTS djstripe WITH (FORCE)")
    postgres.execute("CREATE DATABASE djstripe")
    environment = {
        **os.environ,
        "BENCH_PG": str(postgres.socket),
        "BENCH_STRIPE": api,
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": str(_HERE),
        "PYTHONWARNINGS": "ignore",
    }
    seed = subprocess.run(
        [str(programs / "python"), str(_HERE / "seed.py"), secret],
        cwd=stage.folder,
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    port = free_port()
    command = [
        str(programs / "gunicorn"), "wsgi:application", "--workers", "2", "--worker-class", "gthread", "--threads", "4",
        "--keep-alive", "30", "--bind", f"{HOST}:{port}",
    ]  # fmt: skip
    with (stage.folder / "gunicorn.log").open("ab") as log:
        popen = subprocess.Popen(command, cwd=stage.folder, env=environment, stdout=log, stderr=log)
    process = Process(popen)
    try:
        until_it_listens(process, port)
        yield DjStripe(port, seed.stdout.split()[-1], (process,))
    finally:
        popen.terminate()
        popen.wait(20)
