"""Advice on room: whether the groups can hold what the deployments take."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from rayserve_operator.advice.amounts import Amounts, left_over, room_beside, size
from rayserve_operator.advice.view import Deployment, Group, View
from rayserve_operator.model.base import INT32_MAX
from rayserve_operator.model.problems import Problem

_REPLICA_MEMORY = Decimal(86_000_000)
"""Bytes of a pod that a replica takes before it has loaded anything (measured on Ray 2.60)."""
_WASTE = Decimal("0.1")
"""Share of a GPU that may well stay unused."""


def no_gpu_group(view: View) -> Iterator[Problem]:
    """A deployment asks for GPUs, and no pod has any."""
    if any(group.pod.gpus for group in view.groups):
        return
    for deployment in view.deployments:
        if deployment.needs.gpus:
            words = f"asks for {Amounts(gpus=deployment.needs.gpus)} a replica, and no group has a GPU"
            mend = "add a group whose container has the limit nvidia.com/gpu, or take num_gpus out"
            yield Problem(f"{deployment.path}.ray_actor_options.num_gpus", words, mend)


def fits_no_pod(view: View) -> Iterator[Problem]:
    """A replica is larger than every pod."""
    has_gpus = any(group.pod.gpus for group in view.groups)
    for deployment in view.deployments:
        for bundle in deployment.bundles:
            if (not bundle.gpus or has_gpus) and not _fits_some(bundle, view):
                pods = ", ".join(f"{group.name} has {_contents(group)}" for group in view.groups)
                words = f"ask for {bundle} on one node, and no pod has that: {pods}"
                mend = "ask for less, or give a group larger pods"
                yield Problem(f"{deployment.path}.ray_actor_options", words, mend)
                break


def do_not_fit(view: View) -> Iterator[Problem]:
    """The replicas that are always wanted do not all find room, even when every group is as large as it may be."""
    deployments = [one for one in view.deployments if _fits(one, view)]
    left = left_over([demand for one in deployments for demand in one.demands(one.first)], view.most_pods)
    for deployment in deployments:
        if missing := min(left.get(deployment.path, 0), deployment.first):
            held = deployment.first - missing
            words = (
                f"asks for {deployment.first} replicas of {deployment.needs}, and there is room for {held} of them"
                f" {_where(view)}"
            )
            mend = _more_room(deployment, missing, view) + (f", or ask for {held} replicas at most" if held else "")
            path = (
                f"{deployment.path}.autoscaling_config.min_replicas" if deployment.scaling else deployment.bounds_path
            )
            yield Problem(path, words, mend)


def beyond_groups(view: View) -> Iterator[Problem]:
    """Serve may want more replicas than Ray's autoscaler may make room for."""
    if view.cluster.autoscaling:
        for deployment, held in _short(view):
            words = f"is {deployment.most}, and there is room for {held} replicas of {deployment.needs} {_where(view)}"
            mend = f"write {held}, or {_more_room(deployment, deployment.most - held, view)}"
            yield Problem(deployment.bounds_path, words, mend)


def beyond_fixed_groups(view: View) -> Iterator[Problem]:
    """Serve may want more replicas than there is room for, and nothing makes room."""
    if not view.cluster.autoscaling:
        for deployment, held in _short(view):
            words = (
                f"is {deployment.most}, there is room for {held} replicas of {deployment.needs} {_where(view)}, and"
                " without Ray's autoscaler no pod is added"
            )
            more = _more_room(deployment, deployment.most - held, view)
            mend = f"write {held}, {more}, or write enableInTreeAutoscaling: true in rayClusterConfig"
            yield Problem(deployment.bounds_path, words, mend)


def no_head_room(view: View) -> Iterator[Problem]:
    """With every deployment at its most, the groups are full to the last replica."""
    if any(_short(view)) or any(do_not_fit(view)):
        return  # Said already.
    all_most = [demand for one in view.deployments for demand in one.demands(one.most)]
    for deployment in view.deployments:
        if deployment.is_scaled and deployment.most > 1 and _fits(deployment, view):
            one_more = [room_beside(demand, all_most, view.most_pods) for demand in deployment.demands(1)]
            if not all(one_more):
                words = f"is {deployment.most}, and there is no room for one replica more {_where(view)}"
                mend = f"{_more_room(deployment, 1, view)}, so that a pod that is lost or replaced costs no replica"
                yield Problem(deployment.bounds_path, words, mend)


