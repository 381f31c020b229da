"""What the watches and our own writes have shown so far, slim, and indexed the way the planners ask.

A write is put into the store from its own answer, so a pass never plans on a view older than what it wrote. Versions
decide which of two views of an object is newer; what is known to be gone does not come back with a late event.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.problems import InvalidSpec, parse_problems
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.model.sharing import interned, shared
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.observed import BelongingView, PodView, RevisionView, ServiceView
from rayserve_operator.render import labels

REMEMBERED_DEATHS = 4096
"""So many that what is gone is known for longer than the answer to a write takes, also while a fleet is deleted."""


class Key(NamedTuple):
    """An object that has a pass of its own."""

    kind: Kind
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """A RayService as the API server holds it, its spec not yet judged."""

    meta: Meta
    spec: Mapping[str, Any]
    status: RayServiceStatus


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """A RayCluster as the API server holds it, its spec read if it can be."""

    meta: Meta
    spec: RayClusterSpec | ValidationError
    status: RayClusterStatus
    managed_by: str | None = None
    """Who looks after it, also where the rest of the spec cannot be read."""

    def read(self) -> RayCluster:
        """The RayCluster. Raises InvalidSpec if its spec cannot be read."""
        if isinstance(self.spec, ValidationError):
            raise InvalidSpec(parse_problems(self.spec))
        return RayCluster(meta=self.meta, spec=self.spec, status=self.status)


View = ServiceRecord | ClusterRecord | PodView | ServiceView | RevisionView | BelongingView


class Store:
    """The objects that are watched, by kind.

    Args:
        on_change: is told the keys whose pass should look again.
        on_edit: is told, before that, the RayServices whose spec a user has changed.
    """

    def __init__(self, on_change: Callable[[Key], None], on_edit: Callable[[Key], None] = lambda _: None) -> None:
        self._on_change = on_change
        self._on_edit = on_edit
        self._views: dict[Kind, dict[str, View]] = {kind: {} for kind in WATCHED}
        self._named: dict[tuple[Kind, str, str], str] = {}
        self._families: dict[tuple[Kind, str], set[str]] = defaultdict(set)
        self._dead: OrderedDict[str, str | None] = OrderedDict()
        """Uids of what is gone, and the version at which a watch said so."""

    def put(self, kind: Kind, manifest: Mapping[str, Any]) -> None:
        """Take in an object as an event or the answer to a write shows it, unless something newer is known."""
        meta = Meta.parse(manifest)
        before = self._views[kind].get(meta.uid)
        if self._stays_dead(meta) or (before is not None and not _is_newer(meta.version, before.meta.version)):
            return
        view = self._parse(kind, meta, manifest, before)
        namesake = self._by_name(kind, meta.namespace, meta.name)
        self._views[kind][meta.uid] = view
        if namesake is None or _is_newer(meta.version, namesake.meta.version):
            self._named[kind, meta.namespace, meta.name] = meta.uid
        families = set(_families(kind, view))
        if before is not None and families != set(_families(kind, before)):
            # Somebody has relabelled a pod, or taken an object from its owner.
            self._leave_families(kind, before)
            self._tell(kind, before)
        for family in families:
            self._families[kind, family].add(meta.uid)
        if kind is Kind.RAY_SERVICE and before is not None and before.meta.generation != meta.generation:
            self._on_edit(Key(kind, meta.namespace, meta.name))
        if before is None or _differs(before, view):
            self._tell(kind, view)

    def remove(self, kind: Kind, uid: str, version: str | None = None) -> None:
        """Forget an object that is gone: for good, or if the version is given until a later one of it is seen.

        A watch says that an object is gone, too, when it only has lost the label that is watched for.
        """
        self._dead[uid] = version
        if len(self._dead) > REMEMBERED_DEATHS:
            self._dead.popitem(last=False)
        view = self._views[kind].pop(uid, None)
        if view is None:
            return
        if self._named.get(name := (kind, view.meta.namespace, view.meta.name)) == uid:
            del self._named[name]
        self._leave_families(kind, view)
        self._tell(kind, view)

    def _stays_dead(self, meta: Meta) -> bool:
        gone_at = self._dead.get(meta.uid)
        if gone_at is not None and _is_newer(meta.version, gone_at):
            del self._dead[meta.uid]
        return meta.uid in self._dead

    def prune(self, kind: Kind, living: Iterable[str], version: str) -> None:
        """Forget what a list at this version does not name, unless it is newer than the list."""
        alive = set(living)
        gone = [
            uid
            for uid, view in self._views[kind].items()
            if uid not in alive and _is_watched(kind, view) and not _is_newer(view.meta.version, version)
        ]
        for uid in gone:
            self.remove(kind, uid)

    def uids(self) -> Iterator[str]:
        """Uids of every object that has a pass of its own."""
        yield from self._views[Kind.RAY_SERVICE]
        yield from self._views[Kind.RAY_CLUSTER]

    def keys(self) -> Iterator[Key]:
        """Every object that has a pass of its own."""
        for kind in (Kind.RAY_SERVICE, Kind.RAY_CLUSTER):
            for view in self._views[kind].values():
                yield Key(kind, view.meta.namespace, view.meta.name)

    def counts(self) -> Iterator[tuple[Kind, int]]:
        """How many objects of each kind there are."""
        for kind, views in self._views.items():
            yield kind, len(views)

    def holds(self, kind: Kind, uid: str) -> bool:
        """Whether there is this very object still."""
        return uid in self._views[kind]

    def services(self) -> Iterator[ServiceRecord]:
        """Every RayService."""
        return (view for view in self._views[Kind.RAY_SERVICE].values() if isinstance(view, ServiceRecord))

    def clusters(self) -> Iterator[ClusterRecord]:
        """Every RayCluster."""
        return (view for view in self._views[Kind.RAY_CLUSTER].values() if isinstance(view, ClusterRecord))

    def shard(self, key: Key) -> str:
        """Name of the shard that looks after an object: a RayService's clusters go where it goes."""
        view = self._by_name(key.kind, key.namespace, key.name)
        if view is None:
            return ""
        controller = self._views[Kind.RAY_SERVICE].get(view.meta.owner or "")
        return (controller or view).meta.labels.get(labels.SHARD, "")

    def service(self, namespace: str, name: str) -> ServiceRecord | None:
        """The RayService of that name."""
        view = self._by_name(Kind.RAY_SERVICE, namespace, name)
        return view if isinstance(view, ServiceRecord) else None

    def cluster(self, namespace: str, name: str) -> ClusterRecord | None:
        """The RayCluster of that name."""
        view = self._by_name(Kind.RAY_CLUSTER, namespace, name)
        return view if isinstance(view, ClusterRecord) else None

    def kube_service(self, namespace: str, name: str) -> ServiceView | None:
        """The Service of that name."""
        view = self._by_name(Kind.SERVICE, namespace, name)
        return view if isinstance(view, ServiceView) else None

    def clusters_of(self, uid: str) -> list[ClusterRecord]:
        """The RayClusters that this RayService controls, oldest first."""
        found = [view for view in self._family(Kind.RAY_CLUSTER, uid) if isinstance(view, ClusterRecord)]
        return sorted(found, key=lambda view: (str(view.meta.created), view.meta.name))

    def revisions_of(self, uid: str) -> list[RevisionView]:
        """The ControllerRevisions that this RayService controls, oldest first."""
        found = [view for view in self._family(Kind.REVISION, uid) if isinstance(view, RevisionView)]
        return sorted(found, key=lambda view: view.number)

    def services_of(self, uid: str) -> list[ServiceView]:
        """The Services that this object controls."""
        return [view for view in self._family(Kind.SERVICE, uid) if isinstance(view, ServiceView)]

    def belongings_of(self, uid: str) -> list[BelongingView]:
        """What this RayCluster controls beside its pods and Services."""
        found = (view for kind in BELONGINGS for view in self._family(kind, uid))
        return [view for view in found if isinstance(view, BelongingView)]

    def pods_of(self, namespace: str, cluster: str) -> list[PodView]:
        """The pods that bear this cluster's label, by name."""
        found = [v for v in self._family(Kind.POD, _label_family(namespace, cluster)) if isinstance(v, PodView)]
        return sorted(found, key=lambda view: view.meta.name)

    def ghosts(self, namespace: str, service: str) -> frozenset[str]:
        """Names of clusters of a RayService that are gone while pods of theirs are still there."""
        pods = self._family(Kind.POD, _label_family(namespace, f"{service}-"))
        names = {view.meta.labels.get(labels.CLUSTER, "") for view in pods}
        return frozenset(name for name in names if self.cluster(namespace, name) is None)

    def _parse(self, kind: Kind, meta: Meta, manifest: Mapping[str, Any], before: View | None) -> View:
        match kind:
            case Kind.POD:
                return PodView.parse(manifest)
            case Kind.SERVICE:
                return ServiceView.parse(manifest)
            case Kind.REVISION:
                return RevisionView.parse(manifest)
            case Kind.RAY_SERVICE:
                return self._service_record(meta, manifest, before)
            case Kind.RAY_CLUSTER:
                return self._cluster_record(meta, manifest, before)
            case _:
                return BelongingView.parse(kind, manifest)

    def _service_record(self, meta: Meta, manifest: Mapping[str, Any], before: View | None) -> ServiceRecord:
        status = _status(RayServiceStatus, manifest.get("status") or {})
        if not isinstance(before, ServiceRecord):
            return ServiceRecord(meta, interned(manifest.get("spec") or {}), status)
        if before.meta.generation == meta.generation:
            return ServiceRecord(meta, before.spec, status)
        # What an edit leaves alone is what goals and clusters hold already.
        return ServiceRecord(meta, shared(interned(manifest.get("spec") or {}), before.spec), status)

    def _cluster_record(self, meta: Meta, manifest: Mapping[str, Any], before: View | None) -> ClusterRecord:
        spec, status = manifest.get("spec") or {}, _status(RayClusterStatus, manifest.get("status") or {})
        if isinstance(before, ClusterRecord) and before.meta.generation == meta.generation:
            return ClusterRecord(meta, before.spec, status, before.managed_by)
        # Its pod templates are mostly those of its RayService.
        controller = self._views[Kind.RAY_SERVICE].get(meta.owner or "")
        known = controller.spec.get("rayClusterConfig") if isinstance(controller, ServiceRecord) else None
        return ClusterRecord(meta, _cluster_spec(shared(interned(spec), known)), status, spec.get("managedBy"))

    def _by_name(self, kind: Kind, namespace: str, name: str) -> View | None:
        uid = self._named.get((kind, namespace, name))
        return None if uid is None else self._views[kind].get(uid)

    def _family(self, kind: Kind, family: str) -> list[View]:
        return [self._views[kind][uid] for uid in self._families.get((kind, family), ())]

    def _leave_families(self, kind: Kind, view: View) -> None:
        for family in _families(kind, view):
            self._families[kind, family].discard(view.meta.uid)
            if not self._families[kind, family]:
                del self._families[kind, family]

    def _tell(self, kind: Kind, view: View) -> None:
        """Wake the object itself, its controller, and for a pod also the RayService above its cluster."""
        meta = view.meta
        if kind in (Kind.RAY_SERVICE, Kind.RAY_CLUSTER):
            self._on_change(Key(kind, meta.namespace, meta.name))
        if kind is Kind.POD:
            cluster = self.cluster(meta.namespace, meta.labels.get(labels.CLUSTER, ""))
            if cluster is None:
                return
            self._on_change(Key(Kind.RAY_CLUSTER, meta.namespace, cluster.meta.name))
            meta = cluster.meta
        for owner in (Kind.RAY_SERVICE, Kind.RAY_CLUSTER):
            controller = self._views[owner].get(meta.owner or "")
            if controller is not None:
                self._on_change(Key(owner, controller.meta.namespace, controller.meta.name))


