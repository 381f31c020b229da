from xml.etree import ElementTree as ET

from benchmarks.measures import Effect, Outcome, Results
from benchmarks.plots import ROOM, groups, svg


def run(seconds: float, floor: float | None = None) -> Results:
    def outcome(total: float) -> dict[str, Outcome]:
        return {"create": Outcome({"Ready": Effect.of({"a": 0.0}, {"a": total})})}

    return Results(1, "x", "", 2, 0.5, outcome(seconds), {} if floor is None else outcome(floor))


def test_every_run_has_a_bar_beside_its_floor() -> None:
    [group] = groups({"ours <1>": run(2.0, floor=1.0), "theirs": run(4.0)})
    assert group.title == "create → Ready"
    assert [(bar.label, bar.seconds) for bar in group.bars] == [
        ("ours <1>", 2.0),
        ("ours <1>: floor", 1.0),
        ("theirs", 4.0),
    ]


def test_the_longest_bar_has_all_the_room() -> None:
    drawn = ET.fromstring(svg(groups({"ours <1>": run(2.0), "theirs": run(4.0)})))  # noqa: S314
    bars = [int(found.attrib["width"]) for found in drawn.iter() if found.attrib.get("x") and "width" in found.attrib]
    assert bars == [ROOM // 2, ROOM]
