"""The two kinds as whole objects: metadata, spec and status, read from and compared with the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceSpec, RayServiceStatus
from rayserve_operator.model.sharing import interned

GROUP = "ray.io"
API_VERSION = "ray.io/v1"
RAY_CLUSTER = "RayCluster"
RAY_SERVICE = "RayService"
RAY_JOB = "RayJob"


@dataclass(frozen=True, slots=True)
class Meta:
    """What we use of an object's metadata."""

    name: str
    namespace: str
    uid: str
    version: str
    """resourceVersion, compared for equality by preconditions."""
    generation: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner: str | None
    """uid of the controlling owner."""
    created: datetime | None
    deleted_at: datetime | None
    """When its deletion was asked for; whatever holds it back, it is on its way out since."""
    finalizers: tuple[str, ...]

    @property
    def deleting(self) -> bool:
        """Whether it is on its way out."""
        return self.deleted_at is not None

    @classmethod
    def parse(cls, manifest: Mapping[str, Any]) -> Self:
        """Read the metadata of any Kubernetes object."""
        metadata = manifest["metadata"]
        created, deleted = metadata.get("creationTimestamp"), metadata.get("deletionTimestamp")
        owners = (ref["uid"] for ref in metadata.get("ownerReferences") or () if ref.get("controller"))
        return cls(
            name=metadata["name"],
            namespace=interned(metadata.get("namespace", "")),
            uid=metadata.get("uid", ""),
            version=metadata.get("resourceVersion", ""),
            generation=metadata.get("generation", 0),
            labels=interned(metadata.get("labels") or {}),
            annotations=interned(metadata.get("annotations") or {}),
            owner=interned(next(owners, None)),
            created=datetime.fromisoformat(created) if created else None,
            deleted_at=datetime.fromisoformat(deleted) if deleted else None,
            finalizers=tuple(metadata.get("finalizers") or ()),
        )


@dataclass(frozen=True, slots=True)
class RayCluster:
    """A RayCluster as the API server holds it."""

    meta: Meta
    spec: RayClusterSpec
    status: RayClusterStatus


@dataclass(frozen=True, slots=True)
class RayService:
    """A RayService with a spec that is valid, which need not be the one that the API server holds now."""

    meta: Meta
    spec: RayServiceSpec
    status: RayServiceStatus


def owner_reference(kind: str, meta: Meta) -> dict[str, Any]:
    """The controller reference that a child of the object carries."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
