"""The curves of one group: training loss, test metric and gain over the control by epoch, by arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from benchmarks.analysis import metrics, summary, verdicts
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.arms import registry
from benchmarks.arms.registry import DENSE
from benchmarks.records.schema import Point, Record
from benchmarks.reporting import display_names, formatting, verdict_words
from benchmarks.reporting.figures import canvas, frame
from benchmarks.reporting.figures.canvas import COLOURS
from benchmarks.reporting.figures.frame import Line

_SPARE = ("#E69F00", "#56B4E9", "#F0E442")
_FINDINGS: dict[verdicts.Direction, str] = {
    "DSD better": "DSD gains over the control",
    "DSD worse": "DSD loses against the control",
    "no difference shown": "no difference shown between DSD and the control",
}


def curves(group: Group, path: Path, row: Row | None = None) -> None:
    """Draw training loss, test metric and gain over the control of one group's main arms over epochs.

    `row` is the planned row of the group's trials; the title says if there is no verdict. Lines are means over seeds. Three or
    more seeds have a band over their range; two seeds are dots. The y ranges of test scores follow the arms after D, and that of
    gains follows DSD (see `frame`). Validation perplexity, if measured, has its own panel.
    """
    names = summary.main_arms(group)
    colours = COLOURS | dict(zip((n for n in names if n not in COLOURS), _SPARE, strict=False))
    better = "lower is better" if group.sample.lower_is_better else "higher is better"
    name = display_names.metric_name(group.metric, group)
    panels: list[tuple[str, Callable[[Record, str], Line]]] = [
        ("training loss", lambda record, arm: _line(record, arm, None)),
        (f"test {name}\n({better})", lambda record, arm: _line(record, arm, group.metric)),
        ("gain over the control,\npaired by seed (points)", _gain),
        (
            f"{metrics.label(metrics.PERPLEXITY)}\n(lower is better)",
            lambda record, arm: _line(record, arm, metrics.PERPLEXITY),
        ),
    ]
    panels = [one for one in panels if any(one[1](record, arm) for record in group.records for arm in (DENSE, *names))]
    cut = False
    with canvas.blank(7.5, 0.7 + 2.2 * len(panels)) as figure:
        every = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for ax, (heading, read) in zip(every, panels, strict=True):
            shown: dict[str, list[Line]] = {}
            for arm in (DENSE, *names):
                lines = [line for record in group.records if (line := read(record, arm))]
                if lines:
                    fewer = f" (n = {len(lines)})" if len(lines) < len(group.records) else ""
                    framed = read is not _gain or arm == "dsd"
                    shown[arm] = _bundle(ax, lines, _label(arm) + fewer, colours.get(arm, "#999999"), arm, framed)
            ax.set_ylabel(heading)
            if read is _gain:
                ax.axhline(0, color=COLOURS["control"], linestyle="--", linewidth=1.6)
            if ax is not every[0]:
                arms = {arm: of for arm, of in shown.items() if arm != DENSE}
                core = frame.over_control(arms) if read is _gain else frame.after(arms, _start(group.sample))
                cut |= frame.set_limits(ax, core, {_label(arm): of for arm, of in shown.items()})
            ax.set_xlim(left=0)
            _boundaries(ax, group.sample)
        every[-1].set_xlabel("epoch")
        every[0].legend(fontsize=8, loc="upper right", ncols=2)
        spread = {1: "", 2: " Dots: the two seeds."}.get(len(group.records), " Bands: range over seeds.")
        n = len(group.records)
        if any(0 < sum(arm in record.arms for record in group.records) < n for arm in names):
            spread += " Means over different seeds are not comparable."
        if cut:
            spread += " Scores and gains are framed on what follows D, without outliers."
        canvas.titled(figure, _finding(group, row), f"{canvas.small_print(group)}.{spread}")
        canvas.save(figure, path, group.records, [verdict_words.verdict(row)] if row else [])


def _label(arm: str) -> str:
    return "D, shared" if arm == DENSE else registry.label(arm)


def _finding(group: Group, row: Row | None) -> str:
    """Return the gain over the control after the last epoch as a title. Only a verdict is stated as a finding of results."""
    start = canvas.title(group)
    gain = summary.quoted(group)
    if gain is None:
        return f"{start}: no comparison of DSD with the control"
    decided = row is not None and row.answer.direction is not None
    if gain.n == 1 or (group.quotable and not decided):
        seeds = "one seed" if gain.n == 1 else f"{gain.n} seeds"
        without = ", no verdict" if group.quotable else ""
        return f"{start}: DSD over the control after the last epoch, {seeds}{without}: {formatting.gain(group)} points"
    if row and row.answer.direction:
        direction = row.answer.direction
    elif gain.interval and gain.interval[0] <= 0 <= gain.interval[1]:
        direction = "no difference shown"
    else:
        direction = "DSD worse" if gain.mean < 0 else "DSD better"
    return f"{start}: {_FINDINGS[direction]} after the last epoch: {formatting.gain(group)} points"


def _start(record: Record) -> float:
    """Return the epochs of D; 0 for a given dense start."""
    return sum(phase.epochs for phase in record.dense.phases) if record.dense else 0.0


def _line(record: Record, arm: str, metric: str | None) -> Line:
    """Return the test metric over epochs, or the training loss if `metric` is None.

    Phases end with an evaluation that may follow the previous point by one step. Of two such points, the last test value and the
    first training loss are kept, because the loss of a single step is noise.
    """
    source, dense = record.dense if arm == DENSE else record.arms.get(arm), record.dense
    if source is None:
        return {}
    start = 0.0 if arm == DENSE else _start(record)
    points = [(start, dense.test[metric])] if dense and arm != DENSE and metric in dense.test else []
    points += [(start + p.epoch, value) for p in source.curve if (value := _value(p, metric)) is not None]
    near = 0.01 * (points[-1][0] - start) if points else 0.0
    kept: list[tuple[float, float]] = []
    for epoch, value in points:
        if kept and epoch - kept[-1][0] < near:
            kept[-1] = (epoch, kept[-1][1] if metric is None else value)
        else:
            kept.append((epoch, value))
    return {round(epoch, 6): value for epoch, value in kept}


def _value(point: Point, metric: str | None) -> float | None:
    return point.train.get("loss") if metric is None else (point.test or {}).get(metric)


def _gain(record: Record, arm: str) -> Line:
    """Return the gain in test metric over the control, at the epochs that both have."""
    ours, theirs = (_line(record, name, record.metric) for name in (arm, "control"))
    sign = -1 if record.lower_is_better else 1
    paired = arm not in (DENSE, "control")
    return {epoch: sign * (ours[epoch] - theirs[epoch]) for epoch in ours if epoch in theirs} if paired else {}


def _bundle(ax: Axes, lines: Sequence[Line], label: str, colour: str, arm: str, framed: bool) -> list[Line]:
    """Draw the mean of the lines and, if `framed`, their spread. Return what is drawn: the lines, or only the mean."""
    common = [epoch for epoch in lines[0] if all(epoch in line for line in lines)]
    values = np.array([[line[epoch] for epoch in common] for line in lines])
    top = 3 + (arm == "dsd")
    style = "--" if arm == "control" else "-"
    ax.plot(common, values.mean(axis=0), style, color=colour, linewidth=1.6, label=label, zorder=top)
    if framed and len(lines) == 2:
        ax.scatter(common * 2, values.ravel(), s=9, color=colour, linewidths=0, zorder=top)
    elif framed and len(lines) > 2:
        ax.fill_between(common, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18, linewidth=0)
    drawn = values if framed else values.mean(axis=0, keepdims=True)
    return [dict(zip(common, line, strict=True)) for line in drawn.tolist()]


def _boundaries(ax: Axes, record: Record) -> None:
    """Mark and name the dsd arm's phases."""
    names, arm, position = {"dense": "D", "sparse": "S", "redense": "D2"}, record.arms.get("dsd"), 0.0
    for phase in (*(record.dense.phases if record.dense else ()), *(arm.phases if arm else ())):
        where = ax.get_xaxis_transform()
        middle = position + phase.epochs / 2
        ax.text(middle, 1.01, names[phase.kind], transform=where, ha="center", fontsize=8, color="#555555")
        position += phase.epochs
        ax.axvline(position, color="#BBBBBB", linewidth=0.8, linestyle=":", zorder=0)
