"""What an operator has made of one RayService, so that the same can be written without it: pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scenarios.harness.copies import as_created
from scenarios.harness.kube import Manifest

_NOT_MADE_FROM = frozenset({"events", "leases", "rayservices"})
_MAKING = frozenset({"create", "patch", "update"})

Owner = tuple[str, str]
"""Kind and name."""


@dataclass(frozen=True, slots=True)
class Part:
    """One object, as it was created."""

    plural: str
    manifest: Manifest
    owner: Owner
    status: Mapping[str, Any] | None = None
    """What the operator writes into it."""

    @property
    def name(self) -> str:
        """Its name."""
        name: str = self.manifest["metadata"]["name"]
        return name

    def renamed(self, old: str, new: str) -> Part:
        """The same for another name, wherever that stands."""
        text = json.dumps([self.manifest, self.owner, self.status]).replace(old, new)
        manifest, owner, status = json.loads(text)
        return Part(self.plural, manifest, tuple(owner), status)

    def placed(self, namespace: str, uids: Mapping[Owner, str]) -> Manifest:
        """The object to create in a namespace, where its owner has this uid."""
        kind, name = self.owner
        reference = {
            "apiVersion": "ray.io/v1",
            "kind": kind,
            "name": name,
            "uid": uids[self.owner],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        metadata = {**self.manifest["metadata"], "namespace": namespace, "ownerReferences": [reference]}
        return {**self.manifest, "metadata": metadata}


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Everything that has come of one RayService."""

    service: str
    service_status: Mapping[str, Any]
    own: Sequence[Part]
    """What the RayService owns."""
    of_cluster: Sequence[Part]
    """What its RayCluster owns."""

    @classmethod
    def of(cls, service: Manifest, found: Mapping[str, Sequence[Manifest]]) -> Blueprint:
        """Take it from a RayService and from the objects of its namespace, by the plural of their kind."""
        parts = [part for plural, objects in found.items() for part in _parts(plural, objects)]
        return cls(
            service=service["metadata"]["name"],
            service_status=service.get("status") or {},
            own=[part for part in parts if part.owner[0] == "RayService"],
            of_cluster=[part for part in parts if part.owner[0] == "RayCluster"],
        )

    @property
    def cluster(self) -> str:
        """Name of its RayCluster."""
        return next(part.name for part in self.own if part.plural == "rayclusters")

    def for_service(self, name: str) -> Blueprint:
        """The same for a RayService with another name."""
        return Blueprint(
            service=name,
            service_status=json.loads(json.dumps(self.service_status).replace(self.service, name)),
            own=[part.renamed(self.service, name) for part in self.own],
            of_cluster=[part.renamed(self.service, name) for part in self.of_cluster],
        )

    def next_cluster(self) -> Blueprint:
        """What a rollout creates: another RayCluster with all that it owns, and another revision."""
        old, new = self.cluster, f"{self.cluster}-2"
        revisions = [part.renamed(part.name, f"{part.name}-2") for part in self.own if part.plural in _OF_A_ROLLOUT]
        clusters = [part.renamed(old, new) for part in self.own if part.plural == "rayclusters"]
        return Blueprint(
            service=self.service,
            service_status=json.loads(json.dumps(self.service_status).replace(old, new)),
            own=[*revisions, *clusters],
            of_cluster=[part.renamed(old, new) for part in self.of_cluster],
        )

    @property
    def routing(self) -> Sequence[str]:
        """Names of the Services that a switch changes."""
        return [part.name for part in self.own if part.plural == "services"]


_OF_A_ROLLOUT = frozenset({"controllerrevisions"})


def kinds_made(requests: Mapping[str, int]) -> list[str]:
    """The plurals of the kinds that an operator makes, out of its requests by verb and resource."""
    pairs = [tuple(request.split()) for request in requests]
    return sorted({pair[1] for pair in pairs if pair[0] in _MAKING and "/" not in pair[1]} - _NOT_MADE_FROM)


def _parts(plural: str, objects: Sequence[Manifest]) -> Iterator[Part]:
    for stored in objects:
        owners = [o for o in stored["metadata"].get("ownerReferences", ()) if o["apiVersion"].startswith("ray.io/")]
        if owners:
            status = stored.get("status") if plural == "rayclusters" else None
            yield Part(plural, as_created(stored), (owners[0]["kind"], owners[0]["name"]), status)
