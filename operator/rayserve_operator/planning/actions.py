"""What a plan can ask for. An action is a value; the engine carries it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from rayserve_operator.model.serve import ServeConfig


class Kind(StrEnum):
    """The kinds of objects that are written."""

    RAY_SERVICE = "RayService"
    RAY_CLUSTER = "RayCluster"
    POD = "Pod"
    SERVICE = "Service"
    REVISION = "ControllerRevision"
    SERVICE_ACCOUNT = "ServiceAccount"
    ROLE = "Role"
    ROLE_BINDING = "RoleBinding"
    CLAIM = "PersistentVolumeClaim"
    NETWORK_POLICY = "NetworkPolicy"
    INGRESS = "Ingress"
    BUDGET = "PodDisruptionBudget"
    JOB = "Job"
    ISSUER = "Issuer"
    CERTIFICATE = "Certificate"
    VOLCANO_POD_GROUP = "PodGroup of Volcano"
    POD_GROUP = "PodGroup"
    GATEWAY = "Gateway"
    HTTP_ROUTE = "HTTPRoute"
    SECRET = "Secret"  # noqa: S105
    NODE = "Node"
    NAMESPACE = "Namespace"
    QUOTA = "ResourceQuota"
    EVENT = "Event"
    LEASE = "Lease"
    WEBHOOK = "ValidatingWebhookConfiguration"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A Kubernetes event about the planned object: told once the action that carries it has succeeded."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Anything that a plan can ask for."""

    announce: Announcement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Create(Action):
    """POST an object. One of the same name counts as success only if it has the same controller and is not leaving."""

    kind: Kind
    manifest: Mapping[str, Any]
    name_prefix: str | None = None
    """When given, the engine draws the name: the prefix and five random characters."""
    drawn_key: str | None = None
    """When given, the engine draws 32 random bytes and puts them, as text, under this key of a Secret's data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply(Action):
    """Server-side apply with our field manager. A resourceVersion in the manifest is a precondition."""

    kind: Kind
    manifest: Mapping[str, Any]
    is_first: bool = False
    """Whether no object of that name is known to be ours: one that is there all the same is looked at first, and left
    alone unless `planning.custody` finds that it may be taken over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch(Action):
    """A JSON patch; its `test` operations are the preconditions."""

    kind: Kind
    name: str
    operations: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotate(Action):
    """Set (or, with None, remove) annotations or labels of the object with this uid."""

    kind: Kind
    name: str
    uid: str
    annotations: Mapping[str, str | None] | None = None
    labels: Mapping[str, str | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(Action):
    """Delete the object with this uid, its dependents in the background."""

    kind: Kind
    name: str
    uid: str
    grace: int | None = None
    """Seconds that a pod is given to end; None leaves it to the pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm(Action):
    """Read the object afresh and end the pass unless it is the one observed, at the version given, and stays."""

    kind: Kind
    name: str
    uid: str
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitServe(Action):
    """PUT a Serve config to a cluster's Ray, then read it back.

    Where Ray's answer still differs from the config, that is Ray's spelling of it: both digests are kept on the
    RayCluster, so that the same answer counts as applied from then on.
    """

    cluster: str
    cluster_uid: str
    address: str
    """`host:port` of Ray's dashboard."""
    secret: str | None
    """Name of the Secret with the token that Ray asks for; None where it asks for none."""
    config: ServeConfig
    failed_before: int | None = 0
    """How often this config has failed on this cluster; a refusal is noted there as one more, unless this is None."""


AnyAction: TypeAlias = Create | Apply | Patch | Annotate | Delete | Confirm | SubmitServe
Step: TypeAlias = tuple[AnyAction, ...]
"""Actions that are carried out together."""
Strand: TypeAlias = tuple[Step, ...]
"""Steps that each need those before them."""

Status = TypeVar("Status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Generic[Status]):
    """What is to happen next to one object."""

    strands: tuple[Strand, ...] = ()
    """Carried out one after the other. A refusal ends its strand alone, because it may last; any other failure ends
    the pass after its step."""
    status: Status
    announcements: tuple[Announcement, ...] = ()
    """Events that stand for a change of status, told once the status is written."""
    recheck_after: timedelta | None = None
    """When to look again although nothing woke the object; None where every change wakes it."""


def strands(found: Iterable[Iterable[Step]]) -> tuple[Strand, ...]:
    """Strands without what is empty in them."""
    kept = (tuple(step for step in strand if step) for strand in found)
    return tuple(strand for strand in kept if strand)
