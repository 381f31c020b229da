"""`make soak`: every scenario of a rollout, many times, as one page of tables.

The scenarios run side by side in one cluster, each in a lane: a namespace with an operator of its
own, so that one may kill its operator and no other notices. They share the CPUs, so they take
longer here than alone.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from localcluster import LocalClusterError
from localcluster.images import PROJECT_ROOT
from localcluster.progress import Steps, elapsed_text
from scenarios.harness import kube, session
from scenarios.harness.kube import KubectlError
from scenarios.harness.manifests import CRDS
from scenarios.harness.rollout import ROUND
from scenarios.harness.table import VARIABLE, commit
from scenarios.harness.waiting import Stopwatch

MODULE = Path(__file__).parent / "test_rollout.py"
PAGE = PROJECT_ROOT / "docs" / "rollouts-soak.md"
LOGS = PROJECT_ROOT / "build" / "soak"

LANES = 2
"""Scenarios at a time; each needs up to 3 GiB, and a CPU while a cluster starts."""
HEAD = """# Rollouts, again and again

What `make soak` told: scenarios of `e2e/scenarios/test_rollout.py`, many times under one load of
ten requests a second, {lanes} at a time on {cpus} CPUs. The kinds of requests are those of
`e2e/scenarios/harness/mix.py`; *repeated* are requests that a client sent a second time, because
the connection that it had kept was closed before the first byte of the answer.
"""
SCENARIOS = (
    "rollout_lets_requests_of_three_minutes_end",
    "rollouts_by_turns",
    "rollout_waits_for_a_worker_that_is_ready_late",
    "rollout_with_the_operator_killed",
    "rollout_with_traffic_to_workers_alone",
    "rollout_with_the_old_cluster_simply_deleted",
)
"""The longest first."""


@dataclass(frozen=True)
class Lane:
    """One scenario, in a namespace of its own."""

    scenario: str

    @property
    def name(self) -> str:
        """Name of the lane and of its namespace."""
        return self.scenario.replace("_", "-")

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
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--capture=no",
            f"{MODULE}::test_{self.scenario}",
        ]
        watch = Stopwatch()
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
                if line.startswith(ROUND):
                    steps.note(f"• {self.name}, {line.strip()}")
        is_good = process.returncode == 0
        steps.note(f"{'✓' if is_good else '✗'} {self.name} … {elapsed_text(watch.seconds)}")
        with self.tables.open("a") as tables:
            tables.write(f"- at {commit()}, in {elapsed_text(watch.seconds)}\n")
        return is_good


def soak(steps: Steps, rounds: int, parts: Sequence[str]) -> bool:
    """Run the scenarios that have one of these parts in their names, or all if there are no parts.

    Returns whether all are good. The page has the last tables of every scenario.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    lanes = [Lane(scenario) for scenario in SCENARIOS]
    chosen = [lane for lane in lanes if not parts or any(part in lane.scenario for part in parts)]

    def run(lane: Lane) -> bool:
        is_good = lane.run(steps, rounds)
        tables = [one.tables.read_text() for one in lanes if one.tables.exists()]
        PAGE.write_text("\n".join([HEAD.format(lanes=LANES, cpus=os.cpu_count()), *tables]))
        return is_good

    with steps.step("installing the CRDs"):
        kube.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={CRDS}")
    with ThreadPoolExecutor(LANES) as pool:
        return all([*pool.map(run, chosen)])


def main(arguments: Sequence[str]) -> None:
    """Run the soak, outside or inside the cluster: the rounds, then parts of scenarios' names."""
    if not session.is_inside():
        session.main_inside(["-m", "scenarios.soak", *arguments])
    try:
        with Steps() as steps:
            is_good = soak(steps, int(arguments[0]), arguments[1:])
    except KeyboardInterrupt:
        sys.exit(130)
    except (KubectlError, LocalClusterError) as error:
        sys.exit(f"✗ {error}")
    if not is_good:
        sys.exit(f"✗ not all is good: see {LOGS}")
    print(f"✓ all is good: see {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
