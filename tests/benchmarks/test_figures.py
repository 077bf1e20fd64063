import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection, LineCollection, PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from benchmarks.analysis import answers, summary, verdicts
from benchmarks.analysis.groups import group_records
from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.reporting import results_folder
from benchmarks.reporting.figures import canvas, curves, drop, files, forest, frame, names, sensitivity, weights
from tests.golden import build, regime

PNG = b"\x89PNG"


def test_every_figure_is_drawn_small_and_the_same_again(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    drawn = files.write(tmp_path / "a", build.everything())
    assert dict(mpl.rcParams) == before
    again = files.write(tmp_path / "b", build.everything())
    assert [path.name for path in drawn] == [
        "gains.png",
        "imagenet_vgg16-paper-curves.png",
        "imagenet_resnet18-small-curves.png",
        "imagenet_resnet18-small-sensitivity.png",
        "imagenet_resnet18-small-c0570c0570c0-2-curves.png",
        "imagenet_resnet18-small-50a1150a1150-3-curves.png",
        "imagenet_resnet18-smoke-curves.png",
        "imagenet_resnet50-small-curves.png",
        "imagenet_resnet50-small-50a1150a1150-2-curves.png",
        "imagenet_resnet50-small-50a1150a1150-2-sensitivity.png",
        "flickr8k_neuraltalk-paper-curves.png",
        "librispeech_deepspeech2-paper-curves.png",
        "librispeech_deepspeech2-paper-weights.png",
    ]
    for one, two in zip(drawn, again, strict=True):
        content = one.read_bytes()
        assert content.startswith(PNG)
        assert content == two.read_bytes()
        assert len(content) < 150_000
        assert b"Software" not in content  # no metadata with the version of Matplotlib


def test_after_figures_and_tables_nothing_is_stale(tmp_path: Path) -> None:
    found = build.planned()
    files.write(tmp_path, found)
    results_folder.write(tmp_path, found)
    assert results_folder.check(tmp_path, found) == []
    (tmp_path / "figures" / "gains.png").unlink()
    assert results_folder.check(tmp_path, found) == ["figures/gains.png"]


def test_a_picture_of_other_records_or_an_older_drawing_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["figures/gains.png", "figures/imagenet_resnet18-small-curves.png"]
    names.append("figures/imagenet_resnet18-small-sensitivity.png")
    before, after = build.planned(), build.planned((0.1, 0.5, 0.4, 0.2, 0.3))
    files.write(tmp_path, before)
    results_folder.write(tmp_path, after)
    assert results_folder.check(tmp_path, after) == names
    files.write(tmp_path, after)
    assert results_folder.check(tmp_path, after) == []
    (tmp_path / names[0]).write_bytes(PNG)
    assert results_folder.check(tmp_path, after) == names[:1]
    files.write(tmp_path, after)
    monkeypatch.setattr(canvas, "DRAWING_VERSION", canvas.DRAWING_VERSION + 1)
    assert results_folder.check(tmp_path, after) == names


def test_contact_sheets_that_were_drawn_before_do_not_belong(tmp_path: Path) -> None:
    files.write(tmp_path, build.trio())
    results_folder.write(tmp_path, build.trio())
    for kind in ("captions", "transcripts", "lineage"):
        (tmp_path / "figures" / f"flickr8k_neuraltalk-small-{kind}.png").write_bytes(PNG)
    assert len(results_folder.check(tmp_path, build.trio())) == 3
    files.write(tmp_path, build.trio())
    assert results_folder.check(tmp_path, build.trio()) == []


def test_results_have_the_picture_of_the_gains_to_themselves() -> None:
    smoke = build.record(scale="smoke", data="stripes", synthetic=True)

    def shown(found: list[Record]) -> dict[str, list[str]]:
        return {name: [one.section for one in groups] for name, groups in names.shared(group_records(found)).items()}

    assert shown([smoke, *build.trio()]) == {}
    assert shown(build.captions()) == {"gains.png": ["paper"]}  # no drop.png: no scores right after pruning
    two = [smoke, *build.trio(), *build.planned(), *build.planned(row="imagenet_resnet50")]
    assert shown(two) == {"gains.png": ["regime", "regime"]}  # drop.png needs three rows
    three = [*two, *build.planned(row="imagenet_vgg16")]
    assert shown(three)["gains.png"] == ["regime"] * 3
    assert sorted(shown(three)["drop.png"]) == ["regime", "regime", "regime", "small"]


def saved(draw: Callable[..., None], what: object, monkeypatch: pytest.MonkeyPatch) -> Figure:
    """Return the figure that `draw` saves."""
    kept: list[Figure] = []
    monkeypatch.setattr(canvas, "save", lambda figure, *_: kept.append(figure))
    draw(what, Path("figure.png"))
    return kept[0]


def labels(ax: Axes) -> list[str]:
    """Return the labels of the rows of the forest plot that have a trial."""
    return [text.get_text() for text in ax.texts if "n = " in text.get_text()]


def caption(figure: Figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


def offsets(ax: Axes) -> list[list[float]]:
    """Return the positions [x, y] of all dots."""
    return [[float(x) for x in dot] for dots in ax.collections for dot in np.asarray(dots.get_offsets())]


def test_the_gains_are_drawn_in_units_of_the_claim_and_the_frame_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [*build.planned(), *build.captions((1, 2))]
    figure = saved(forest.draw, names.shared(group_records(found))["gains.png"], monkeypatch)
    (ax,) = figure.axes
    claim = 0.041 * 59.1  # the claimed gain in points, from our control's error
    assert [gain / claim for gain in regime.GAINS] == pytest.approx([x for x, y in offsets(ax) if y == 0.24])
    (line,) = [lines for lines in ax.collections if isinstance(lines, LineCollection)]  # no interval for two seeds
    (low, _), (high, _) = line.get_segments()[0]
    assert 0 < low < np.mean(regime.GAINS) / claim < high
    left, right = ax.get_xlim()
    assert left < 0 < high < right
    assert right > 1
    ends = [dots for dots in ax.collections if [x for x, _ in np.asarray(dots.get_offsets())] == [low, high]]
    assert len(ends) == 1  # marks that keep a short interval visible
    assert len([x for x, y in offsets(ax) if y == 1]) == 2
    assert sum(text.get_text() == "no planned trial yet" for text in ax.texts) == 5
    assert [one.split("\n")[1] for one in labels(ax)] == ["n = 5 of 5", "no verdict: n = 2, not in the plan"]
    assert labels(ax)[0].split("\n")[0].endswith("] points of top-1 error")
    assert ax.get_xlabel() == "gain over the control, divided by the paper's claim"
    assert "divided by the paper's claim" in names.SHARED[names.GAINS]


def test_a_gain_without_a_verdict_is_hollow_and_grey_and_its_label_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    again = build.planned((0.5,), finished="2030-01-02T10:00:00Z")
    cases = {
        "n = 5 of 5": build.planned(),
        "no verdict: n = 1 of 5": build.planned()[:1],
        "no verdict: n = 3 of 5, gate fails so far": build.planned(train=90.0)[:3],
        "no verdict: n = 5 of 5, gate fails": build.planned(train=90.0),
        "no verdict: n = 5 of 5, seeds trained more than once: 0": [*build.planned(), *again],
    }
    grey, orange = (to_rgba(colour)[:3] for colour in (canvas.QUIET, canvas.COLOURS["dsd"]))
    for label, found in cases.items():
        figure = saved(forest.draw, names.shared(group_records(found))["gains.png"], monkeypatch)
        assert [one.split("\n")[1] for one in labels(figure.axes[0])] == [label]
        seeds = figure.axes[0].collections[0]
        hollow = label.startswith("no verdict")
        assert (np.asarray(seeds.get_facecolor()).size == 0) == hollow
        shown = seeds.get_edgecolor() if hollow else seeds.get_facecolor()
        assert np.asarray(shown)[0, :3] == pytest.approx(grey if hollow else orange)
        assert ("Hollow and grey: no verdict." in caption(figure)) == hollow
        diamonds = [dots for dots in figure.axes[0].collections if dots.get_zorder() == 4]
        assert [np.asarray(dots.get_facecolor()).size == 0 for dots in diamonds] == [hollow] * (len(found) > 1)


@pytest.mark.parametrize(("scale", "at"), [(8.0, 1.5), (-2.0, -0.5)])
def test_gains_beyond_the_frame_end_there_in_an_arrow_with_the_number(
    monkeypatch: pytest.MonkeyPatch, scale: float, at: float
) -> None:
    for count in (1, 5):
        found = build.planned(tuple(scale * gain for gain in regime.GAINS))[:count]
        figure = saved(forest.draw, names.shared(group_records(found))["gains.png"], monkeypatch)
        (ax,) = figure.axes
        assert ax.get_xlim() == forest.FRAME == (-0.5, 1.5)
        assert [at, 0.0] in offsets(ax)
        (text,) = [one.get_text() for one in ax.texts if isinstance(one, Annotation)]
        if count == 1:
            assert float(text) == pytest.approx(scale * 0.8 / (0.041 * 59.0), abs=0.05)
        else:
            (line,) = [lines for lines in ax.collections if isinstance(lines, LineCollection)]
            assert line.get_clip_on()  # the interval ends at the frame
            assert float(text) == pytest.approx(line.get_segments()[0][int(scale > 0)][0], abs=0.05)
        assert "Arrow: the gain is beyond the frame, at the number." in caption(figure)


def test_the_caption_tells_of_iterations_only_with_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "For speech, the gain after two iterations is divided by the paper's gain after one."
    for found, told in ((build.utterances(), True), (build.planned(), False)):
        figure = saved(forest.draw, names.shared(group_records(found))["gains.png"], monkeypatch)
        assert (words in caption(figure)) == told
        assert ("Arrow" in caption(figure)) == told


def test_the_drop_at_pruning_is_drawn_against_the_gain_and_what_lacks_it_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = ("imagenet_resnet18", "imagenet_resnet50", "imagenet_googlenet")
    trials = [one for row in rows for one in build.planned(row=row)]
    found = [*trials, *build.trio(), *build.captions()]
    figure = saved(drop.draw, names.shared(group_records(found))["drop.png"], monkeypatch)
    (ax,) = figure.axes
    expected = [
        [100 * 2.5 / 60, 100 * gain / control] for gain, control in zip(regime.GAINS, regime.CONTROLS, strict=True)
    ]
    assert np.allclose(offsets(ax), expected * 3)
    assert "15 trials of 3 rows. Left out: 6 trials" in figure.get_supxlabel()


def with_peaks(start: float = 80.0, peak: float = 43.8) -> Record:
    """Return a trial whose D starts at a WER of `start`, and whose control jumps to `peak` after its restart."""
    plain = build.record(
        baseline=14.0,
        arms={
            "dsd": (14.4, 13.0, 12.1, 12.3, 12.2, 12.0, 12.1, 11.9),
            "control": (peak, 14 + (peak - 14) / 3, 14.1, 13.9, 14.2, 14.1, 14.3, 14.0),
        },
    )
    assert plain.dense is not None
    (last,) = plain.dense.curve
    first = last.model_copy(update={"step": 5, "epoch": 0.5, "test": {"top1_error": start}})
    return plain.model_copy(update={"dense": plain.dense.model_copy(update={"curve": [first, last]})})


def test_scores_and_gains_are_framed_on_what_follows_d_and_a_note_names_what_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figure = saved(curves.curves, group_records([with_peaks()])[0], monkeypatch)
    _, scores, gains = figure.axes
    low, high = scores.get_ylim()
    assert 11 < low < 11.9 < 14.4 < high < 16  # both ends and D's end are apart
    low, high = gains.get_ylim()
    assert -1 < low < 0 < 2.3 < high < 4

    def notes(ax: Axes) -> list[str]:
        return [text.get_text() for text in ax.texts if "frame" in text.get_text()]

    assert notes(scores) == ["beyond the frame: D, shared up to 80.0; Control (equal budget) up to 43.8"]
    assert notes(gains) == ["beyond the frame: DSD up to 29.4"]
    assert "Scores and gains are framed on what follows D, without outliers." in caption(figure)
    figure = saved(curves.curves, group_records([with_peaks(18.0, 16.0)])[0], monkeypatch)
    assert figure.axes[1].get_ylim()[1] > 18  # D would not flatten the rest
    assert [notes(ax) for ax in figure.axes[1:]] == [[], []]
    assert "framed" not in caption(figure)


def test_a_frame_holds_every_last_value_and_few_values_have_no_outliers() -> None:
    long = {float(epoch): 1.0 + epoch % 2 for epoch in range(20)}
    lines = {"dsd": [long | {5.0: 90.0}], "random": [{1.0: 60.0, 19.0: 50.0}]}
    assert max(frame.after(lines, 1.0)) == 50.0
    assert sorted(set(frame.over_control(lines))) == [0.0, 1.0, 2.0]
    assert max(frame.after({"dsd": [{1.0: 1.0, 2.0: 90.0, 3.0: 1.0}]}, 0.0)) == 90.0
    ax = Figure().subplots()
    assert not frame.set_limits(ax, [3.0, 3.0], {"DSD": [{1.0: 3.0}]})
    assert ax.get_ylim() == (2.5, 3.5)


def test_a_gain_without_a_verdict_is_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def title(found: list[Record], planned: bool = True) -> str:
        (group,) = group_records(found)
        row = answers.row_of(group, answers.rows([group])) if planned else None
        monkeypatch.setattr(canvas, "save", lambda figure, *_: kept.append(figure))
        curves.curves(group, tmp_path / "curves.png", row)
        return kept[-1].get_suptitle().replace("\n", " ")

    kept: list[Figure] = []
    start = "ResNet-18: DSD over the control after the last epoch, "
    assert title(build.planned()[:1]) == f"{start}one seed, no verdict: +0.80 points"
    assert title(build.planned(train=90.0)).startswith(f"{start}5 seeds, no verdict: +1.00 [")
    assert title(build.planned(), planned=False).startswith(f"{start}5 seeds, no verdict: +1.00 [")
    assert title(build.captions(), planned=False).startswith("NeuralTalk: DSD over the control after")
    (row,) = [row for row in answers.rows(group_records(build.planned())).values() if row.answer.direction]
    assert row.answer.direction == "DSD better"
    assert title(build.planned()).startswith("ResNet-18: DSD gains over the control after the last epoch: +1.00 [")


def test_a_picture_of_another_verdict_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(tmp_path, build.planned())
    assert files.stale(tmp_path / "figures", build.planned()) == []
    monkeypatch.setattr(verdicts, "LEAST_SEEDS", 6)
    assert files.stale(tmp_path / "figures", build.planned()) == ["gains.png", "imagenet_resnet18-small-curves.png"]


def test_a_picture_of_the_drop_is_stale_if_trials_are_no_longer_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ("imagenet_resnet18", "imagenet_resnet50", "imagenet_googlenet", "imagenet_vgg16")
    trials = [one for row in rows for one in build.planned(row=row)]
    path = tmp_path / "drop.png"
    drop.draw(names.shared(group_records(trials))["drop.png"], path)
    monkeypatch.setattr(files, "_present", lambda _: set())
    assert "drop.png" not in files.stale(tmp_path, trials)
    monkeypatch.setattr(answers, "WANTED", tuple(one for one in answers.WANTED if one.row != "imagenet_vgg16"))
    assert "drop.png" in files.stale(tmp_path, trials)


def test_the_question_is_about_what_is_shown_and_another_reference_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = saved(sensitivity.draw, group_records(build.planned())[0], monkeypatch)
    assert figure.get_suptitle() == "Do other uses of the budget beat the control?"
    (ax,) = figure.axes
    marked = [text.get_text() for text in ax.get_yticklabels() if "over its own control" in text.get_text()]
    assert marked == ["DSD, D2 at the text's rate,\nover its own control, n = 5"]
    figure = saved(sensitivity.draw, group_records(build.sweep())[0], monkeypatch)
    assert figure.get_suptitle() == "Does another sparsity, or another use of the budget, beat the control?"
    marked = [text.get_text() for text in figure.axes[1].get_yticklabels() if "own control" in text.get_text()]
    assert marked == ["DSD, state kept,\nover its own control, n = 3"]
    few = ("dsd", "control", "dsd-50")
    swept = [one.model_copy(update={"arms": {k: v for k, v in one.arms.items() if k in few}}) for one in build.sweep()]
    figure = saved(sensitivity.draw, group_records(swept)[0], monkeypatch)
    assert figure.get_suptitle() == "Does another sparsity beat the control?"


def test_one_or_two_seeds_have_no_figure_of_other_uses_of_the_budget() -> None:
    for count, there in ((1, False), (2, False), (3, True)):
        (group,) = group_records(build.planned()[:count])
        assert ("sensitivity" in names.kinds(group)) == there


def test_the_iteration_is_named_if_there_are_several(monkeypatch: pytest.MonkeyPatch) -> None:
    (group,) = group_records(build.utterances())
    figure = saved(weights.draw, group, monkeypatch)
    assert "after D2 of iteration 2 the weights that S pruned" in figure.get_suptitle().replace("\n", " ")
    assert figure.axes[2].get_xlabel().startswith("weight of recurrent.weight in iteration 1 (the largest")
    assert caption(figure).startswith("Histograms: iteration 1, seed 0, ")
    monkeypatch.setattr(summary, "count_iterations", lambda _: 1)
    figure = saved(weights.draw, group, monkeypatch)
    assert "iteration" not in figure.get_suptitle() + figure.axes[2].get_xlabel() + caption(figure)


def test_a_picture_of_no_group_does_not_belong(tmp_path: Path) -> None:
    files.write(tmp_path, build.trio())
    results_folder.write(tmp_path, build.trio())
    (tmp_path / "figures" / "imagenet_vgg16-paper-0123456789ab-2-curves.png").touch()
    (tmp_path / "figures" / "imagenet_vgg16-photo.png").touch()
    assert results_folder.check(tmp_path, build.trio()) == ["figures/imagenet_vgg16-paper-0123456789ab-2-curves.png"]


def test_figures_of_groups_that_are_gone_are_removed(tmp_path: Path) -> None:
    files.write(tmp_path, build.trio())
    files.write(tmp_path, build.trio(row="imagenet_vgg16"))
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"imagenet_vgg16-small-curves.png"}


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    assert files.write(tmp_path, []) == []


def test_a_given_dense_start_has_no_curve_of_its_own(tmp_path: Path) -> None:
    record = build.record(source="resnet18.safetensors")
    assert record.dense is not None
    record = record.model_copy(update={"dense": record.dense.model_copy(update={"phases": [], "curve": []})})
    curves.curves(group_records([record])[0], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)


def test_arms_that_not_all_trials_have_say_so_in_the_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    more = build.record(seed=3, arms={"dsd": (41.0, 39.0), "control": (41.0, 40.0), "llr": (39.8,)})
    (group,) = group_records([*build.trio(), more])
    figure = saved(curves.curves, group, monkeypatch)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][-1] == "LLR (n = 1)"
    assert "Means over different seeds are not comparable" in figure.get_supxlabel().replace("\n", " ")
    plain = saved(curves.curves, group_records(build.trio())[0], monkeypatch)
    assert "not comparable" not in plain.get_supxlabel()
    title = plain.get_suptitle().replace("\n", " ")
    assert title.startswith(
        "Superseded: ResNet-18: no difference shown between DSD and the control after the last epoch: +0.30"
    )
    sure = [
        build.record(seed=seed, arms={"dsd": (41.0, 38.0 + seed / 9), "control": (41.0, 41.0)}) for seed in range(3)
    ]
    title = saved(curves.curves, group_records(sure)[0], monkeypatch).get_suptitle().replace("\n", " ")
    assert title.startswith("Superseded: ResNet-18: DSD gains over the control after the last epoch: +2.89")


