"""One spelling for values that mean the same, so that only a real edit is a difference.

The API server, KubeRay's CRDs (which repeat the pod API's defaults in full) and people write the same pod in many
ways. Two specs are equal when both come out of here alike. Two fields stay significant although the pod API defaults
them, because our own defaults differ from its: `restartPolicy` and `terminationGracePeriodSeconds`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rayserve_operator.model.resources import parse_quantity

_ANYWHERE: Mapping[str, Any] = {
    "protocol": "TCP",
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
    "defaultMode": 420,
    "apiVersion": "v1",
    "name": "",
}
"""Defaults of the pod API whose key means the same wherever it stands in a pod template."""

_WITHIN: Mapping[str, Mapping[str, Any]] = {
    "startupProbe": {"successThreshold": 1, "failureThreshold": 3, "periodSeconds": 10, "timeoutSeconds": 1},
    "livenessProbe": {"successThreshold": 1, "failureThreshold": 3, "periodSeconds": 10, "timeoutSeconds": 1},
    "readinessProbe": {"successThreshold": 1, "failureThreshold": 3, "periodSeconds": 10, "timeoutSeconds": 1},
    "httpGet": {"scheme": "HTTP", "path": "/"},
    "grpc": {"service": ""},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False},
}
"""Defaults of the pod API by the key of the object that they stand in."""

_QUANTITIES = frozenset({"requests", "limits"})

_LATER = frozenset({"tolerations", "schedulingGates"})
"""Admission controllers such as Kueue's write these into a living cluster; they never roll one."""


def pod_template(template: Mapping[str, Any]) -> Any:
    """The template without defaults, empty values and notes of other tools."""
    spec = {key: value for key, value in (template.get("spec") or {}).items() if key not in _LATER}
    metadata = {key: (template.get("metadata") or {}).get(key) for key in ("labels", "annotations")}
    return _normal({"metadata": metadata, "spec": spec}, "")


def quantities(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Resource quantities by value: `1000m` and `1` are the same."""
    return {key: _quantity(value) for key, value in resources.items()}


def _normal(value: Any, parent: str) -> Any:
    if isinstance(value, Mapping):
        if parent in _QUANTITIES:
            return quantities(value)
        kept = {key: _normal(child, key) for key, child in value.items() if not _is_default(parent, key, child)}
        return {key: child for key, child in kept.items() if not _is_empty(child)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_normal(child, parent) for child in value]
    return value


def _is_default(parent: str, key: str, value: Any) -> bool:
    known = _WITHIN.get(parent, {})
    if key in known:
        return bool(known[key] == value)
    return key in _ANYWHERE and bool(_ANYWHERE[key] == value)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, dict | list) and not value)


def _quantity(value: Any) -> Any:
    try:
        return str(parse_quantity(str(value)).normalize())
    except ValueError:
        return value
