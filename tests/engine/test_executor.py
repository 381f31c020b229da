from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any, cast

import pytest

from rayserve_operator.engine.executor import CREATE_ATTEMPTS, Executor
from rayserve_operator.engine.ports import Kube, Ray
from rayserve_operator.engine.store import Store
from rayserve_operator.engine.tokens import Tokens
from rayserve_operator.model.errors import (
    AlreadyExists,
    NotFound,
    OperatorError,
    OutcomeUnknown,
    Refused,
    Superseded,
    Unavailable,
)
from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.planning.actions import (
    Annotate,
    Announcement,
    AnyAction,
    Apply,
    Confirm,
    Create,
    Delete,
    Kind,
    Patch,
    SubmitServe,
)

Json = dict[str, Any]
APP = "applications: [{name: app, import_path: 'app:x'}]"


def manifest(name: str = "", uid: str = "", owner: str = "cluster", version: int = 1, **metadata: Any) -> Json:
    references = [{"uid": owner, "controller": True}]
    given = {"name": name, "uid": uid, "resourceVersion": str(version), "ownerReferences": references, **metadata}
    labels = {"ray.io/cluster": "demo-a", "ray.io/node-type": "worker", "ray.io/group": "cpu"}
    return {"metadata": {"namespace": "default", "labels": labels, **given}, "spec": {"containers": [{"name": "ray"}]}}


class Script:
    """A Kube and a Ray that answer as they are told to, and remember what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.answers: dict[str, list[Any]] = {}
        self.graces: list[int | None] = []

    def says(self, verb: str, *answers: Any) -> None:
        self.answers[verb] = list(answers)

    def _answer(self, verb: str, asked: Any, default: Any = None) -> Any:
        self.asked.append((verb, asked))
        answers = self.answers.get(verb)
        answer = answers.pop(0) if answers else default
        if isinstance(answer, OperatorError):
            raise answer
        return answer

    async def get(self, kind: Kind, namespace: str, name: str) -> Any:
        return self._answer("get", name)

    async def create(self, kind: Kind, body: Json) -> Any:
        created = {**body, "metadata": {**body["metadata"], "uid": "new", "resourceVersion": "9"}}
        return self._answer("create", body["metadata"]["name"], created)

    async def apply(self, kind: Kind, body: Json) -> Any:
        return self._answer("apply", body["metadata"]["name"], body)

    async def patch(self, kind: Kind, namespace: str, name: str, operations: Any) -> Any:
        return self._answer("patch", name, manifest(name, "u", version=9))

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Json) -> Any:
        return self._answer("merge", patch, manifest(name, "u", version=9))

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str, *, grace: int | None) -> Any:
        self.graces.append(grace)
        return self._answer("delete", (name, uid))

    async def submit(self, address: str, config: ServeConfig, token: str | None) -> None:
        self._answer("submit", address)

    async def serve_status(self, address: str, token: str | None) -> ServeStatus:
        return cast(ServeStatus, self._answer("serve_status", address))

    @property
    def created(self) -> list[str]:
        return [asked for verb, asked in self.asked if verb == "create"]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def store() -> Store:
    return Store(lambda _: None)


@pytest.fixture
def executor(script: Script, store: Store) -> Executor:
    return Executor(cast(Kube, script), cast(Ray, script), store, Tokens(cast(Kube, script)), random.Random(1))


async def do(executor: Executor, *step: AnyAction) -> list[str]:
    told: list[str] = []
    await executor.carry_out("default", step, lambda announcement: told.append(announcement.reason))
    return told


def a_pod(reason: str = "Created") -> Create:
    body = manifest()
    del body["metadata"]["name"]
    return Create(kind=Kind.POD, manifest=body, name_prefix="demo-", announce=Announcement(reason, ""))


SERVICE = Create(kind=Kind.SERVICE, manifest=manifest("demo-serve-svc", owner="service"))


async def test_what_was_written_is_in_the_store_at_once(executor: Executor, store: Store) -> None:
    assert await do(executor, a_pod()) == ["Created"]
    [view] = store.pods_of("default", "demo-a")
    assert view.meta.uid == "new"


async def test_a_create_without_an_answer_is_repeated_under_the_same_name(executor: Executor, script: Script) -> None:
    script.says("create", OutcomeUnknown("lost"), OutcomeUnknown("lost"))
    await do(executor, a_pod())
    assert len(script.created) == 3
    assert len(set(script.created)) == 1


async def test_a_name_that_never_got_an_answer_is_taken_up_by_the_next_create(
    executor: Executor, script: Script
) -> None:
    script.says("create", *[OutcomeUnknown("lost")] * CREATE_ATTEMPTS)
    with pytest.raises(OutcomeUnknown):
        await do(executor, a_pod())
    await do(executor, a_pod())
    await do(executor, a_pod())
    *lost, repeated, fresh = script.created
    assert set(lost) == {repeated}
    assert fresh != repeated


async def test_a_namesake_with_our_controller_is_our_own_lost_create(
    executor: Executor, script: Script, store: Store
) -> None:
    script.says("create", AlreadyExists("there"))
    script.says("get", manifest("demo-x", "u"))
    assert await do(executor, a_pod()) == ["Created"]
    assert [view.meta.uid for view in store.pods_of("default", "demo-a")] == ["u"]


@pytest.mark.parametrize(
    "namesake", [manifest("x", "u", owner="another"), manifest("x", "u", deletionTimestamp="2030-01-01T00:00:00Z")]
)
async def test_any_other_namesake_is_none_of_ours(executor: Executor, script: Script, namesake: Json) -> None:
    script.says("create", AlreadyExists("there"))
    script.says("get", namesake)
    with pytest.raises(AlreadyExists):
        await do(executor, a_pod())


async def test_a_service_is_applied_where_there_is_none(executor: Executor, script: Script) -> None:
    script.says("get", NotFound("none"))
    await do(executor, SERVICE)
    assert [verb for verb, _ in script.asked] == ["get", "apply"]


async def test_a_service_that_stands_there_is_noticed_and_left_alone(
    executor: Executor, script: Script, store: Store
) -> None:
    script.says("get", manifest("demo-serve-svc", "theirs", owner="another"))
    with pytest.raises(AlreadyExists):
        await do(executor, SERVICE)
    assert [verb for verb, _ in script.asked] == ["get"]
    assert store.kube_service("default", "demo-serve-svc") is not None


ROLE = Apply(kind=Kind.ROLE, manifest=manifest("demo-a", owner="cluster"), is_first=True)


@pytest.mark.parametrize(
    "found", [NotFound("none"), manifest("demo-a", "u", owner="cluster")], ids=["nothing", "KubeRay's for the same"]
)
async def test_what_is_first_applied_is_looked_for(executor: Executor, script: Script, found: Any) -> None:
    script.says("get", found)
    await do(executor, ROLE)
    assert script.asked == [("get", "demo-a"), ("apply", "demo-a")]


async def test_somebody_elses_namesake_is_left_alone_and_told(executor: Executor, script: Script) -> None:
    script.says("get", manifest("demo-a", "theirs", ownerReferences=None))
    with pytest.raises(Refused, match=r"^Role demo-a is there already and not this RayCluster's"):
        await do(executor, ROLE)
    assert script.asked == [("get", "demo-a")]


async def test_what_is_known_is_applied_without_a_look(executor: Executor, script: Script) -> None:
    await do(executor, replace(ROLE, is_first=False))
    assert script.asked == [("apply", "demo-a")]


async def test_nothing_is_first_applied_once_another_replica_leads(executor: Executor, script: Script) -> None:
    script.says("get", NotFound("none"))
    executor.may_act = lambda: not script.asked
    with pytest.raises(Superseded):
        await do(executor, ROLE)
    assert script.asked == [("get", "demo-a")]


async def test_all_of_a_step_is_tried_before_it_fails(executor: Executor, script: Script) -> None:
    script.says("create", Refused("quota"))
    with pytest.raises(Refused):
        await do(executor, a_pod(), a_pod())
    assert len(script.created) == 2


async def test_only_what_succeeded_is_told(executor: Executor, script: Script) -> None:
    script.says("create", Refused("quota"))
    told: list[str] = []
    with pytest.raises(Refused):
        await executor.carry_out("default", (a_pod("one"), a_pod("two")), lambda said: told.append(said.reason))
    assert told == ["two"]


@pytest.mark.parametrize(
    "found",
    [
        manifest("demo-a", "other"),
        manifest("demo-a", "u", deletionTimestamp="2030-01-01T00:00:00Z"),
        manifest("demo-a", "u"),
    ],
)
async def test_what_is_not_as_it_was_observed_ends_the_pass(executor: Executor, script: Script, found: Json) -> None:
    script.says("get", found)
    with pytest.raises(Superseded):
        await do(executor, Confirm(kind=Kind.POD, name="demo-a", uid="u", version="7"))


async def test_what_is_as_it_was_observed_lets_the_pass_go_on(executor: Executor, script: Script) -> None:
    script.says("get", manifest("demo-a", "u", version=7))
    await do(executor, Confirm(kind=Kind.POD, name="demo-a", uid="u", version="7"))


async def test_what_a_fresh_look_does_not_find_is_forgotten(executor: Executor, script: Script, store: Store) -> None:
    store.put(Kind.POD, manifest("p", "u"))
    script.says("get", NotFound("gone"))
    with pytest.raises(NotFound):
        await do(executor, Confirm(kind=Kind.POD, name="p", uid="u"))
    assert store.pods_of("default", "demo-a") == []


@pytest.mark.parametrize("answer", [None, NotFound("gone")])
async def test_what_is_deleted_at_once_is_forgotten_for_good(
    executor: Executor, script: Script, store: Store, answer: Any
) -> None:
    store.put(Kind.POD, manifest("p", "u"))
    script.says("delete", answer)
    await do(executor, Delete(kind=Kind.POD, name="p", uid="u"))
    store.put(Kind.POD, manifest("p", "u", version=5))
    assert store.pods_of("default", "demo-a") == []
    assert script.asked == [("delete", ("p", "u"))]


async def test_a_pod_that_takes_its_time_to_end_is_seen_leaving(
    executor: Executor, script: Script, store: Store
) -> None:
    script.says("delete", manifest("p", "u", version=5, deletionTimestamp="2030-01-01T00:00:00Z"))
    await do(executor, Delete(kind=Kind.POD, name="p", uid="u"))
    [view] = store.pods_of("default", "demo-a")
    assert view.meta.deleting


async def test_notes_are_set_on_the_object_with_this_uid_alone(executor: Executor, script: Script) -> None:
    await do(executor, Annotate(kind=Kind.POD, name="p", uid="u", labels={"ray.io/serve": "true"}))
    assert script.asked == [("merge", {"metadata": {"uid": "u", "labels": {"ray.io/serve": "true"}}})]


async def test_a_patch_whose_test_fails_ends_the_pass(executor: Executor, script: Script) -> None:
    script.says("patch", Superseded("test"))
    with pytest.raises(Superseded):
        await do(executor, Patch(kind=Kind.POD, name="p", operations=()))


SUBMIT = SubmitServe(cluster="demo-a", cluster_uid="c", address="ip:8265", secret=None, config=parse_serve_config(APP))


def answered(import_path: str) -> ServeStatus:
    config = {"name": "app", "import_path": import_path}
    return ServeStatus.parse({"applications": {"app": {"source": "declarative", "deployed_app_config": config}}})


async def test_a_config_that_ray_takes_as_it_is_leaves_no_note(executor: Executor, script: Script) -> None:
    script.says("serve_status", answered("app:x"))
    await do(executor, SUBMIT)
    assert [verb for verb, _ in script.asked] == ["submit", "serve_status"]


async def test_rays_own_spelling_of_a_config_is_noted_on_the_cluster(executor: Executor, script: Script) -> None:
    spelled = answered("app:X")
    script.says("serve_status", spelled)
    await do(executor, SUBMIT)
    verb, patch = script.asked[-1]
    digests = f"{SUBMIT.config.digest}:{spelled.deployed.digest}"
    assert verb == "merge"
    assert patch == {"metadata": {"uid": "c", "annotations": {"rayserve.ray.io/serve-spelling": digests}}}


async def test_a_ray_that_forgets_what_it_was_sent_has_spelled_nothing(executor: Executor, script: Script) -> None:
    script.says("serve_status", ServeStatus.parse({"controller_info": {}, "applications": {}}))
    with pytest.raises(Unavailable):
        await do(executor, SUBMIT)
    assert [verb for verb, _ in script.asked] == ["submit", "serve_status"]


async def test_a_ray_that_is_silent_after_it_took_a_config_is_asked_again_later(
    executor: Executor, script: Script
) -> None:
    script.says("serve_status", Unavailable("hangs"))
    with pytest.raises(Unavailable):
        await do(executor, SUBMIT)


async def test_a_refusal_is_counted_on_the_cluster_with_rays_words(executor: Executor, script: Script) -> None:
    script.says("submit", Refused("env_vars: not a string"))
    with pytest.raises(Refused):
        await do(executor, replace(SUBMIT, failed_before=1))
    [noted] = [asked for verb, asked in script.asked if verb == "merge"]
    [note] = noted["metadata"]["annotations"].values()
    said = json.loads(note)
    assert (said["failed"], said["words"]) == (2, "env_vars: not a string")
    assert noted["metadata"]["uid"] == SUBMIT.cluster_uid


async def test_a_refusal_that_is_known_well_enough_is_not_counted_again(executor: Executor, script: Script) -> None:
    script.says("submit", Refused("no"))
    with pytest.raises(Refused):
        await do(executor, replace(SUBMIT, failed_before=None))
    assert [verb for verb, _ in script.asked] == ["submit"]


async def test_a_ray_that_is_away_has_refused_nothing(executor: Executor, script: Script) -> None:
    script.says("submit", Unavailable("starting"))
    with pytest.raises(Unavailable):
        await do(executor, SUBMIT)
    assert [verb for verb, _ in script.asked] == ["submit"]


async def test_a_pod_is_given_the_seconds_to_end_that_are_asked_for(executor: Executor, script: Script) -> None:
    script.says("delete", None)
    await do(executor, Delete(kind=Kind.POD, name="w", uid="u", grace=1))
    assert script.graces == [1]
