"""The operator as a process of its own, from the source tree."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from scenarios.harness import ray
from scenarios.harness.waiting import until

HEALTH_PORT = 18080


class OperatorProcess:
    """Looks after one namespace; can be stopped, killed and started again."""

    def __init__(
        self,
        namespace: str,
        kubeconfig: Path,
        log: Path,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._log = log
        self._environment = os.environ | {
            "KUBECONFIG": str(kubeconfig),
            "RAYSERVE_WATCH_NAMESPACES": namespace,
            "RAYSERVE_HEALTH_PORT": str(HEALTH_PORT),
            "RAYSERVE_LOG_LEVEL": "INFO",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is healthy."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rayserve_operator"],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
            )
        until(self._is_ready, "the operator is ready", 30)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        """Its process, which must not have ended."""
        return self._running().pid

    @property
    def log(self) -> str:
        """All that it has said."""
        return self._log.read_text()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process
        if self._process.poll() is not None:
            raise RuntimeError(f"the operator has ended:\n{self.log}")
        return self._process

    def _is_ready(self) -> bool:
        self._running()
        return ray.answer(f"http://127.0.0.1:{HEALTH_PORT}/readyz") is not None