def wasted_gpu(view: View) -> Iterator[Problem]:
    """A fraction of a GPU that leaves a part of it to nobody."""
    for deployment in view.deployments:
        share = deployment.needs.gpus
        if not 0 < share < 1:
            continue
        replicas = int(1 // share)
        waste = 1 - share * replicas
        if waste >= _WASTE:
            better = Decimal(1) / replicas
            smaller = Decimal(1) / (replicas + 1)
            words = f"is {share.normalize()}: {replicas} of them take one GPU, and {waste:.0%} of it stays unused"
            mend = f"write {_share(smaller)} for {replicas + 1} on a GPU" + (
                f", or {_share(better)} for {replicas}" if replicas > 1 else ", or 1"
            )
            yield Problem(f"{deployment.path}.ray_actor_options.num_gpus", words, mend)


def starved_proxy(view: View) -> Iterator[Problem]:
    """One replica takes all CPUs of its pod, on which Serve's proxy runs too."""
    for deployment in view.deployments:
        pods = [group for group in view.workers if group.pod.room(deployment.needs, 1)]
        cpus = deployment.needs.cpus
        if cpus > 1 and pods and all(group.pod.cpus == cpus for group in pods):
            words = f"is {cpus.normalize():f}, all that a pod of {pods[0].name} has, and Serve's proxy runs there too"
            mend = f"write {(cpus - 1).normalize():f}, or give the pods {(cpus + 1).normalize():f} CPUs"
            yield Problem(f"{deployment.path}.ray_actor_options.num_cpus", words, mend)


def busy_head(view: View) -> Iterator[Problem]:
    """Replicas may take the CPUs of the head, on which all of Ray depends."""
    for group in view.groups:
        if group.is_head and view.deployments and any(one.most for one in view.workers) and group.pod.cpus != 0:
            cpus = "all CPUs of its node" if group.pod.cpus is None else str(Amounts(cpus=group.pod.cpus))
            words = f"leave {cpus} of the head to replicas, beside the control of all of Ray"
            yield Problem(f"{group.path}.rayStartParams", words, 'write num-cpus: "0", so that they run on the workers')


def memory_in_other_units(view: View) -> Iterator[Problem]:
    """A replica asks for less memory than any replica takes."""
    for deployment in view.deployments:
        memory = deployment.needs.memory
        if 0 < memory < _REPLICA_MEMORY / 10:
            words = (
                f"is {memory.normalize():f} bytes, and a replica takes {size(_REPLICA_MEMORY)} before it loads anything"
            )
            yield Problem(f"{deployment.path}.ray_actor_options.memory", words, "write bytes: 1073741824 for 1 GiB")


def crowded_memory(view: View) -> Iterator[Problem]:
    """So many replicas may come onto a pod that their processes alone fill its memory."""
    for deployment in view.deployments:
        needs = deployment.needs
        for group in view.groups:
            replicas = group.pod.room(needs, deployment.most)
            taken = replicas * _REPLICA_MEMORY
            if not needs.memory and group.most and group.pod.memory is not None and taken > group.pod.memory:
                words = (
                    f"let {replicas} replicas onto a pod of {group.name}; their processes alone take {size(taken)},"
                    f" and it has {size(group.pod.memory)}"
                )
                mend = "give memory, in bytes, so that Ray counts it too, or raise num_cpus"
                yield Problem(f"{deployment.path}.ray_actor_options", words, mend)
                break


def _short(view: View) -> Iterator[tuple[Deployment, int]]:
    """Deployments that Serve may scale beyond the room there is, with what there is room for."""
    for deployment in view.deployments:
        if not deployment.is_scaled or not _fits(deployment, view):
            continue
        others = [demand for one in view.deployments if one is not deployment for demand in one.demands(one.least)]
        held = min(room_beside(demand, others, view.most_pods) for demand in deployment.demands(deployment.most))
        if deployment.least <= held < deployment.most:
            yield deployment, held


def _fits(deployment: Deployment, view: View) -> bool:
    return bool(deployment.bundles) and all(_fits_some(bundle, view) for bundle in deployment.bundles)


def _fits_some(needs: Amounts, view: View) -> bool:
    return any(group.pod.room(needs, 1) for group in view.groups)


def _contents(group: Group) -> str:
    pod = group.pod
    known = Amounts(pod.cpus or Decimal(0), Decimal(len(pod.gpus)), pod.memory or Decimal(0), pod.others or {})
    return str(known)


def _where(view: View) -> str:
    """The pods that may give room, in words."""
    pods = [_pods(group) for group in view.groups if (group.most and group.pod.cpus != 0) or group.pod.gpus]
    return f"({'; '.join(pods)})" if pods else "(no group has a pod with CPUs)"


def _pods(group: Group) -> str:
    if group.is_head:
        return f"{group.name}: {_contents(group)}"
    count = "any number of" if group.most >= INT32_MAX else f"{group.most}"
    return f"{group.name}: {count} of {_contents(group)}"


def _more_room(deployment: Deployment, replicas: int, view: View) -> str:
    """What to write so that so many replicas more find room."""
    key = "maxReplicas" if view.cluster.autoscaling else "replicas"
    for group in view.workers:
        if wanted := group.size_for(deployment.needs, replicas, group.most):
            return f"raise {key} of {group.name} to {wanted}"
    return "add a group whose pods have that"


def _share(value: Decimal) -> str:
    return f"{value.quantize(Decimal('0.01'), rounding='ROUND_DOWN').normalize():f}"
