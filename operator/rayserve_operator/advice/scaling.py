"""Advice on numbers of replicas and requests."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from rayserve_operator.advice.amounts import left_over
from rayserve_operator.advice.view import DEFAULT_ONGOING, DEFAULT_TARGET, Deployment, View
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.serve_strict import came_later, parse_version

_PUSH_SECONDS = 10
"""How often a proxy tells Serve of requests that wait (RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S)."""
_LOOK_SECONDS = 5
"""How often Ray's autoscaler looks (AUTOSCALER_UPDATE_INTERVAL_S)."""
_LEAST_ABOVE, _MOST_ABOVE = Decimal("1.2"), Decimal("1.5")


def ongoing_near_target(view: View) -> Iterator[Problem]:
    """The limit of requests of a replica is not 20 to 50 percent above its target."""
    for deployment in view.deployments:
        said = "max_ongoing_requests" in deployment.options, "target_ongoing_requests" in deployment.scaling
        if not deployment.is_scaled or not any(said):
            continue
        limit = _number(deployment.options.get("max_ongoing_requests"), DEFAULT_ONGOING)
        target = _number(deployment.scaling.get("target_ongoing_requests"), DEFAULT_TARGET)
        low = math.ceil(target * _LEAST_ABOVE)
        high = max(low, math.floor(target * _MOST_ABOVE))
        if target and not low <= limit <= high:
            above = (limit / target - 1) * 100
            default = "" if said[0] else " by default"
            side = "above" if above >= 0 else "below"
            words = f"is {limit:f}{default}, {abs(above):.0f}% {side} the target of {target:f}"
            why = (
                "because a replica that takes more queues what others could serve"
                if limit > high
                else "because Serve scales by requests that replicas have taken"
            )
            span = f"{low}" if low == high else f"{low} to {high}"
            yield Problem(f"{deployment.path}.max_ongoing_requests", words, f"write {span}, {why}")


def cold_deployment(view: View) -> Iterator[Problem]:
    """A deployment may have no replica, and the first request then waits for one."""
    for deployment in view.deployments:
        if not (deployment.is_scaled and deployment.least == 0):
            continue
        warm = left_over(list(deployment.demands(1)), view.least_pods) == {}
        pod = "" if warm else f", up to {_LOOK_SECONDS} s more until Ray asks for a pod, then for the pod to start"
        words = (
            f"is 0: after a pause the first request waits up to {_PUSH_SECONDS} s until Serve hears of it{pod},"
            " and for the replica to load"
        )
        mend = "write 1 if that is too long" + ("" if warm else f", and minReplicas: 1 for {_home(deployment, view)}")
        yield Problem(f"{deployment.path}.autoscaling_config.min_replicas", words, mend)


def cold_group(view: View) -> Iterator[Problem]:
    """Replicas that are always wanted find no pod that is always there."""
    if not view.cluster.autoscaling:
        return
    always = [demand for one in view.deployments if one.first for demand in one.demands(one.first)]
    waiting = left_over(always, view.least_pods)
    missing = sum(waiting.values())
    for group in view.workers:
        wanted = [demand for demand in always if waiting.get(demand.name) and group.pod.room(demand.needs, 1)]
        if group.least == 0 and group.most and wanted:
            words = (
                f"is 0: {missing} of the {sum(demand.count for demand in always)} replicas that are wanted at the start"
                f" wait up to {_LOOK_SECONDS} s until Ray asks for pods, and then for pods to start"
            )
            yield Problem(
                f"{group.path}.minReplicas", words, f"write {min(group.most, group.size_for(wanted[0].needs, missing))}"
            )


def single_replica(view: View) -> Iterator[Problem]:
    """The only replica of a deployment is stopped before its successor starts."""
    ray = parse_version(view.cluster.ray_version)
    for deployment in view.deployments:
        if deployment.most == 1 and not deployment.options.get("max_surge_percent"):
            words = (
                "is 0, and there is 1 replica: requests queue while an update starts it anew, and if the new version"
                " fails, none is left"
            )
            surge = f"write 100 (an update then takes {deployment.needs} more for a while), or "
            mend = ("" if came_later("max_surge_percent", ray) else surge) + "have 2 replicas"
            yield Problem(f"{deployment.path}.max_surge_percent", words, mend)


def _home(deployment: Deployment, view: View) -> str:
    groups = [group.name for group in view.workers if group.most and group.pod.room(deployment.needs, 1)]
    return groups[0] if groups else "a group that it fits"


def _number(value: object, default: int) -> Decimal:
    try:
        number = Decimal(str(value)).normalize()
    except ArithmeticError:
        return Decimal(default)
    return number if number.is_finite() else Decimal(default)