def test_what_follows_d_is_framed_on_dsd_and_control(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        build.record(seed=seed, arms={"dsd": (41.0, 39.0), "control": (41.0, 40.0), "random": (99.0, 98.0)})
        for seed in range(3)
    ]
    _, whole, gain = saved(curves.curves, group_records(found)[0], monkeypatch).axes
    assert whole.get_ylim()[1] > 98
    low, high = gain.get_ylim()
    assert -10 < low < 0  # the random masks lose 58 points
    assert 1.0 < high < 5.0


def test_seeds_are_a_band_from_three_on_and_dots_below(monkeypatch: pytest.MonkeyPatch) -> None:
    for seeds, kinds in ((3, {FillBetweenPolyCollection}), (2, {PathCollection}), (1, set())):
        ax = saved(curves.curves, group_records(build.trio()[:seeds])[0], monkeypatch).axes[1]
        assert {type(one) for one in ax.collections} == kinds


def test_evaluations_one_step_apart_are_one_point() -> None:
    (record, *_) = build.trio()
    (first, last) = record.arms["dsd"].curve
    twice = last.model_copy(update={"step": last.step + 1, "epoch": last.epoch + 0.001, "test": {"top1_error": 39.0}})
    noise = twice.model_copy(update={"train": {"loss": 99.0}})
    arm = record.arms["dsd"].model_copy(update={"curve": [first, last, noise]})
    record = record.model_copy(update={"arms": record.arms | {"dsd": arm}})
    assert list(curves._line(record, "dsd", "top1_error").values()) == [42.0, 41.0, 39.0]
    assert list(curves._line(record, "dsd", None).values()) == [first.train["loss"], last.train["loss"]]


