"""All rules: what each code means, and how much it weighs at which door."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from rayserve_operator.advice import capacity, pods, rollouts, scaling
from rayserve_operator.advice.findings import Door, Level
from rayserve_operator.advice.view import View
from rayserve_operator.model.problems import Problem

Find = Callable[[View], Iterator[Problem]]


class Stops(StrEnum):
    """Whether the operator follows a spec that breaks a rule."""

    ALWAYS = "refuses it"
    SOMETIMES = "refuses it where names, routes or ports are taken from it"
    AFRESH = "makes no cluster of it; what runs is kept up"
    NEVER = "follows it"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, under a code that never changes its meaning."""

    code: str
    meaning: str
    levels: Mapping[Door, Level]
    """How much a breach weighs; at a door that is not named here the rule is not asked."""
    find: Find | None = None
    """Finds breaches of advice; all other rules are asked where manifests are read."""
    stops: Stops = Stops.NEVER
    """Whether the operator keeps up the last valid spec instead."""

    @property
    def can_be_silenced(self) -> bool:
        """Whether the annotation of a manifest is heard."""
        return Level.ERROR not in self.levels.values()


_AT_APPLY = dict.fromkeys(Door, Level.ERROR)
_LINT_ALONE = {Door.LINT: Level.ERROR}


def _everywhere(code: str, meaning: str) -> Rule:
    return Rule(code, meaning, _AT_APPLY, stops=Stops.ALWAYS)


def _in_part(code: str, meaning: str) -> Rule:
    return Rule(code, meaning, _AT_APPLY, stops=Stops.SOMETIMES)


def _at_apply(code: str, meaning: str) -> Rule:
    return Rule(code, meaning, _AT_APPLY)


def _warning(code: str, find: Find) -> Rule:
    return Rule(code, find.__doc__ or "", {Door.LINT: Level.WARNING, Door.ADMISSION: Level.WARNING}, find)


def _advice(code: str, find: Find) -> Rule:
    return Rule(code, find.__doc__ or "", {Door.LINT: Level.ADVICE, Door.ADMISSION: Level.ADVICE}, find)


RULES = (
    _everywhere("RS001", "A field is missing, or its value is none that the API takes."),
    Rule("RS002", "A field that the API does not know; what it says has no effect.", _LINT_ALONE),
    _everywhere("RS003", "The name cannot be part of the names of pods and Services."),
    _everywhere("RS004", "A Service described in the manifest is none, or is in another namespace."),
    _everywhere("RS005", "The head Service has a name, so that the clusters of a rollout would share it."),
    _everywhere("RS006", "A pod template without a container."),
    _everywhere("RS007", "Two worker groups have one name."),
    _everywhere("RS008", "maxReplicas is below minReplicas."),
    _everywhere("RS009", "A field that KubeRay has and that cannot be followed here."),
    _everywhere("RS010", "An amount that is no Kubernetes quantity."),
    _at_apply("RS011", "The steps of an incremental upgrade are missing, or contradict each other."),
    Rule("RS012", "The annotation that silences rules names one that is not there, or that cannot be silenced.",
         {Door.LINT: Level.WARNING, Door.ADMISSION: Level.WARNING}),
    _everywhere("RS013", "Part of a rollout in which two clusters serve, beside a type that leaves room for one."),
    _everywhere("RS101", "serveConfigV2 is no YAML, or larger than Ray takes."),
    _in_part("RS102", "A value in serveConfigV2 of another type than Ray takes."),
    _in_part("RS103", "A key that Ray needs is missing in serveConfigV2."),
    _at_apply("RS104", "A key in serveConfigV2 that Ray does not know; most of these it drops without a word."),
    _at_apply("RS105", "A key that Ray knew once, and drops without a word today."),
    _at_apply("RS106", "A key that is spelled as Kubernetes would, or mistyped; Ray drops it."),
    _at_apply("RS107", "A key that Ray knows in another place, and drops in this one."),
    _in_part("RS108", "A value in serveConfigV2 outside of what Ray takes."),
    _at_apply("RS109", "An import path that cannot lead to an application."),
    _at_apply("RS110", "A route prefix that Serve fails with."),
    _in_part("RS111", "Two applications have one name or one route, or a deployment is described twice."),
    _at_apply("RS112", "A number of replicas beside autoscaling_config."),
    _at_apply("RS113", "Bounds of autoscaling that contradict each other."),
    _at_apply("RS114", "Options that exclude or need each other."),
    _at_apply("RS115", "A runtime_env that Ray refuses, in part after it has deployed other applications."),
    _at_apply("RS116", "A key that the Ray of rayVersion does not know yet, and drops."),
    _warning("RS201", capacity.no_gpu_group),
    _warning("RS202", capacity.fits_no_pod),
    _warning("RS203", capacity.do_not_fit),
    _warning("RS204", capacity.beyond_groups),
    _warning("RS205", capacity.beyond_fixed_groups),
    _advice("RS206", capacity.no_head_room),
    _advice("RS207", capacity.wasted_gpu),
    _advice("RS208", capacity.starved_proxy),
    _advice("RS209", capacity.busy_head),
    _warning("RS210", capacity.memory_in_other_units),
    _advice("RS211", capacity.crowded_memory),
    _advice("RS301", scaling.ongoing_near_target),
    _advice("RS302", scaling.cold_deployment),
    _advice("RS303", scaling.cold_group),
    _advice("RS304", scaling.single_replica),
    _advice("RS401", pods.no_requests),
    _warning("RS402", pods.unknown_cpus),
    _warning("RS403", pods.short_grace),
    Rule("RS404", "A pod template of which no pod can be made: the API server was asked, without making one.",
         {Door.ADMISSION: Level.ERROR}, stops=Stops.AFRESH),
    Rule("RS405", "A pod that could not be tried, or is not let in as the cluster is now.",
         {Door.ADMISSION: Level.WARNING}),
    _advice("RS501", rollouts.downtime),
)  # fmt: skip

BY_CODE: Mapping[str, Rule] = {rule.code: rule for rule in RULES}
