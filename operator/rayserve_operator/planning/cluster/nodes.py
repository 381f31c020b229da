"""What becomes of pods whose node is in doubt.

Nodes are not watched, because their heartbeats would cost more than everything else together. They are asked about
when a pod gives reason to: it is on its way out, or Kubernetes calls it not ready although its kubelet did not say so.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from rayserve_operator.planning.observed import ObservedRayCluster, PodView
from rayserve_operator.render import fault_tolerance

NODE_LOST_AFTER = timedelta(seconds=60)
"""How long a node must have been silent before a head on it is given up."""
ASKED_AGAIN = timedelta(seconds=15)
"""How often a node in doubt is asked about, because nothing tells when it falls silent or speaks again."""


def in_doubt(observed: ObservedRayCluster) -> frozenset[str]:
    """Names of the nodes that have to be asked about before anything is decided."""
    doubtful = (p for p in observed.pods if p.cut_off or (p.is_head and p.meta.deleting and not p.stopped))
    return frozenset(pod.node for pod in doubtful if pod.node is not None)


def is_lost(pod: PodView, observed: ObservedRayCluster) -> bool:
    """Whether the pod's node is silent or gone."""
    if pod.node is None or pod.node not in observed.nodes:
        return False
    node = observed.nodes[pod.node]
    return node is None or node.silent_since is not None or node.out_of_service


def may_be_doubled(pod: PodView, observed: ObservedRayCluster, now: datetime, lost_after: timedelta) -> bool:
    """Whether a head on a lost node is given up, although nobody can know that it has stopped.

    Two heads that write the same RocksDB storage would destroy it, so there only word that the node is really down
    counts: it is gone, or tainted as out of service.
    """
    if pod.node is None or not is_lost(pod, observed):
        return False
    node = observed.nodes[pod.node]
    if node is None or node.out_of_service:
        return True
    if node.silent_since is None or fault_tolerance.uses_rocksdb(observed.cluster):
        return False
    return now - node.silent_since >= lost_after


def recheck(observed: ObservedRayCluster, now: datetime, lost_after: timedelta) -> timedelta | None:
    """When to look again at nodes in doubt: when a silent one will have been so for long enough, or to ask anew."""
    if not in_doubt(observed):
        return None
    silences = [now - node.silent_since for node in observed.nodes.values() if node is not None and node.silent_since]
    waits = [lost_after - silence for silence in silences if silence < lost_after]
    return min([ASKED_AGAIN, *waits])
