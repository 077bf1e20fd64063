"""The overview of all groups in the form of the paper's Table 1, and the short one for a README: which groups, told apart how."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence

from benchmarks import noise, regime, render, statistics, summary
from benchmarks.group import SECTIONS, Group, Section
from benchmarks.paper import Row
from benchmarks.render import HEADINGS, INTRODUCTIONS, NONE, SMALL, Block, frame, interval, mean_sd, number
from benchmarks.summary import DENSE, LABELS

PAPERS = "paper: "
"""How the data cell of a line starts whose figures are the paper's."""

_WORDS = ("confirmed", "refuted", "not resolved", "too few seeds")
_NOISE = "Label noise: a share of the training labels wrong, drawn at random"


def blocks(groups: Sequence[Group]) -> list[Block]:
    """Return the tables of the overview: two for each kind of result that there is, one for what is compared with nothing."""
    found = []
    for section in SECTIONS:
        chosen = [group for group in groups if group.section == section and not noise.share(group)]
        if chosen and chosen[0].quotable:
            lines = [
                line for k, group in enumerate(chosen) for line in _as_table_1(group, groups, _is_first(chosen, k))
            ]
            found.append(Block(HEADINGS[section], _introduction(section, chosen), frame(lines)))
            lines = [_against_control(group, groups) for group in chosen]
            found.append(Block(f"Against the control: {section} scale", _CONTROL, frame(lines)))
        elif chosen:
            lines = [_plain(group, groups) for group in chosen]
            found.append(Block(HEADINGS[section], INTRODUCTIONS[section], frame(lines)))
            found += regime.blocks(chosen)
        if section == "custom" and (noisy := [one for one in groups if one.section == section and noise.share(one)]):
            text = f"{INTRODUCTIONS[section]} Beside the same without noise: under the row's heading *label noise*."
            found.append(Block(_NOISE, text, frame([_plain(group, groups) for group in noisy])))
    return found


def name(group: Group) -> str:
    """Return the network, with what was overridden: all that tells one custom recipe from another."""
    return ", ".join((render.network(group), *group.key.custom))


def where(group: Group, groups: Sequence[Group]) -> str:
    """Return the data and what else, in a word or two, tells the group from the others of its network.

    What pictures and lengths differ from those of its own section is always said, the rest only where nothing else tells.
    """
    like = [one for one in groups if one.key != group.key and name(one) == name(group)]
    beside = [one for one in like if one.section == group.section]
    shown: list[_Reader] = [_data]
    shown += [read for read in _TELLING if read(group) and any(read(one) != read(group) for one in beside)]
    words = [read(group) for read in shown]
    rest = [one for one in like if all(read(one) == read(group) for read in shown)]
    for read in _LAST:
        if any(read(one) != read(group) for one in rest):
            words.append(read(group))
            rest = [one for one in rest if read(one) == read(group)]
    return ", ".join(words)


def chosen(groups: Sequence[Group]) -> list[Group]:
    """Return the group that speaks for each row at each scale, by rules that know no result.

    Those with enough seeds for a verdict come before others, then that trained for the most epochs and then on the most
    examples, as nearest to the paper, then that with the most arms, then that of the newest trial.
    """

    def rank(group: Group) -> tuple[bool, float, int, int, datetime.datetime]:
        primary = summary.primary(group)
        enough = primary is not None and primary.n >= statistics.MINIMUM_SEEDS
        arms = {arm for record in group.records for arm in record.arms}
        times = [datetime.datetime.fromisoformat(record.finished) for record in group.records]
        return (
            enough,
            _epochs(group),
            group.sample.data.counts.get("train", 0),
            len(arms),
            max(one if one.tzinfo else one.replace(tzinfo=datetime.UTC) for one in times),
        )

    best: dict[tuple[str, str], Group] = {}
    for group in groups:
        at = (group.key.row, group.key.scale)
        if group.quotable and (at not in best or rank(group) > rank(best[at])):
            best[at] = group
    return list(best.values())


