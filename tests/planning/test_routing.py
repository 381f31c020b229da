"""How the stable Services and the heads' labels follow the traffic."""

from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.model.serve import ServeStatus
from rayserve_operator.planning.actions import Annotate, Announcement, Apply, Kind
from rayserve_operator.planning.observed import ObservedCluster, ObservedService, ServiceView
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.planning.service.routing import clear
from rayserve_operator.render import labels

from ..builders import (
    NOW,
    actions_of,
    aim_at,
    announced,
    cluster,
    cluster_config,
    head,
    in_words,
    pod,
    preview_service,
    revision,
    service_spec,
    stable_services,
    world,
)

FIRST = aim_at(service_spec())
NEW_IMAGE = aim_at(service_spec(cluster_config(image="ray:2")))
SERVING = cluster(routed=600)
UPGRADING = (revision(FIRST), revision(NEW_IMAGE, 2))
SWITCHED = Announcement("SwitchedTraffic", "Traffic goes to demo-b now")


def plan(observed: ObservedService, goal: Any = FIRST) -> Any:
    return plan_service(observed, goal, NOW)


def headless(view: ServiceView | None) -> ServiceView:
    assert view is not None
    return replace(view, spec={**view.spec, "clusterIP": "None"})


@pytest.mark.parametrize("active", [None, SERVING], ids=["a first start", "a rollout"])
def test_a_switch_is_told_once(active: Any) -> None:
    new = cluster("demo-b", NEW_IMAGE)
    found = [new] if active is None else [active, new]
    result = plan(world(NEW_IMAGE, *found, active=active, revisions=UPGRADING), NEW_IMAGE)
    assert announced(result) == [SWITCHED]


def test_going_back_to_a_cluster_that_has_served_this_writes_no_more_on_it_than_is_untrue() -> None:
    old, new = cluster(routed=600, retired=20), cluster("demo-b", NEW_IMAGE, routed=60)
    reverted = (revision(FIRST, 3), revision(NEW_IMAGE, 2))
    assert in_words(plan(world(FIRST, old, new, active=new, revisions=reverted))) == [
        "note not retired-at on demo-a",
        "confirm demo-a",
        "point demo-serve-svc at demo-a",
        "point demo-head-svc at demo-a",
    ]


def test_a_service_is_only_changed_as_it_was_seen() -> None:
    new = cluster("demo-b", NEW_IMAGE)
    result = plan(world(NEW_IMAGE, SERVING, new, active=SERVING, revisions=UPGRADING), NEW_IMAGE)
    applied = [action for action in actions_of(result) if isinstance(action, Apply)]
    metadata = (action.manifest["metadata"] for action in applied)
    assert [(one["name"], one["resourceVersion"]) for one in metadata] == [
        ("demo-serve-svc", "5"),
        ("demo-head-svc", "5"),
    ]
    assert not any(action.is_first for action in applied)


def test_where_no_service_says_so_it_is_told_which_cluster_was_found_to_serve() -> None:
    result = plan(world(FIRST, SERVING, active=SERVING, stamp=None))
    assert in_words(result) == ["point demo-serve-svc at demo-a"]
    [found] = announced(result)
    assert (found.reason, found.type) == ("FoundActiveCluster", "Warning")
    assert found.message == ("The serve Service did not say which cluster takes traffic; demo-a was found to be it")


def test_traffic_does_not_move_to_a_service_of_somebody_else() -> None:
    assert in_words(plan(world(FIRST, cluster(), active=cluster(), owner="somebody"))) == []


def test_a_head_service_of_somebody_else_is_left_alone() -> None:
    observed = world(FIRST, SERVING, active=SERVING, selects="elsewhere")
    assert observed.head_service is not None
    meta = replace(observed.head_service.meta, owner="somebody")
    theirs = replace(observed.head_service, meta=meta, spec={})
    assert in_words(plan(replace(observed, head_service=theirs))) == ["point demo-serve-svc at demo-a"]


def test_a_service_that_cannot_become_what_it_should_be_is_made_anew() -> None:
    observed = world(FIRST, SERVING, active=SERVING)
    result = plan(replace(observed, serve_service=headless(observed.serve_service)))
    assert in_words(result) == ["delete demo-serve-svc"]
    words = "demo-serve-svc cannot be given an address in place"
    assert announced(result) == [Announcement("RecreatingService", words)]


def test_a_service_that_has_lost_its_selector_gets_it_back() -> None:
    observed = world(FIRST, SERVING, active=SERVING)
    assert observed.serve_service is not None
    bare = {key: value for key, value in observed.serve_service.spec.items() if key != "selector"}
    lost = replace(observed, serve_service=replace(observed.serve_service, spec=bare))
    assert in_words(plan(lost)) == ["point demo-serve-svc at demo-a"]


def test_fields_that_kuberay_left_on_a_service_are_taken_from_it() -> None:
    observed = world(FIRST, SERVING, active=SERVING)
    assert observed.serve_service is not None
    adopted = replace(observed, serve_service=replace(observed.serve_service, foreign_entry=1))
    assert in_words(plan(adopted)) == ["patch demo-serve-svc: /metadata/managedFields/1"]


