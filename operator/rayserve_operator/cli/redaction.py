"""What is taken out of objects and logs before they are given to strangers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from rayserve_operator.model.problems import InvalidSpec
from rayserve_operator.model.serve_parsing import read_serve_config

REDACTED = "<redacted>"

_SERVE_CONFIG = "serveConfigV2"
_NOISE = frozenset({"managedFields"})
_COPIES = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
"""Annotations that repeat a whole manifest."""
_VALUES = frozenset({"env", "env_vars"})
"""Keys of variables: as Kubernetes lists them, or by name as in Ray's runtime_env."""
_WORD = (
    r"(?:pass(?:word|wd|phrase)|token(?!iz)|secret|credential|authorization|api[-_]?key|access[-_]?key|private[-_]?key)"
)
_SECRET_KEY = re.compile(_WORD, re.IGNORECASE)
_REFERENCE = re.compile(r"secret_?name|secret_?key_?ref|image_?pull_?secret", re.IGNORECASE)
"""Keys with such a word in them that only name where a secret is."""
_SECRET_FLAG = re.compile(rf"--?[\w-]*{_WORD}[\w-]*", re.IGNORECASE)
_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(://)[^/@\s\"']+@"), rf"\1{REDACTED}@"),
    (re.compile(r"([?&][\w.-]+=)[^&\s\"']+"), rf"\1{REDACTED}"),
    (re.compile(r"(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(rf"({_SECRET_FLAG.pattern}\s+)(?!-)[^\s\"',;]+", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(rf"({_WORD}[\w.-]*[\"']?\s*[=:]\s*[\"']?)[^\s\"',;]+", re.IGNORECASE), rf"\1{REDACTED}"),
)
"""Secrets in a text: of a URL the user and each parameter, of a header the credentials, of a flag or name the value."""


def redacted(value: Any) -> Any:
    """A manifest, or anything that JSON can say, without values of variables and without what is secret by its name."""
    if isinstance(value, Mapping):
        return {str(key): _under(str(key), one) for key, one in value.items() if key not in _NOISE}
    if isinstance(value, list | tuple):
        return [_after(before, one) for before, one in zip((None, *value), value, strict=False)]
    return _text(value) if isinstance(value, str) else value


def redacted_text(text: str) -> str:
    """A log, without what looks like a secret in it."""
    for pattern, kept in _IN_TEXT:
        text = pattern.sub(kept, text)
    return text


def _under(key: str, value: Any) -> Any:
    if key in _COPIES:
        return REDACTED
    if key == _SERVE_CONFIG and isinstance(value, str):
        return _serve_config(value)
    if key in _VALUES:
        return _variables(value)
    return _secret(key, value) if _is_secret(key) else redacted(value)


def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None and _REFERENCE.search(key) is None


def _secret(key: str, value: Any) -> Any:
    """What stands under the name of a secret; a mapping may say where it is, and a token is no number."""
    if isinstance(value, Mapping):
        return {str(name): REDACTED if name == "value" else _under(str(name), one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_secret(key, one) for one in value]
    is_count = isinstance(value, int | float) and "token" in key.lower()
    return value if value is None or isinstance(value, bool) or is_count else REDACTED


def _after(before: Any, value: Any) -> Any:
    """An item of a list, which may be the value of the flag before it."""
    is_value = isinstance(before, str) and _SECRET_FLAG.fullmatch(before) is not None
    return REDACTED if is_value and isinstance(value, str) else redacted(value)


def _variables(value: Any) -> Any:
    """Variables without their values; where a value comes from is told."""
    if isinstance(value, Mapping):
        return dict.fromkeys(map(str, value), REDACTED)
    if not isinstance(value, list):
        return REDACTED
    return [
        {key: REDACTED if key == "value" else redacted(one) for key, one in entry.items()}
        if isinstance(entry, Mapping)
        else REDACTED
        for entry in value
    ]


def _serve_config(text: str) -> str:
    """The config anew, because a value can be anywhere in the text of it."""
    try:
        parsed = read_serve_config(text)
    except InvalidSpec:
        return f"{REDACTED}: it is no YAML"
    anew: str = yaml.safe_dump(redacted(parsed), sort_keys=False, allow_unicode=True)
    return anew


def _text(text: str) -> str:
    """A text, which may be JSON: notes of the operator hold specs."""
    if text.startswith(("{", "[")):
        try:
            return json.dumps(redacted(json.loads(text)))
        except ValueError:
            pass
    return redacted_text(text)
