"""Differences in the provenance of two groups, by field: recipe, data, versions, hardware, run. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.analysis.groups import Group
from benchmarks.records.schema import Record

Area = Literal["recipe", "data", "versions", "hardware", "run"]
AREAS: tuple[Area, ...] = ("recipe", "data", "versions", "hardware", "run")

_PROSE = ("notes", "reduction")  # no effect on training, so the recipe's hash omits them too


@dataclass(frozen=True)
class Fact:
    """A field that differs between A and B, with each side's distinct values as text."""

    area: Area
    name: str
    a: str
    b: str


def facts(a: Group, b: Group) -> tuple[Fact, ...]:
    """Return the fields that differ; "-" marks a field that a record lacks."""
    sides = [[dict(_told(record)) for record in group.records] for group in (a, b)]
    names = dict.fromkeys(name for side in sides for facts_of_record in side for name in facts_of_record)
    differing = []
    for area, name in sorted(names, key=lambda name: AREAS.index(name[0])):
        ours, theirs = (
            list(dict.fromkeys(facts_of_record.get((area, name), "-") for facts_of_record in side)) for side in sides
        )
        if set(ours) != set(theirs):
            differing.append(Fact(area, name, " | ".join(ours), " | ".join(theirs)))
    return tuple(differing)


def _told(record: Record) -> Iterator[tuple[tuple[Area, str], str]]:
    """Yield a record's provenance except time and seed: (area, name) and the value as text."""
    recipe = {key: value for key, value in record.recipe.items() if key not in _PROSE}
    plain = ("suite", "numerics", "scale", "custom", "command", "commit", "dirty", "precision", "deterministic")
    dense = record.dense
    run = {name: getattr(record, name) for name in (*plain, "nondeterministic")} | {
        "arms": list(record.arms),
        "earlier": record.earlier,
        "dense start": f"{dense.source} {(dense.sha256 or '')[:12]}".rstrip() if dense else None,
    }
    areas: tuple[tuple[Area, dict[str, Any]], ...] = (
        ("recipe", recipe | {"hash": record.recipe_hash}),
        ("data", record.data.model_dump()),
        ("versions", dict(record.versions)),
        ("hardware", record.hardware.model_dump()),
        ("run", run),
    )
    for area, content in areas:
        for name, value in _flat(content):
            yield (area, name), value


def _flat(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every field as a name and a value as text. Phases are named by kind, numbered from the second of a kind."""
    for key, value in content.items():
        name = prefix + key
        if isinstance(value, dict) and isinstance(value.get("phases"), list):
            counts: dict[str, int] = {}
            for phase in value["phases"]:
                kind = str(phase.get("kind"))
                counts[kind] = counts.get(kind, 0) + 1
                number = f" {counts[kind]}" if counts[kind] > 1 else ""
                yield from _flat({k: v for k, v in phase.items() if k not in ("type", "kind")}, f"{kind}{number}.")
        elif isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value)) or "none"
        else:
            yield name, str(value) if value not in ("", None) else "none"
