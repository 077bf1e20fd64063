"""The tables of the planned trials and of their gate."""

from __future__ import annotations

import re

from benchmarks.analysis import answers
from benchmarks.analysis.groups import Group, group_records
from benchmarks.evidence_plan import PLANNED
from benchmarks.records.schema import Record, Scores
from benchmarks.reporting import group_names, verdict_words
from benchmarks.reporting.document import Block, Heading, Table, plain
from benchmarks.reporting.figures import names
from benchmarks.reporting.tables import gate, overview
from benchmarks.rows import ROWS
from tests.benchmarks.test_document import texts
from tests.benchmarks.test_gate import made
from tests.benchmarks.test_tables import line, pages_of
from tests.golden import build

RESNET18 = PLANNED["imagenet_resnet18"]


def trial(seed: int, **changed: float) -> Record:
    one = made(**changed)
    dsd = one.arms["dsd"]
    sparse = dsd.phases[0].model_copy(update={"pruned": Scores(test={"top1_error": 62.5}, train={"top1_error": 33.0})})
    arms = one.arms | {
        "dsd": dsd.model_copy(update={"phases": [sparse, *dsd.phases[1:]], "test": {"top1_error": 58.5}})
    }
    arms |= {"control-text": arms["control"].model_copy(update={"test": {"top1_error": 59.2}}), "dsd-text": arms["dsd"]}
    facts = {
        "id": f"trial-{seed}",
        "seed": seed,
        "numerics": ROWS[one.row].numerics,
        "recipe_hash": RESNET18.recipe.hash(),
        "data": one.data.model_copy(update={"name": RESNET18.data}),
        "arms": arms,
    }
    return one.model_copy(update=facts)


def tables(group: Group) -> list[Block]:
    return [one for one in gate.blocks(group, answers.rows([group])) if isinstance(one, Table) and one.rows]


def only(records: list[Record]) -> Group:
    (group,) = group_records(records)
    return group


def test_trials_of_the_plan_are_a_section_of_their_own_beside_those_of_suite_0_1() -> None:
    groups = group_records([trial(0), *build.trio()])
    assert {group.section for group in groups} == {"regime", "small"}
    assert [group.section for group in groups if group.quotable] == ["regime"]
    old, new = (next(group for group in groups if group.section == section) for section in ("small", "regime"))
    assert old.paper is None
    assert new.paper is not None
    assert (group_names.name(old), group_names.name(new)) == ("ResNet-18", "ResNet-18, made up: every phase shorter")
    rows = answers.rows(groups)
    assert verdict_words.standing(new, rows) == "none yet (seeds 1 to 4 not run)"
    assert verdict_words.standing(old, rows) == "none: superseded"


def test_every_trial_has_a_line_with_its_gains_drop_and_gate() -> None:
    trials, gate = map(texts, tables(only([trial(0), trial(1, train=55.0)])))
    first = {heading: column[0] for heading, column in trials.items()}
    assert (first["seed"], first["fit after D"], first["D"]) == ("0", "30.00", "60.00")
    assert (first["control"], first["DSD"], first["DSD over control"]) == ("59.00", "58.50", "+0.50")
    assert (first["the text's D2"], first["LLR over D"]) == ("+0.70", "+0.50")
    assert first["drop at pruning"] == "+2.50"  # 60.0 before, 62.5 right after
    assert trials["gate"] == ["holds", "fails: fit"]
    assert gate["gate"] == ["fit", "plateau", "trained", "not saturated"]
    assert set(gate["holds"]) == {"yes"}  # 42.5 on average, at most 49
    assert gate["found"][0] == "training top-1 error after D 42.50, must be at most 49.00 and below the test's 60.00"
    assert set(gate["n"]) == {"2"}


def test_the_page_of_the_row_shows_them_in_the_section_of_the_plan() -> None:
    files = pages_of([trial(0), *build.trio()])
    head, planned = files["tables/imagenet_resnet18.md"].split("\n## ")
    assert "superseded trials (suite 0.1) are on [a page of their own](superseded.md)" in head
    assert line(planned, "0")[:3] == ["0", "30.00", "60.00"]
    assert "fit after D" not in files["tables/superseded.md"]


def test_a_trial_outside_the_plan_shows_its_gate_and_has_no_verdict() -> None:
    other = trial(0).model_copy(update={"id": "other", "recipe_hash": "0" * 12})
    group = only([other])
    assert answers.wanted_of(group) is None
    assert verdict_words.standing(group, answers.rows([group])) == "none: not in the plan"
    trials, gates = tables(group)
    assert texts(trials)["gate"] == ["holds"]
    assert set(texts(gates)["holds"]) == {"yes"}
    assert isinstance(gates, Table)
    assert plain(gates.sentences).endswith(
        "These trials are outside the plan: their result is shown for comparison and decides nothing."
    )
    assert answers.rows([group])["imagenet_resnet18"].gate is None
    elsewhere = only([other.model_copy(update={"data": other.data.model_copy(update={"name": "other"})})])
    (trials,) = tables(elsewhere)  # the thresholds are for the planned data
    assert texts(trials)["gate"] == ["-"]
    blocks = overview.blocks([group], answers.rows([group]))
    others = texts(blocks[blocks.index(Heading(2, "Small scale: trials outside the plan")) + 1])
    assert others["gain over control [95 %]"] == ["+0.50"]
    assert (
        verdict_words.verdict(answers.rows([group])["imagenet_resnet18"]) == "none yet (no trial; 1 outside the plan)"
    )
    planned = only([trial(1)])
    assert names.shared([group, planned])[names.GAINS] == [planned]  # the forest plot
    files = pages_of([other, trial(1)])
    assert "ResNet-18; trials: 1 planned, 1 outside the plan\n" in files["README.md"]
    page = files["tables/imagenet_resnet18.md"]
    inside, outside = (
        "\nA verdict applies to DSD on this data and at this size.",
        "\nOutside the plan: another recipe",
    )
    assert page.count(inside) == page.count(outside) == 1
    assert page.index(inside) < page.index(outside)
    captions = re.findall(r"\\caption\{(.*)\}", files["tables/imagenet_resnet18.tex"])
    assert all(("A verdict applies" in one) == (planned.key.recipe_hash in one) for one in captions)
    assert all(("Outside the plan" in one) == ("recipe 000000000000" in one) for one in captions)
    assert any(r"\emph{Drop at pruning}" in one for one in captions)
    assert not any("*" in one or "`" in one for one in captions)


def test_the_gate_of_noisy_digits_is_for_every_ratio_of_speech_to_noise() -> None:
    of = PLANNED["librispeech_deepspeech2"]
    assert of.data == "noisy-digits-0db"
    numerics = ROWS[of.row].numerics
    for data, found in (("noisy-digits-0db", of), ("noisy-digits-5db", of), ("librispeech", None)):
        fields = {"name": data, "subset": 1.0}
        speech = [
            one.model_copy(update={"scale": "small", "numerics": numerics, "data": one.data.model_copy(update=fields)})
            for one in build.utterances()
        ]
        assert {answers.plan_beside(group) for group in group_records(speech)} == {found}


def test_without_such_trials_there_is_no_table() -> None:
    assert tables(only(build.trio())) == []
