"""Ray Serve as it lives in one head: applications, deployments, replicas, and its own autoscaling of them.

What an application does stands in its import path: `app:bad` never deploys, `app:flaky1` and `app:flaky2` only at the
second and at the third time, and at `app:refused` Ray answers 400 after it has taken in what stands before it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rayserve_operator.model.errors import Refused
from rayserve_operator.model.serve import ServeConfig

from .manifests import Json, copied

BUILT = 2.0
"""Seconds from a PUT until an application is built, well or not."""
REPLICA = 1.0
"""Seconds that one more replica takes to start."""
PROXY = 1.0
"""Seconds that a proxy takes to start."""
IDLE = 20.0
"""Seconds for which fewer replicas must have been enough before Serve takes some away."""

_OF_FLOORS = ("min_replicas", "initial_replicas")


@dataclass
class Deployment:
    """A deployment, and its replicas."""

    document: Json
    least: int
    most: int
    target: int
    running: int = 0
    capacity: float | None = None
    """The part of it that is asked for, in percent."""
    is_updating: bool = True
    """Whether it has not come to what the config says yet."""
    grows_at: float = 0.0
    shrinks_at: float | None = None

    @property
    def is_autoscaled(self) -> bool:
        """Whether Serve itself says how many replicas there are."""
        return "autoscaling_config" in self.document


@dataclass
class Application:
    """An application, and what runs of it; after an update that fails, that is what ran before."""

    document: Json | None
    """None where Ray stumbled before it took the config in."""
    submitted: float
    fails: bool = False
    is_built: bool = False
    deployments: dict[str, Deployment] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """Ray's word for its state, as long as there are nodes for it."""
        if self.document is None or not self.is_built:
            return "DEPLOYING"
        if self.fails:
            return "DEPLOY_FAILED"
        return "DEPLOYING" if any(one.is_updating for one in self.deployments.values()) else "RUNNING"


class Serve:
    """The Serve of one head."""

    def __init__(self) -> None:
        self.applications: dict[str, Application] = {}
        self.started: float | None = None
        """Since when it runs at all."""
        self.serves = False
        """Whether replicas answer, be it those of an earlier config."""
        self.puts = 0
        """How often it was sent a config."""
        self.capacity: float | None = None
        """The part of the config that it is asked for, in percent; None for all of it, without any bounds."""
        self._failures: Counter[str] = Counter()

    # What is asked of it. ------------------------------------------------------------------------------------

    def put(self, config: ServeConfig, now: float) -> None:
        """Take in a config. Raises Refused half way where Ray does."""
        self.started = now if self.started is None else self.started
        self.puts += 1
        self.capacity = config.document.get("target_capacity")
        for name, document in config.applications.items():
            before = self.applications.get(name)
            if "refused" in document["import_path"]:
                self.applications.setdefault(name, Application(None, now))
                raise Refused("Ray refused the Serve config (400): env_vars must be strings")
            self.applications[name] = Application(
                copied(document), now, self._fails(document), deployments=before.deployments if before else {}
            )
        for name in self.applications.keys() - config.applications.keys():
            del self.applications[name]

    def _fails(self, document: Mapping[str, Any]) -> bool:
        code = document["import_path"]
        if "bad" in code:
            return True
        if "flaky" not in code:
            return False
        self._failures[digest_of(document)] += 1
        return self._failures[digest_of(document)] <= int(code[-1])

    @property
    def runs(self) -> dict[str, Json] | None:
        """The config with which all applications run, by name; None if one does not."""
        found = {name: app.document for name, app in self.applications.items() if app.document is not None}
        fully = self.serves and bool(found) and all(app.status == "RUNNING" for app in self.applications.values())
        return found if fully else None

    @property
    def works(self) -> dict[str, Json] | None:
        """The config with which all applications run, but for replicas that have not come yet."""
        apps = self.applications.values()
        for app in apps:
            deployments = app.deployments.values()
            if app.document is None or app.fails or not app.is_built or not all(one.running for one in deployments):
                return None
        return {name: app.document for name, app in self.applications.items() if app.document} or None

    def replicas(self) -> dict[tuple[str, str], int]:
        """Replicas that run, by application and deployment."""
        return {
            (name, deployment): found.running
            for name, app in self.applications.items()
            for deployment, found in app.deployments.items()
        }

    def answer(self) -> dict[str, Json]:
        """The applications, as GET tells of them."""
        return {name: self._told(app) for name, app in self.applications.items()}

    def _told(self, app: Application) -> Json:
        status = app.status if self.serves or app.status != "RUNNING" else "DEPLOYING"
        is_blank = app.document is None or app.fails or not app.is_built
        told: Json = {
            "status": status,
            "source": "declarative",
            "message": "Traceback\nImportError: no such module" if status == "DEPLOY_FAILED" else "",
            "last_deployed_time_s": app.submitted,
            "deployments": {} if is_blank else {name: _told(one) for name, one in app.deployments.items()},
        }
        return told if app.document is None else told | {"deployed_app_config": _in_rays_spelling(app.document)}

    # What time does. -----------------------------------------------------------------------------------------

    def step(self, now: float, *, has_workers: bool, demand: int | None, room: int | None) -> bool:
        """Go on as long as there are nodes; whether anything is on its way.

        `demand` is how many replicas the traffic needs, None without traffic. `room` is how many find a place.
        """
        is_moving = False
        for app in self.applications.values():
            if app.document is not None and not app.is_built:
                is_moving = True
                if now >= app.submitted + BUILT:
                    app.is_built = True
                    if not app.fails:
                        app.deployments = _deployed(app, self.capacity)
            for deployment in app.deployments.values():
                is_moving |= _step(deployment, now, has_workers=has_workers, demand=demand, room=room)
        self.serves = has_workers and any(count for count in self.replicas().values())
        return is_moving

    def proxy(self, since: float | None, now: float) -> str | None:
        """Status of a proxy that was started then; None while there is none."""
        if since is None:
            return None
        return "HEALTHY" if now >= since + PROXY else "STARTING"


