"""`make soak`: every scenario of a rollout, many times, as one page of tables.

The scenarios run side by side in one cluster, each in a lane: a namespace with an operator of its
own, so that one may kill its operator and no other notices. They share the CPUs, so seconds are
longer here than alone, and what is lost would be lost the sooner.
"""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from localcluster import LocalClusterError
from localcluster.images import PROJECT_ROOT
from localcluster.progress import Steps, elapsed_text
from scenarios.harness import kube, session
from scenarios.harness.kube import KubectlError
from scenarios.harness.manifests import CRDS
from scenarios.harness.table import VARIABLE
from scenarios.harness.waiting import Stopwatch

HERE = Path(__file__).parent
PAGE = PROJECT_ROOT / "docs" / "rollouts-soak.md"
LOGS = PROJECT_ROOT / "build" / "soak"

LANES = 5
"""Scenarios at a time; each needs up to 3 GiB."""
ROUNDS = 20
OUTCOME = re.compile(r"::\S+ (PASSED|FAILED|ERROR)\b")
"""What pytest says of one round."""
SCENARIOS = (
    "test_rollout.py::test_rollouts_by_turns",
    "test_rollout.py::test_rollout_with_traffic_to_workers_alone",
    "test_rollout.py::test_rollout_waits_for_a_worker_that_is_ready_late",
    "test_rollout.py::test_rollout_lets_requests_of_three_minutes_end",
    "test_rollout.py::test_rollout_with_the_operator_killed",
    "test_rollout_capacity.py::test_rollout_while_scaled_up",
    "test_rollout.py::test_rollout_with_the_old_cluster_simply_deleted",
)
"""As they stand on the page."""


@dataclass(frozen=True)
class Lane:
    """One scenario, in a namespace of its own."""

    scenario: str

    @property
    def name(self) -> str:
        """Name of the lane and of its namespace."""
        return self.scenario.rpartition("::")[2].removeprefix("test_").replace("_", "-")

    @property
    def log(self) -> Path:
        """Where all is told."""
        return LOGS / f"{self.name}.log"

    @property
    def tables(self) -> Path:
        """Where its tables are."""
        return LOGS / f"{self.name}.md"

    def run(self, steps: Steps, rounds: int) -> bool:
        """Run all rounds, tell how each of them ended, and return whether all are good."""
        self.tables.unlink(missing_ok=True)
        environment = {"LANE": self.name, "ROUNDS": str(rounds), VARIABLE: str(self.tables)}
        command = [sys.executable, "-m", "pytest", "-v", str(HERE / self.scenario)]
        watch, good = Stopwatch(), 0
        with (
            self.log.open("w") as log,
            subprocess.Popen(
                command,
                env=os.environ | environment | {"COMPARE": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                log.flush()
                if outcome := OUTCOME.search(line):
                    is_good = outcome[1] == "PASSED"
                    good += is_good
                    told = f"{good} good rounds after {elapsed_text(watch.seconds)}"
                    steps.note(f"{'✓' if is_good else '✗'} {self.name}: {told}")
        return process.returncode == 0


def soak(steps: Steps, rounds: int) -> bool:
    """Run all scenarios, the page growing with them, and return whether all rounds are good."""
    LOGS.mkdir(parents=True, exist_ok=True)
    lanes = [Lane(scenario) for scenario in SCENARIOS]
    head, page = _head(rounds), threading.Lock()

    def run(lane: Lane) -> bool:
        is_good = lane.run(steps, rounds)
        with page:
            tables = [one.tables.read_text() for one in lanes if one.tables.exists()]
            PAGE.write_text("\n".join([head, *tables]))
        return is_good

    with steps.step("installing the CRDs"):
        kube.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={CRDS}")
    with ThreadPoolExecutor(LANES) as pool:
        return all([*pool.map(run, lanes)])


def _head(rounds: int) -> str:
    commit = subprocess.check_output(
        ["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT_ROOT, text=True
    ).strip()
    return "\n".join(
        (
            "# Rollouts, again and again",
            "",
            f"What `make soak ROUNDS={rounds}` told at {commit} on {datetime.now(UTC):%Y-%m-%d}:",
            f"{rounds} rounds of each scenario, {LANES} at a time on {os.cpu_count()} CPUs.",
            "",
        )
    )


def main(arguments: Sequence[str]) -> None:
    """Run the soak, outside or inside the cluster."""
    if not session.is_inside():
        session.main_inside(["-m", "scenarios.soak", *arguments])
    rounds = int(arguments[0]) if arguments else ROUNDS
    try:
        with Steps() as steps:
            is_good = soak(steps, rounds)
    except KeyboardInterrupt:
        sys.exit(130)
    except (KubectlError, LocalClusterError) as error:
        sys.exit(f"✗ {error}")
    if not is_good:
        sys.exit(f"✗ some rounds failed: see {LOGS}")
    print(f"✓ all rounds are good: see {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
