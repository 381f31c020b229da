"""How what a command has found is written: for people, or for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from pydantic.alias_generators import to_camel


class Output(StrEnum):
    """For whom it is written."""

    HUMAN = "human"
    JSON = "json"
    YAML = "yaml"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="For people, or for scripts.")]


def plain(value: Any) -> Any:
    """A value as JSON holds it: camelCase names, times in RFC 3339."""
    if is_dataclass(value):
        return {to_camel(field.name): plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def written(value: Any, output: Output, *, is_one_of_many: bool = False) -> str:
    """The value for scripts: where others follow as a line of JSON each, or as a document of YAML each."""
    if output is Output.YAML:
        text: str = yaml.safe_dump(plain(value), sort_keys=False, allow_unicode=True, explicit_start=is_one_of_many)
        return text
    return json.dumps(plain(value), indent=None if is_one_of_many else 2, ensure_ascii=False) + "\n"