BELONGINGS = (
    Kind.SERVICE_ACCOUNT,
    Kind.ROLE,
    Kind.ROLE_BINDING,
    Kind.CLAIM,
    Kind.NETWORK_POLICY,
    Kind.INGRESS,
    Kind.BUDGET,
    Kind.JOB,
    Kind.ISSUER,
    Kind.CERTIFICATE,
    Kind.POD_GROUP,
    Kind.VOLCANO_POD_GROUP,
)
"""What RayClusters have beside pods and Services."""
OPTIONAL = frozenset({Kind.ISSUER, Kind.CERTIFICATE, Kind.POD_GROUP, Kind.VOLCANO_POD_GROUP})
"""Kinds that not every Kubernetes cluster knows."""
WATCHED = (Kind.RAY_SERVICE, Kind.RAY_CLUSTER, Kind.POD, Kind.SERVICE, Kind.REVISION, *BELONGINGS)


def _cluster_spec(spec: Mapping[str, Any]) -> RayClusterSpec | ValidationError:
    try:
        return RayClusterSpec.model_validate(spec)
    except ValidationError as error:
        return error


_Status = TypeVar("_Status", RayServiceStatus, RayClusterStatus)


def _status(model: type[_Status], status: Mapping[str, Any]) -> _Status:
    """A status is rebuilt in every pass, so one that cannot be read counts as none."""
    try:
        return model.model_validate(interned(status))
    except ValidationError:
        return model()


