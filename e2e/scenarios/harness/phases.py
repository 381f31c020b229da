"""The phases of a blue/green rollout, read from the objects, and an operator killed in each."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from scenarios.harness.rayservice import ROLLOUT, RayService
from scenarios.harness.release import OperatorRelease
from scenarios.harness.waiting import OFTEN, until

RETIRED_AT = "rayserve.ray.io/retired-at"
ENDED_AT = "rayserve.ray.io/ended-at"


class Phase(StrEnum):
    """What the operator is about."""

    MAKING = "the new cluster is being made"
    CONFIGURING = "its applications are being deployed"
    SWITCHING = "traffic has just moved there"
    DRAINING = "the old cluster drains"

    @property
    def is_after_switch(self) -> bool:
        """Whether traffic goes to the new cluster."""
        return self in {Phase.SWITCHING, Phase.DRAINING}


def killing(
    operator: OperatorRelease, service: RayService, old: str, phase: Phase
) -> Callable[[], None]:
    """What kills the operator once in a phase of a rollout away from `old`, and sees it back."""

    def kill() -> None:
        restarts, process = operator.restarts, operator.process
        until(lambda: _PROBES[phase](service, old), phase, ROLLOUT, every=OFTEN)
        operator.kill(process)
        operator.wait_restarted(restarts)

    return kill


def _is_made(service: RayService, old: str) -> bool:
    return bool({*service.clusters} - {old})


def _is_configured(service: RayService, old: str) -> bool:
    others = {*service.clusters} - {old}
    return any(service.serve_report(other)["applications"] for other in others)


def _is_left(service: RayService, old: str) -> bool:
    return service.active_cluster != old


def _drains(service: RayService, old: str) -> bool:
    annotations = service.annotations(old)
    return RETIRED_AT in annotations and ENDED_AT not in annotations


_PROBES: Mapping[Phase, Callable[[RayService, str], bool]] = {
    Phase.MAKING: _is_made,
    Phase.CONFIGURING: _is_configured,
    Phase.SWITCHING: _is_left,
    Phase.DRAINING: _drains,
}