def test_no_display_and_no_pyplot_are_needed() -> None:
    code = "import sys, benchmarks.reporting.figures.files; sys.exit('matplotlib.pyplot' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_write_and_check(tmp_path: Path) -> None:
    for record in build.trio():
        store.write(record, tmp_path / "records")
    found = store.read_all(tmp_path / "records")
    names = [
        "README.md",
        "tables/arms.md",
        *(f"tables/{n}.{kind}" for n in ("overview", "superseded") for kind in ("csv", "md", "tex")),
    ]
    pictures = ["figures/imagenet_resnet18-small-curves.png"]
    assert results_folder.check(tmp_path, found) == sorted([*names, *pictures])
    written = results_folder.write(tmp_path, found)
    assert sorted(str(path.relative_to(tmp_path)) for path in written) == names
    assert results_folder.check(tmp_path, found) == pictures
    files.write(tmp_path, found)
    assert results_folder.check(tmp_path, found) == []
    page = tmp_path / "tables" / "overview.md"
    page.write_text(page.read_text(encoding="utf-8").replace("+0.30", "+3.00"), encoding="utf-8")
    gone = tmp_path / "tables" / "imagenet_vgg16.md"
    gone.touch()
    assert results_folder.check(tmp_path, found) == ["tables/imagenet_vgg16.md", "tables/overview.md"]
    results_folder.write(tmp_path, found)
    assert results_folder.check(tmp_path, found) == []
    assert not gone.exists()


