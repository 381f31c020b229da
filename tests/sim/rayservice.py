"""Stories of a RayService: its specs, what its user does, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from typing_extensions import override

from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.normal import pod_template
from rayserve_operator.render import labels

from .manifests import Json, merged, name_of, uid_of
from .rules import DELAY, NAME, SERVE_SERVICE, Wish, wanted_pods
from .serve import as_written
from .story import Story

SERVE = """\
{options}applications:
{front}- name: app
  import_path: app:{code}
  deployments:
  - {{name: D, {replicas}}}
"""
FRONT = """\
- name: front
  import_path: front:{code}
  route_prefix: /front
  deployments:
  - {{name: F, num_replicas: 1}}
"""
Scaling = tuple[int, int, int | None]
"""min_replicas, max_replicas and initial_replicas of a deployment that Serve scales."""

Group = tuple[str, int, int, int]
"""Name, replicas, minReplicas, maxReplicas."""


def template(name: str, image: str) -> Json:
    """A pod template."""
    return {"spec": {"containers": [{"name": name, "image": f"ray:{image}"}]}}


def spec(
    image: str = "a",
    code: str = "x",
    replicas: int = 1,
    groups: tuple[Group, ...] = (("cpu", 1, 1, 3),),
    *,
    autoscaling: bool = False,
    port: int | None = None,
    service_ports: tuple[int, ...] = (),
    front: str | None = None,
    scaling: Scaling | None = None,
    worker_image: str | None = None,
    strategy: Mapping[str, Any] | None = None,
) -> Json:
    """A RayService's spec."""
    ports = [{"name": f"p{number}", "port": number} for number in service_ports]
    return {
        "serveConfigV2": SERVE.format(
            options=f"http_options: {{port: {port}}}\n" if port else "",
            front=FRONT.format(code=front) if front else "",
            code=code,
            replicas=f"autoscaling_config: {_scaling(*scaling)}" if scaling else f"num_replicas: {replicas}",
        ),
        "rayClusterDeletionDelaySeconds": DELAY,
        **({"serveService": {"spec": {"ports": ports}}} if ports else {}),
        **({"upgradeStrategy": dict(strategy)} if strategy else {}),
        "rayClusterConfig": {
            **({"enableInTreeAutoscaling": True} if autoscaling else {}),
            "headGroupSpec": {"template": template("head", image)},
            "workerGroupSpecs": [
                {
                    "groupName": name,
                    "template": template("worker", worker_image or image),
                    "replicas": max(low, min(wanted, high)),
                    "minReplicas": low,
                    "maxReplicas": high,
                }
                for name, wanted, low, high in groups
            ],
        },
    }


def _scaling(least: int, most: int, initial: int | None) -> Json:
    bounds = {"min_replicas": least, "max_replicas": most}
    return bounds if initial is None else bounds | {"initial_replicas": initial}