def _deployed(app: Application, capacity: float | None) -> dict[str, Deployment]:
    assert app.document is not None
    return {
        document["name"]: _updated(app.deployments.get(document["name"]), document, capacity)
        for document in app.document.get("deployments", ())
    }


def _updated(before: Deployment | None, document: Json, capacity: float | None) -> Deployment:
    """The deployment by another config; by the same one, what Serve's autoscaling has come to stays."""
    if before is not None and (before.document, before.capacity) == (document, capacity):
        return before
    scaling = document.get("autoscaling_config")
    running = before.running if before is not None else 0
    if scaling is None:
        count = _part(document["num_replicas"], capacity)
        return Deployment(document, count, count, count, running, capacity)
    least, most = _part(scaling["min_replicas"], capacity), _part(scaling["max_replicas"], capacity)
    initial = _part(scaling.get("initial_replicas") or 0, capacity)
    target = initial or (before.target if before is not None else least)
    return Deployment(document, least, most, max(least, min(target, most)), running, capacity)


def _part(count: int, capacity: float | None) -> int:
    """What Serve makes of a number of replicas; the half is rounded up, and of any one is left."""
    return count if capacity is None else max(int(count * capacity / 100 + 0.5), 1 if count and capacity else 0)


def _step(deployment: Deployment, now: float, *, has_workers: bool, demand: int | None, room: int | None) -> bool:
    if not has_workers:
        deployment.running, deployment.is_updating = 0, True
        return False
    if deployment.is_autoscaled:
        _autoscale(deployment, now, demand)
    possible = deployment.target if room is None else min(deployment.target, room)
    if deployment.running > possible:
        deployment.running = possible
    elif deployment.running < possible and now >= deployment.grows_at:
        deployment.running += 1
        deployment.grows_at = now + REPLICA
    if deployment.running == deployment.target:
        deployment.is_updating = False
    return deployment.running < possible or deployment.shrinks_at is not None


def _autoscale(deployment: Deployment, now: float, demand: int | None) -> None:
    wanted = max(deployment.least, min(demand or 0, deployment.most))
    if wanted >= deployment.target:
        deployment.target, deployment.shrinks_at = wanted, None
    elif deployment.shrinks_at is None:
        deployment.shrinks_at = now + IDLE
    elif now >= deployment.shrinks_at:
        deployment.target, deployment.shrinks_at = wanted, None


def _told(deployment: Deployment) -> Json:
    status = "HEALTHY" if deployment.running == deployment.target else "UPSCALING"
    scaling = deployment.document.get("autoscaling_config")
    return {
        "status": "UPDATING" if deployment.is_updating else status,
        "deployment_config": {"autoscaling_config": scaling} if scaling else {},
        "replicas": [{"state": "RUNNING"}] * deployment.running,
    }


def _in_rays_spelling(document: Json) -> Json:
    """What Ray answers of an application; some of it as only Ray knows to say it."""
    spelled: Json = copied(document)
    if "odd" in document["import_path"]:
        spelled["runtime_env"] = {"env_vars": {"ADDED": "by Ray"}}
    return spelled


def essence_of(applications: Mapping[str, Mapping[str, Any]]) -> str:
    """A name for a config that is the same with floors and without."""
    return digest_of({name: _without(app, _OF_FLOORS) for name, app in applications.items()})


def as_written(applications: Mapping[str, Mapping[str, Any]]) -> Json:
    """The applications without what the operator never sends again."""
    return {name: _without(app, ("initial_replicas",)) for name, app in applications.items()}


def scalings(applications: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Json]:
    """The autoscaling of each deployment that has one, by application and deployment."""
    return {
        (name, deployment["name"]): deployment["autoscaling_config"]
        for name, app in applications.items()
        for deployment in app.get("deployments", ())
        if "autoscaling_config" in deployment
    }


def digest_of(value: Any) -> str:
    """A short name for a value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _without(app: Mapping[str, Any], keys: tuple[str, ...]) -> Json:
    stripped: Json = copied(app)
    for deployment in stripped.get("deployments", ()):
        for key in keys:
            deployment.get("autoscaling_config", {}).pop(key, None)
    return stripped