def headline(groups: Sequence[Group]) -> str:
    """Return one sentence and one table of the results on real data, for a README at the root of the repository."""
    shown = chosen(groups)
    link = "[results/README.md](results/README.md)"
    if not shown:
        return f"No result on real data yet: see {link}."
    found = [summary.verdict(group) for group in shown]
    counts = ", ".join(f"{found.count(word)} {word}" for word in dict.fromkeys([*_WORDS, *found]) if found.count(word))
    networks = "network" if len(shown) == 1 else "networks"
    text = f"Does DSD beat ordinary training of equal budget? Of {len(shown)} {networks} measured on real data: {counts} ({link})."
    text += _adjusted(shown, groups)
    text += (
        " *Gain over control* is against that training, in the metric's points, positive where DSD is better: "
        "mean of n seeds [95 % interval]."
    )
    if any(group.section == "small" for group in shown):
        text += f" {SMALL}"
    if rows := _rows(shown):
        text += f" The other gains are over the dense baseline: the paper's are of its own data and full recipe.{_unequal(rows)}"
    others = sum(group.quotable for group in groups) - len(shown)
    if others:
        text += (
            f" Not in this table: {others} other {'recipe' if others == 1 else 'recipes'} of the same rows (here stands the one "
            "with enough seeds for a verdict, then the longest, then on most examples, then with most arms, then the newest)."
        )
    scales = {group.key.scale for group in shown}
    return f"{text}\n\n{render.markdown_table([_headline_line(group, groups, len(scales) > 1) for group in shown])}"


def _adjusted(shown: Sequence[Group], groups: Sequence[Group]) -> str:
    """Return how many verdicts outlast the adjustment for how many tests there are."""
    adjusted = summary.holm(groups)
    decided = [group for group in shown if summary.verdict(group) in ("confirmed", "refuted")]
    if not decided:
        return ""
    left = sum(adjusted[group.key] < 1 - statistics.CONFIDENCE for group in decided)
    return f" After Holm's adjustment for the number of tests, p is below 0.05 in {left or 'none'} of these {len(decided)}."


def _headline_line(group: Group, groups: Sequence[Group], with_scale: bool) -> dict[str, str]:
    primary, row = summary.primary(group), group.paper
    line = {"network": render.network(group), "data": where(group, groups)}
    line |= {"scale": group.key.scale} if with_scale else {}
    line["metric"] = render.metric_name(group.metric, group)
    line["paper: gain"] = f"{row.overview.absolute:+.1f} ({_percent(row.overview.relative)})" if row else NONE
    over = summary.compare(group, "dsd", DENSE)
    baseline = summary.stages(group).get(LABELS[DENSE], {}).get(group.metric)
    line["our baseline"] = number(baseline.mean) if baseline else NONE
    line["our gain"] = f"{number(over.mean, True)} ({_percent(summary.relative(group))})" if over else NONE
    line["gain over control"] = interval(primary, sd=False)
    return line | {"n": str(primary.n if primary else len(group.records)), "verdict": render.verdict(group)}


_CONTROL = (
    "What the paper has not: the control of equal budget, which the verdict is against. The same groups as above."
)


def _introduction(section: Section, groups: Sequence[Group]) -> str:
    """Return what must be known to read the paper's lines beside ours."""
    rows = _rows(groups)
    text = INTRODUCTIONS[section]
    text += " Here abs. is the gain of DSD over the baseline, rel. that gain in percent of the baseline, as in the paper's Table 1."
    text += _unequal(rows)
    if section == "paper":
        notes = [f"{row.network}: {row.note}" for row in rows if not row.same_data]
        text = " ".join([text, *dict.fromkeys(notes)])
    return text


def _rows(groups: Sequence[Group]) -> list[Row]:
    return [row for group in groups if (row := group.paper)]


def _unequal(rows: Sequence[Row]) -> str:
    """Return of which of its figures the paper compares unequal budgets, empty where of none."""
    names = dict.fromkeys(row.network for row in rows if row.iterated)
    return (
        f" {' and '.join(names)}: the paper compares unequal budgets, DSD having trained for longer." if names else ""
    )


