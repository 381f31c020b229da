import pytest

from .promql import parse


@pytest.mark.parametrize(
    ("text", "series", "grouped"),
    [
        ("up", {"up": set()}, set()),
        ('sum by (a, b) (rate(x_total{c="}", d!~"5..|\\"("}[5m])) / 2', {"x_total": {"c", "d"}}, {"a", "b"}),
        ("max(x) == 1 unless on (n) y", {"x": set(), "y": set()}, {"n"}),
        (
            'histogram_quantile(0.9, sum by (le) (rate(h_bucket{a=~"$b"}[$__rate_interval])))',
            {"h_bucket": {"a"}},
            {"le"},
        ),
        ("count(x) or vector(0)", {"x": set()}, set()),
    ],
)
def test_a_query_names(text: str, series: dict[str, set[str]], grouped: set[str]) -> None:
    query = parse(text)
    assert {name: set(labels) for name, labels in query.series} == series
    assert query.grouped_by == grouped