def test_what_others_wrote_is_left_as_it_is(tmp_path: Path) -> None:
    for name in ("tables/notes.md", "tables/mine.csv", "tables/imagenet_resnet18.txt", "figures/logo.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine", encoding="utf-8")
    results_folder.write(tmp_path, build.trio())
    files.write(tmp_path, build.trio())
    assert results_folder.check(tmp_path, build.trio()) == []
    assert {p.name for p in tmp_path.glob("*/*") if p.read_bytes() == b"mine"} == {
        *("notes.md", "mine.csv", "imagenet_resnet18.txt", "logo.png")
    }


@pytest.mark.parametrize("name", ["README.md", "tables/overview.md"])
def test_a_page_of_somebody_elses_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("# My project\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"{name} was not made by this suite.*--out"):
        results_folder.write(tmp_path, build.trio())
    assert [p for p in tmp_path.glob("**/*") if p.is_file()] == [path]
    assert path.read_text(encoding="utf-8") == "# My project\n"


def test_what_is_drawn_already_is_left_alone_and_the_rest_is_drawn(tmp_path: Path) -> None:
    files.write(tmp_path, build.planned())
    paths = sorted((tmp_path / "figures").glob("*.png"))
    before = {path: path.stat().st_mtime_ns for path in paths}
    paths[0].unlink()
    files.write(tmp_path, build.planned())
    assert {path for path in paths if path.stat().st_mtime_ns != before[path]} == {paths[0]}
