"""What the site's hooks promise, and a build of pages that are well does not show."""

import importlib.util
import logging
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

HOOKS = Path(__file__).parents[2] / "docs" / ".site" / "hooks.py"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", HOOKS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(uri: str) -> Any:
    return SimpleNamespace(file=SimpleNamespace(src_uri=uri))


@pytest.mark.parametrize(
    ("html", "loaded"),
    [
        ('<script src="https://cdn.invalid/x.js"></script>', "https://cdn.invalid/x.js"),
        ('<link rel="stylesheet" href="//fonts.invalid/css">', "//fonts.invalid/css"),
        ("<img alt=x src=http://elsewhere.invalid/a.png>", "http://elsewhere.invalid/a.png"),
        ('<script src="assets/x.js"></script><a href="https://docs.ray.io/">Ray</a><img src="images/a.svg">', None),
    ],
)
def test_what_is_loaded_from_elsewhere_is_told(
    hooks: ModuleType, html: str, loaded: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert hooks.on_post_page(html, page("a.md")) == html
    assert [record.getMessage() for record in caplog.records] == ([f"a.md loads {loaded}"] if loaded else [])


@pytest.mark.parametrize(
    ("uri", "link", "leads_to"),
    [
        ("updates.md", "clusters.md#suspending", "clusters.md#suspending"),
        ("updates.md", "../README.md#install", "source/README.md#install"),
        ("howto/gpus.md", "../../manifests/samples/minimal.yaml", "../source/manifests/samples/minimal.yaml"),
        ("source/charts/rayserve-operator/README.md", "../../docs/scale.md", "../../../scale.md"),
        ("source/README.md", "docs/images/edit.svg", "../images/edit.svg"),
        ("updates.md", "https://docs.ray.io/", "https://docs.ray.io/"),
        ("updates.md", "#telling", "#telling"),
    ],
)
def test_a_link_between_files_leads_from_page_to_page(hooks: ModuleType, uri: str, link: str, leads_to: str) -> None:
    assert hooks.on_page_markdown(f"a [link]({link}).", page(uri)) == f"a [link]({leads_to})."


def test_a_link_to_a_folder_leaves_its_words(hooks: ModuleType) -> None:
    assert hooks.on_page_markdown("the [samples](../manifests/samples)", page("updates.md")) == "the samples"
