"""Whose an object is."""

from __future__ import annotations

import pytest

from rayserve_operator.planning.custody import Custody
from rayserve_operator.render import labels

OURS, KUBERAYS, QUEUED = "ray.io/rayserve-operator", "ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"
CLAIMS = [
    (Custody(), {None, KUBERAYS, OURS}),
    (Custody(stands_by=True), {OURS}),
    (Custody("marked"), {OURS}),
    (Custody("marked", stands_by=True), {OURS}),
]


@pytest.mark.parametrize(("custody", "covered"), CLAIMS, ids=lambda one: str(one) if isinstance(one, Custody) else "")
def test_what_is_looked_after(custody: Custody, covered: set[str | None]) -> None:
    every = {None, OURS, KUBERAYS, QUEUED, ""}
    assert {managed_by for managed_by in every if custody.covers(managed_by)} == covered
    assert {managed_by for managed_by in every if custody.covers_cluster(managed_by, {})} == covered


@pytest.mark.parametrize("managed_by", [None, OURS])
def test_the_clusters_of_jobs_are_not_but_those_of_services_are(managed_by: str | None) -> None:
    assert not Custody().covers_cluster(managed_by, {labels.FROM_CRD: "RayJob"})
    assert Custody().covers_cluster(managed_by, {labels.FROM_CRD: "RayService"})
