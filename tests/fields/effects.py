"""What the operator makes and does, seen from every side, with a field and without it.

A RayCluster is looked at before it has pods, when it is complete, after an edit and on its way out, alone and in a
RayService; a RayService from its first cluster to the retirement of an old one. In all of these the plans are compared:
every manifest, every other action and the status. What merely repeats the spec is left out, so that a field that is
only copied from one object to another has no effect: the data of a ControllerRevision, the spec of a RayCluster that a
RayService makes, and names and annotations that are drawn from these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from rayserve_operator.engine.passes import is_foreign
from rayserve_operator.model.conditions import ClusterCondition
from rayserve_operator.model.problems import InvalidSpec, Problem
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceSpec, RayServiceStatus
from rayserve_operator.model.validation import validate_cluster, validate_service
from rayserve_operator.planning.actions import (
    Annotate,
    AnyAction,
    Apply,
    Confirm,
    Create,
    Delete,
    Kind,
    Patch,
    Plan,
    SubmitServe,
)
from rayserve_operator.planning.changes import compare
from rayserve_operator.planning.condition_list import UNSUPPORTED
from rayserve_operator.planning.goal import Aim
from rayserve_operator.planning.observed import ObservedRayCluster, ObservedService, PodView
from rayserve_operator.planning.raycluster import plan_cluster
from rayserve_operator.planning.rayservice import plan_service
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions

from ..builders import NOTHING_DEPLOYED, NOW, aim_at, cluster, head, pod, ray_cluster, revision, service_spec, world
from .fields import Field
from .values import Manifest, Trial, put, trials

Done = Mapping[str, Mapping[str, Any]]
"""By moment, then by what it is done to: everything that is done."""