def test_a_service_that_drifted_is_written_once_where_the_traffic_moves_anyway() -> None:
    new = cluster("demo-b", NEW_IMAGE)
    observed = world(NEW_IMAGE, SERVING, new, active=SERVING, revisions=UPGRADING, selects="elsewhere")
    pointed = [words for words in in_words(plan(observed, NEW_IMAGE)) if words.startswith("point demo-serve-svc")]
    assert pointed == ["point demo-serve-svc at demo-b"]


# The preview. -------------------------------------------------------------------------------------------------------

PREVIEWED = aim_at(
    service_spec(cluster_config(image="ray:2"), upgradeStrategy={"autoPromotion": False, "previewService": True})
)
NEXT = cluster("demo-b", PREVIEWED)


def previewing(live: ServiceView | None, *found: ObservedCluster, aim: Any = PREVIEWED) -> Any:
    """While the first of the clusters takes all the traffic."""
    revisions = (revision(FIRST), revision(PREVIEWED, 2))
    observed = world(aim, *found, active=found[0] if found[0].name == "demo-a" else None, revisions=revisions)
    return plan(replace(observed, preview_service=live), aim)


def test_a_preview_leads_to_the_new_cluster() -> None:
    assert in_words(previewing(None, SERVING, NEXT)) == ["point demo-preview-svc at demo-b"]
    assert in_words(previewing(preview_service(PREVIEWED, NEXT), SERVING, NEXT)) == []
    elsewhere = preview_service(PREVIEWED, cluster("demo-c"))
    assert in_words(previewing(elsewhere, SERVING, NEXT)) == ["point demo-preview-svc at demo-b"]


def test_there_is_none_where_no_cluster_is_to_take_over() -> None:
    took_over = cluster(goal=PREVIEWED, routed=600)
    live = preview_service(PREVIEWED, NEXT)
    assert in_words(previewing(None, took_over)) == []
    gone = previewing(live, took_over)
    assert in_words(gone) == ["delete demo-preview-svc"]
    told = Announcement("DeletedService", "Deleted Service demo-preview-svc: no cluster is to take over")
    assert announced(gone) == [told]
    assert {action.kind for action in actions_of(gone)} == {Kind.SERVICE}
    going = replace(live, meta=replace(live.meta, deleted_at=NOW))
    assert in_words(previewing(going, took_over)) == []
    assert not any("preview" in words for words in in_words(previewing(None, NEXT)))


def test_a_service_of_somebody_else_is_no_preview() -> None:
    live = preview_service(PREVIEWED, cluster("demo-c"))
    theirs = replace(live, meta=replace(live.meta, owner="somebody"))
    assert in_words(previewing(theirs, SERVING, NEXT)) == []
    assert in_words(previewing(theirs, cluster(goal=PREVIEWED, routed=600))) == []


def test_a_preview_goes_with_a_suspension() -> None:
    suspended = aim_at(service_spec(suspend=True))
    begun = plan(world(suspended, SERVING, active=SERVING), suspended).status
    observed = world(suspended, SERVING, active=SERVING, status=begun)
    going = plan(replace(observed, preview_service=preview_service(PREVIEWED, NEXT)), suspended)
    assert "delete demo-preview-svc" in in_words(going)


# Heads. -------------------------------------------------------------------------------------------------------------


def test_the_label_of_each_head_follows_its_proxy() -> None:
    headless_active = cluster(routed=600, pods=(pod(),))
    new = cluster("demo-b", NEW_IMAGE, pods=(head("demo-b"),), proxy=True, serve=ServeStatus.parse({}))
    result = plan(world(NEW_IMAGE, headless_active, new, active=headless_active, revisions=UPGRADING), NEW_IMAGE)
    noted = {a.name: a.labels for a in actions_of(result) if isinstance(a, Annotate) and a.labels}
    assert noted == {"demo-b-head": {labels.SERVE: "true"}}
    silent = plan(world(FIRST, cluster(routed=600, proxy=False), active=SERVING))
    assert [a.labels for a in actions_of(silent)] == [{labels.SERVE: "false"}]


RENAMED = aim_at(service_spec(serveService={"metadata": {"name": "mine"}}))


def renamed(**changes: Any) -> tuple[ObservedService, ServiceView]:
    """A service whose serve Service has got another name, and the one of the earlier name."""
    serving = cluster(goal=RENAMED, routed=600)
    [stray, _] = stable_services(FIRST, serving)
    return replace(world(RENAMED, serving, active=serving, **changes), strays=(stray,)), stray


def test_the_service_of_an_earlier_name_goes_once_the_new_one_leads_on() -> None:
    observed, _ = renamed()
    gone = plan(observed, RENAMED)
    assert in_words(gone) == ["delete demo-serve-svc"]
    assert [action.kind for action in actions_of(gone)] == [Kind.SERVICE]
    assert announced(gone) == [Announcement("DeletedService", "Deleted Service demo-serve-svc: it is mine now")]
    unseen = plan(replace(observed, serve_service=None), RENAMED)
    assert "delete demo-serve-svc" not in in_words(unseen)


def test_it_stays_while_the_new_one_leads_elsewhere_and_is_not_deleted_twice() -> None:
    elsewhere, stray = renamed(stamp="demo-z")
    assert list(clear(Course(elsewhere, RENAMED.goal, NOW))) == []
    going = replace(stray, meta=replace(stray.meta, deleted_at=NOW))
    assert in_words(plan(replace(renamed()[0], strays=(going,)), RENAMED)) == []
