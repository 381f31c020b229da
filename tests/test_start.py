"""The operator as a process, where nothing answers at the API server's address."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from rayserve_operator.settings import PREFIX

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def health_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        port: int = any_port.getsockname()[1]
    return port


@pytest.fixture
def process(health_port: int, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    kubeconfig = tmp_path / "kubeconfig"
    named = {"name": "nobody"}
    context = {"cluster": "nobody", "user": "nobody"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{**named, "cluster": {"server": NOBODY}}],
        "users": [{**named, "user": {"token": "none"}}],
        "contexts": [{**named, "context": context}],
        "current-context": "nobody",
    }
    kubeconfig.write_text(json.dumps(config))
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), f"{PREFIX}HEALTH_PORT": str(health_port)}
    command = [sys.executable, "-m", "rayserve_operator"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as started:  # noqa: S603 - a constant
        yield started
        started.kill()


def test_it_waits_alive_and_not_ready_and_ends_when_it_is_told_to(
    process: subprocess.Popen[str], health_port: int
) -> None:
    assert process.stderr is not None
    first = process.stderr.readline()
    assert "Not ready" in first
    assert NOBODY.removeprefix("http://") in first
    with urlopen(f"http://127.0.0.1:{health_port}/healthz") as answer:
        assert answer.status == 200
    with pytest.raises(HTTPError, match="503"):
        urlopen(f"http://127.0.0.1:{health_port}/readyz")
    process.terminate()
    assert process.wait() == 0