def _is_watched(kind: Kind, view: View) -> bool:
    """Whether lists and watches show it. A Service of somebody else's under our name was only met on the way."""
    return kind is not Kind.SERVICE or labels.FROM_CRD in view.meta.labels


def _families(kind: Kind, view: View) -> Iterator[str]:
    if kind is Kind.POD:
        cluster = view.meta.labels.get(labels.CLUSTER, "")
        yield _label_family(view.meta.namespace, cluster)
        # A RayService's name and a dash, under which its pods are found whose cluster is gone.
        yield _label_family(view.meta.namespace, cluster[: cluster.rfind("-") + 1])
    elif view.meta.owner is not None:
        yield view.meta.owner


def _label_family(namespace: str, cluster: str) -> str:
    return f"{namespace}/{cluster}"


def _is_newer(version: str, than: str) -> bool:
    return not (version.isdecimal() and than.isdecimal()) or int(version) > int(than)


def _differs(before: View, after: View) -> bool:
    """Whether anything but the version changed. A status of ours comes back as an event and is no news."""
    return (_without_version(before), _content(before)) != (_without_version(after), _content(after))


def _without_version(view: View) -> tuple[object, ...]:
    meta = view.meta
    return (meta.generation, meta.labels, meta.annotations, meta.owner, meta.deleting, meta.finalizers)


def _content(view: View) -> tuple[object, ...]:
    match view:
        case ServiceRecord():
            return ()
        case ClusterRecord():
            return (view.status,)
        case PodView():
            return (view.phase, view.ip, view.node, view.ready, view.unschedulable, view.containers,
                    view.init_containers)  # fmt: skip
        case BelongingView():
            return (view.content,)
        case ServiceView():
            return (view.spec,)
        case RevisionView():
            return (view.number,)