def _as_table_1(group: Group, groups: Sequence[Group], first: bool) -> list[dict[str, str]]:
    """Return the paper's line, above the `first` group of its row, and ours under it."""
    cells, over = summary.stages(group), summary.compare(group, "dsd", DENSE)
    ours = {
        "network": name(group),
        "data": where(group, groups),
        "metric": render.metric_name(group.metric, group),
    }
    for heading, arm in (("baseline", DENSE), ("DSD", "dsd")):
        cell = cells.get(LABELS[arm], {}).get(group.metric)
        ours[heading] = number(cell.mean) if cell else NONE
    ours |= {"abs.": mean_sd(over, signed=True), "rel.": _percent(summary.relative(group))}
    ours["n"] = str(over.n if over else max((one[group.metric].n for one in cells.values()), default=0))
    return [*([_papers(group.paper, ours["metric"])] if group.paper and first else []), ours]


def _papers(row: Row, metric: str) -> dict[str, str]:
    mark = "" if row.overview.verified else " *unverified*"
    of = row.overview
    line = {"network": row.network, "data": f"{PAPERS}{row.data}", "metric": metric}
    line |= {"baseline": f"{of.baseline:.1f}{mark}", "DSD": f"{of.dsd:.1f}{mark}"}
    return line | {"abs.": f"{of.absolute:+.1f}{mark}", "rel.": f"{_percent(of.relative)}{mark}", "n": NONE}


def _against_control(group: Group, groups: Sequence[Group]) -> dict[str, str]:
    primary = summary.primary(group)
    line = {"network": name(group), "data": where(group, groups), "control": _cell(group, "control")}
    line["gain over control"] = interval(primary)
    return line | {"n": str(primary.n if primary else len(group.records)), "verdict": render.verdict(group)}


def _plain(group: Group, groups: Sequence[Group]) -> dict[str, str]:
    """Return the line of a group that is no result: without the paper's figures."""
    primary = summary.primary(group)
    line = {"network": name(group), "data": where(group, groups)}
    line["metric"] = render.metric_name(group.metric, group)
    line |= {"baseline": _cell(group, DENSE), "control": _cell(group, "control"), "DSD": _cell(group, "dsd")}
    line["gain over control"] = interval(primary)
    return line | {"n": str(primary.n if primary else len(group.records)), "verdict": render.verdict(group)}


def _cell(group: Group, arm: str) -> str:
    return mean_sd(summary.stages(group).get(LABELS[arm], {}).get(group.metric))


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{number(value, True, digits=1)} %"


def _is_first(groups: Sequence[Group], index: int) -> bool:
    return all(one.key.row != groups[index].key.row for one in groups[:index])


def _data(group: Group) -> str:
    """Return what `render.data_name` does, in fewer words."""
    part = "" if group.key.subset == 1 else f"{100 * group.key.subset:g} % of "
    return f"{'SYNTHETIC ' if group.synthetic else ''}{part}{group.key.data}"


def _pixels(group: Group) -> str:
    data = group.sample.recipe.get("data")
    crop = data.get("crop") if isinstance(data, dict) else None
    return f"{crop} px" if crop else ""


def _features(group: Group) -> str:
    data = group.sample.recipe.get("data")
    return str(data.get("network", "")) if isinstance(data, dict) else ""


def _epochs(group: Group) -> float:
    """Return how long the group trained, D included."""
    runs = [*([group.sample.dense] if group.sample.dense else []), *group.sample.arms.values()][:2]
    return round(sum(phase.epochs for run in runs for phase in run.phases), 1)  # a subset's steps do not come out even


def _length(group: Group) -> str:
    return f"{_epochs(group):g} {'epoch' if _epochs(group) == 1 else 'epochs'}"


_Reader = Callable[[Group], str]
_TELLING: tuple[_Reader, ...] = (_pixels, _features, _length)
_LAST: tuple[_Reader, ...] = (
    lambda group: f"{group.key.scale} scale",
    lambda group: f"recipe {group.key.recipe_hash[:6]}",
    lambda group: f"data {group.key.fingerprint[:6]}",
    lambda group: group.key.numerics,
    lambda group: f"{group.key.processes} processes",
    lambda group: f"start {group.key.start}",
    lambda group: "bfloat16" if group.key.autocast else "float32",
)

assert set(_WORDS) == set(statistics.Verdict.__args__)  # type: ignore[attr-defined]