class ServiceStory(Story):
    """The story of a RayService."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._is_valid = True

    # What is there. ------------------------------------------------------------------------------------------

    @property
    def service(self) -> Json:
        """The RayService."""
        found = self.world.find(Kind.RAY_SERVICE, NAME)
        assert found is not None
        return found

    @property
    def clusters(self) -> list[str]:
        """Names of the RayClusters."""
        return [name_of(cluster) for cluster in self.world.all(Kind.RAY_CLUSTER)]

    def condition(self, type_: str, what: str = "status") -> str | None:
        """Status, or something else, of a condition of the RayService."""
        conditions = self.service.get("status", {}).get("conditions", ())
        return next((c[what] for c in conditions if c["type"] == type_), None)

    # What the user does. -------------------------------------------------------------------------------------

    @override
    async def perform(self, step: str, argument: Any) -> None:
        match step:
            case "edit":
                self.lives[-1].tell(f"--- edit {summary(argument)}")
                self.edit(argument)
            case "reformat":
                self._reformat()
            case "revert":
                self.edit(self._earlier(argument))
            case "break the spec":
                self._break(argument)
            case "make anew":
                self._make_anew()
            case "point elsewhere":
                self._point_elsewhere(argument)
            case "unstamp":
                self._unstamp()
            case _:
                await super().perform(step, argument)
                return
        self.lives[-1].tell(f"--- {step}: {summary(self.service['spec'])}")
        self.rules.look()
        self.assert_no_violation()

    def note(self, kind: Kind, found: Json, annotations: Mapping[str, str | None]) -> None:
        """Annotate an object, as the commands for people do."""
        self.world.put(kind, merged(found, {"metadata": {"annotations": dict(annotations)}}))

    def edit(self, wanted: Mapping[str, Any], *, is_valid: bool = True) -> None:
        """Apply the RayService."""
        old = self.world.find(Kind.RAY_SERVICE, NAME)
        new = self.world.put(Kind.RAY_SERVICE, {"metadata": {"name": NAME}, **(old or {}), "spec": dict(wanted)})
        self._is_valid = is_valid
        if is_valid:
            self.rules.wish(Wish.of(self.world.seconds, uid_of(new), new["spec"]))

    def _earlier(self, steps: int) -> Json:
        wishes = self.rules.wishes
        manifest: Json = wishes[max(0, len(wishes) - 1 - steps)].spec.manifest()
        for group in manifest["rayClusterConfig"]["workerGroupSpecs"]:
            group.setdefault("replicas", 0)
        return manifest

    def _reformat(self) -> None:
        """Write the same Serve config in another way."""
        if not self._is_valid:
            return
        text = self.service["spec"]["serveConfigV2"]
        flow = "\n" in text.strip()
        anew = yaml.safe_dump(yaml.safe_load(text), default_flow_style=flow, width=10_000)
        self.edit({**self.service["spec"], "serveConfigV2": anew})

    def _break(self, how: int) -> None:
        broken: Json = {**self.service["spec"]}
        if how == 0:
            broken["serveConfigV2"] = "applications: ["
        elif how == 1:
            config = broken["rayClusterConfig"]
            groups = [{**group, "minReplicas": 7, "maxReplicas": 2} for group in config["workerGroupSpecs"]]
            broken["rayClusterConfig"] = {**config, "workerGroupSpecs": groups}
        else:
            broken["rayClusterConfig"] = {**broken["rayClusterConfig"], "headGroupSpec": {"template": "none"}}
        self.edit(broken, is_valid=False)

    def _make_anew(self) -> None:
        """Delete the RayService and make it again before anything else has noticed."""
        wanted = self.rules.wishes[-1].spec.manifest()
        self.world.end(Kind.RAY_SERVICE, NAME)
        self.edit(wanted)

    def _point_elsewhere(self, index: int) -> None:
        service = self.world.find(Kind.SERVICE, SERVE_SERVICE)
        targets = [*self.clusters, "nowhere"]
        if service is not None:
            elsewhere = {"spec": {"selector": {labels.CLUSTER: targets[index % len(targets)]}}}
            self.world.put(Kind.SERVICE, merged(service, elsewhere))

    def _unstamp(self) -> None:
        service = self.world.find(Kind.SERVICE, SERVE_SERVICE)
        if service is not None:
            self.world.put(Kind.SERVICE, merged(service, {"metadata": {"annotations": None}}))

    # The end. ------------------------------------------------------------------------------------------------

    def assert_reached(self) -> None:
        """What the user wants is there, and nothing else."""
        self._assert_serves(self.rules.wishes[-1], {"Reconciling": "False"})

    def assert_given_up(self, reason: str, served: Wish) -> None:
        """What served before the user's last wish serves, nothing else is there, and the status says why."""
        told = f"{self.service.get('status', {}).get('conditions')}"
        assert self.condition("Stalled", "reason") == reason, told
        self._assert_serves(served, {"Reconciling": "False", "Stalled": "True"})

    def _assert_serves(self, wish: Wish, conditions: Mapping[str, str]) -> None:
        world = self.world
        told = f"{self.service.get('status', {}).get('conditions')}"
        assert len(self.clusters) == 1, f"{self.clusters}: {told}"
        [cluster] = world.all(Kind.RAY_CLUSTER)
        name = name_of(cluster)
        runs = world.runs(name)
        assert runs is not None, told
        assert as_written(runs) == as_written(wish.config.applications), told
        serve = world.serve(name)
        assert serve is not None, told
        assert serve.capacity is None, "a target_capacity stays behind"
        assert world.takes_traffic(name), told
        service = world.find(Kind.SERVICE, SERVE_SERVICE)
        assert service is not None, told
        assert service["spec"]["selector"][labels.CLUSTER] == name
        assert service["metadata"]["annotations"][labels.ACTIVE_CLUSTER] == name
        config = wish.spec.ray_cluster_config
        made_from = cluster["spec"]["headGroupSpec"]["template"]
        assert pod_template(made_from) == pod_template(config.head_group_spec.template)
        live = {group["groupName"]: group for group in cluster["spec"]["workerGroupSpecs"]}
        for group in config.worker_group_specs:
            found = live.pop(group.group_name)
            assert (found["minReplicas"], found["maxReplicas"]) == (group.min_replicas, group.max_replicas)
            assert config.autoscaling or found["replicas"] == group.replicas
        assert all((group["minReplicas"], group["maxReplicas"]) == (0, 0) for group in live.values())
        wanted = {group["groupName"]: wanted_pods(cluster, group) for group in cluster["spec"]["workerGroupSpecs"]}
        assert self.counts(cluster) == wanted | {labels.HEAD_GROUP: 1}
        self._assert_led(name)
        self._assert_told(name, conditions)

    def _assert_led(self, name: str) -> None:
        """A route that is made leads to the cluster alone, one of the user's to the stable Service."""
        options = self.rules.wishes[-1].spec.route_options
        made = self.world.find(Kind.HTTP_ROUTE, f"{NAME}-httproute")
        assert (made is not None) is (options is not None and options.http_route is None)
        if made is not None:
            assert self.world.led_to() == {name: 100}
            assert self.world.find(Kind.GATEWAY, f"{NAME}-gateway") is not None
        else:
            assert self.world.led_to() == {}

    def _assert_told(self, name: str, conditions: Mapping[str, str]) -> None:
        status = self.service["status"]
        assert status["observedGeneration"] == self.service["metadata"]["generation"]
        assert status["activeServiceStatus"]["rayClusterName"] == name
        assert "pendingServiceStatus" not in status
        assert {condition["type"]: condition["status"] for condition in status["conditions"]} == {
            "SpecValid": "True",
            "Ready": "True",
            "UpgradeInProgress": "False",
            "ApplicationsHealthy": "True",
            **({"RouteReady": "True"} if self.rules.wishes[-1].spec.route_options else {}),
            **conditions,
        }


def summary(wanted: Mapping[str, Any]) -> str:
    """A spec in few words."""
    config = wanted["rayClusterConfig"]
    groups = [
        f"{g['groupName']}:{g.get('replicas')}/{g.get('minReplicas')}-{g.get('maxReplicas')}"
        for g in config["workerGroupSpecs"]
    ]
    return f"{config['headGroupSpec']} {groups} {config.get('enableInTreeAutoscaling')} {wanted['serveConfigV2']!r}"
