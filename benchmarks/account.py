"""The operator's account: a user of its own, so that the audit log can tell its requests from all others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.namespaces import recreate

NAMESPACE = "operator"
NAME = "operator"
USER = f"system:serviceaccount:{NAMESPACE}:{NAME}"
"""What the audit log calls it."""
BINDING = "measured-operator"
LIFETIME = 24 * 3600
"""Seconds for which its token is good."""


def open_account(kube: Kube, admins: Path, own: Path) -> None:
    """Make the account, with every right, and write its kubeconfig after the admin's."""
    recreate(kube, NAMESPACE)
    kube.create("serviceaccounts", {"metadata": {"name": NAME, "namespace": NAMESPACE}})
    if kube.find("clusterrolebindings", None, BINDING) is None:
        kube.create("clusterrolebindings", _binding())
    request = {"spec": {"expirationSeconds": LIFETIME}}
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{NAME}/token"
    token: str = kube.request("POST", path, request)["status"]["token"]
    kubeconfig: dict[str, Any] = yaml.safe_load(admins.read_text())
    kubeconfig["users"][0]["user"] = {"token": token}
    own.write_text(json.dumps(kubeconfig))


def _binding() -> Manifest:
    return {
        "metadata": {"name": BINDING},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }
