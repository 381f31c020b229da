"""What is done to many RayServices, and what of it is timed."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from benchmarks import views
from benchmarks.manifests import cluster_edit, home, ray_service, serve_edit
from benchmarks.measures import Effect, Outcome, count_writes
from benchmarks.stage import NotInTime, Stage
from benchmarks.world import each, pass_

PROBES = "probes"
"""The namespace of single RayServices, so that what is written for them can be told apart."""

REST = 60.0
"""Seconds of the look at an operator that has nothing to do."""
WAVES = 10
"""Seconds over which applications become UNHEALTHY."""
AFTERWARDS = 10.0
"""Seconds after a restart in which an operator may still write what it should not."""
SINGLES = 5
"""How often one RayService alone is created."""
SERIAL_EDITS = 200
"""Edits one after the other, with and without heads that hang."""
UNTIL_HUNG = 30.0
"""Seconds within which an operator at rest asks every head."""
DYING_SHARE = 0.2

PODS_EXIST, READY, SENT, SWITCHED = "pods exist", "Ready", "Ray is sent it", "switched"
ALONE, TOLD, WHOLE, GONE = "old pods gone", "in the status", "as many Ready again", "gone"

_edits = itertools.count(1)
_rounds = itertools.count(1)


async def single(stage: Stage) -> Outcome:
    """One RayService alone, several times."""
    return one_by_one([await _single(stage, f"single-{number}") for number in range(SINGLES)])


async def _single(stage: Stage, name: str) -> Outcome:
    exist = stage.world.await_([name], views.pods_exist)
    ready = stage.world.await_([name], views.is_ready)
    applied = await create_probe(stage, name)
    effects = {
        PODS_EXIST: Effect.of(applied, await exist.within(stage.patience)),
        READY: Effect.of(applied, await ready.within(stage.patience)),
    }
    await remove_probe(stage, name)
    return Outcome(effects)


def one_by_one(trials: Sequence[Outcome]) -> Outcome:
    """The outcome of several trials with one RayService each."""
    names = trials[0].effects
    return Outcome({name: Effect.one_by_one([trial.effects[name].most for trial in trials]) for name in names})


async def create(stage: Stage) -> Outcome:
    """Create all: their pods exist; they are Ready."""
    before = stage.subject.used().rss_kb / 1024
    exist = stage.world.await_(stage.names, views.pods_exist)
    ready = stage.world.await_(stage.names, views.is_ready)
    wanted = {name: ray_service(name, home(name)) for name in stage.names}
    start = await stage.begin()
    applied = await each(stage.names, lambda name: stage.api.create("rayservices", wanted[name]))
    effects = {
        PODS_EXIST: Effect.of(applied, await exist.within(stage.patience)),
        READY: Effect.of(applied, await ready.within(stage.patience)),
    }
    return Outcome(effects, await stage.settled(start), {"MB before": before})


async def edit(stage: Stage) -> Outcome:
    """Edit the Serve config of all: Ray is sent it."""
    number = next(_edits)
    sent = stage.world.await_(stage.names, views.was_sent(number))
    edits = {name: serve_edit(name, number) for name in stage.names}
    start = await stage.begin()
    applied = await each(stage.names, lambda name: stage.api.merge("rayservices", home(name), name, edits[name]))
    effects = {SENT: Effect.of(applied, await sent.within(stage.patience))}
    return Outcome(effects, await stage.settled(start))


async def rollout(stage: Stage) -> Outcome:
    """Edit the cluster of all: the serve Service selects another one; the old pods are gone."""
    round_ = next(_rounds)
    old = {name: stage.world.view(name).routed_to for name in stage.names}
    switched = stage.world.await_(stage.names, views.has_left(old))
    edits = {name: cluster_edit(name, round_) for name in stage.names}
    start = await stage.begin()
    applied = await each(stage.names, lambda name: stage.api.merge("rayservices", home(name), name, edits[name]))
    seen = await switched.within(stage.patience)
    alone = stage.world.await_(stage.names, views.has_one_cluster)
    effects = {SWITCHED: Effect.of(applied, seen), ALONE: Effect.of(applied, await alone.within(stage.patience))}
    return Outcome(effects, await stage.settled(start))


async def rest(stage: Stage) -> Outcome:
    """Do nothing for a while; then let all applications be UNHEALTHY: the status says so."""
    await stage.settle()
    start = await stage.begin()
    await pass_(REST)
    usage = await stage.since(start)
    told = stage.world.await_(stage.names, views.is_unhealthy)
    fell_ill = await _fall_ill(stage)
    seen = await told.within(stage.patience)
    well = stage.world.await_(stage.names, views.is_running)
    await stage.ray.be_unhealthy(())
    await well.within(stage.patience)
    return Outcome({TOLD: Effect.of(fell_ill, seen)}, usage)


async def _fall_ill(stage: Stage) -> dict[str, float]:
    """Let the applications of all be UNHEALTHY, some each second: an operator may ask all at the same moments."""
    fell_ill: dict[str, float] = {}
    for number in range(WAVES):
        fell_ill |= dict.fromkeys(stage.names[number::WAVES], time.monotonic())
        await stage.ray.be_unhealthy(_heads(stage, list(fell_ill)))
        await pass_(1)
    return fell_ill


async def hang(stage: Stage) -> Outcome:
    """Edit one after the other while the Ray heads of half of the others hang, and before that while none does."""
    hanging, others = stage.names[::2], stage.names[1::2]
    if not others:
        return Outcome()
    await stage.settle()
    before = await _edit_in_turn(stage, others)
    start = await stage.begin()
    heads = _heads(stage, hanging)
    await stage.ray.hang(heads)
    all_asked = await stage.world.all_hung(frozenset(heads), UNTIL_HUNG)
    during = await _edit_in_turn(stage, others)
    usage = await stage.since(start)
    await stage.ray.hang(())
    await _all(stage, views.is_ready)
    return Outcome({"no head hangs": before, "half of them hang": during}, usage, {"all were asked": float(all_asked)})


async def restart(stage: Stage) -> Outcome:
    """Stop and start the operator, and edit one RayService at that moment: Ray is sent it, and nothing else is done."""
    name = "restart"
    await create_probe(stage, name)
    await _needed(stage, [name], views.is_ready)
    await stage.settle()
    await stage.subject.stop()
    number = next(_edits)
    sent = stage.world.await_([name], views.was_sent(number))
    edit_ = serve_edit(name, number)
    start = await stage.begin()
    await stage.subject.start()
    applied = {name: time.monotonic()}
    await stage.api.merge("rayservices", PROBES, name, edit_)
    effect = Effect.of(applied, await sent.within(stage.patience))
    await pass_(AFTERWARDS)
    usage = await stage.since(start)
    homes = {home(other) for other in stage.names}
    others = await asyncio.to_thread(stage.audit.tally, start.log, user=stage.user, about=homes)
    puts = sum(count for request, count in usage.ray.items() if request.startswith("PUT "))
    await remove_probe(stage, name)
    notes = {"writes for the others": count_writes(others), "PUTs to the others": puts - effect.came}
    return Outcome({SENT: effect}, usage, notes)


async def storm(stage: Stage) -> Outcome:
    """Let all workers of some die, half of them deleted and half Failed: as many as before are there and Ready."""
    dying = stage.names[: max(round(len(stage.names) * DYING_SHARE), 1)]
    workers = {name: stage.world.view(name).workers for name in dying}
    killed = frozenset(pod.uid for pods in workers.values() for pod in pods)
    whole = stage.world.await_(dying, views.is_whole_without(killed))
    start = await stage.begin()

    async def kill(name: str) -> None:
        is_deleted = dying.index(name) % 2 == 0
        for pod in workers[name]:
            if is_deleted:
                await stage.api.delete("pods", home(name), pod.name, grace=0)
            else:
                failed = {"status": {"phase": "Failed", "reason": "Evicted"}}
                await stage.api.merge("pods", home(name), pod.name, failed, "status")

    applied = await each(dying, kill)
    effects = {WHOLE: Effect.of(applied, await whole.within(stage.patience))}
    return Outcome(effects, await stage.settled(start), {"pods that died": len(killed)})


async def delete(stage: Stage) -> Outcome:
    """Delete all: nothing is left."""
    gone = stage.world.await_(stage.names, views.is_gone)
    start = await stage.begin()
    applied = await each(stage.names, lambda name: stage.api.delete("rayservices", home(name), name))
    effects = {GONE: Effect.of(applied, await gone.within(stage.patience))}
    return Outcome(effects, await stage.settled(start))


Scenario = Callable[[Stage], Awaitable[Outcome]]

SCENARIOS: Mapping[str, Scenario] = {
    "create": create,
    "edit": edit,
    "rollout": rollout,
    "rest": rest,
    "hang": hang,
    "restart": restart,
    "storm": storm,
    "delete": delete,
}
"""In the order in which they can be played, one upon the other."""


async def create_probe(stage: Stage, name: str) -> dict[str, float]:
    """Create one RayService apart from the many; return when."""
    wanted = ray_service(name, PROBES)
    return await each([name], lambda _: stage.api.create("rayservices", wanted))


async def remove_probe(stage: Stage, name: str) -> None:
    """Delete it, and wait until nothing is left of it."""
    await stage.api.delete("rayservices", PROBES, name)
    await _needed(stage, [name], views.is_gone)


async def ready_probe(stage: Stage, name: str) -> None:
    """Create one RayService apart from the many, and wait until it is ready."""
    await create_probe(stage, name)
    await _needed(stage, [name], views.is_ready)


async def _edit_in_turn(stage: Stage, names: Sequence[str]) -> Effect:
    applied: dict[str, float] = {}
    seen: dict[str, float] = {}
    for turn, name in zip(range(SERIAL_EDITS), itertools.cycle(names), strict=False):
        number = next(_edits)
        sent = stage.world.await_([name], views.was_sent(number))
        edit_ = serve_edit(name, number)
        applied[str(turn)] = time.monotonic()
        await stage.api.merge("rayservices", home(name), name, edit_)
        for at in (await sent.within(stage.patience)).values():
            seen[str(turn)] = at
        # The next edit may be of the same RayService.
        await stage.world.await_([name], views.is_ready).within(stage.patience)
    return Effect.of(applied, seen)


def _heads(stage: Stage, names: Sequence[str]) -> list[str]:
    return [stage.world.view(name).head_address for name in names]


async def _all(stage: Stage, question: views.Question) -> None:
    await _needed(stage, stage.names, question)


async def _needed(stage: Stage, names: Sequence[str], question: views.Question) -> None:
    """Wait until something is so for all of these. Raises NotInTime."""
    awaited = stage.world.await_(names, question)
    await awaited.within(stage.patience)
    if awaited.missing:
        raise NotInTime(f"not within {stage.patience:.0f} s: {question.__name__} of {sorted(awaited.missing)[:5]} …")
