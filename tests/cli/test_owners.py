from __future__ import annotations

from typing import Any

import pytest

from rayserve_operator.cli.owners import gitops_tool


@pytest.mark.parametrize(
    ("metadata", "tool"),
    [
        ({}, None),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "apps:ray.io/RayService:default/demo"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Flux"),
        ({"managedFields": [{"manager": "argocd-controller", "fieldsV1": {"f:spec": {}}}]}, "Argo CD"),
        ({"managedFields": [{"manager": "argocd-controller", "fieldsV1": {"f:status": {}}}]}, None),
        ({"managedFields": [{"manager": "kubectl-client-side-apply", "fieldsV1": {"f:spec": {}}}]}, None),
    ],
)
def test_tools_are_known_by_their_marks_and_by_what_they_wrote(metadata: dict[str, Any], tool: str | None) -> None:
    assert gitops_tool({"metadata": metadata}) == tool
