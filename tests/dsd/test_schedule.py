import pytest

from dsd import Constant, MultiStepDecay, Phase, PolynomialDecay, Schedule, StepDecay

VGG = Schedule(
    (
        Phase("dense", 74, 1e-2),
        Phase("sparse", 1.25, 1e-4, sparsity=0.3),
        Phase("redense", 18, 1e-4, StepDecay(every=3)),
    )
)


def test_a_phase_of_one_and_a_quarter_epochs_has_exact_boundaries() -> None:
    assert VGG.boundaries(1000) == (74_000, 75_250, 93_250)
    assert VGG.boundaries(7) == (518, 527, 653)  # 526.75 rounds up; the end is rounded from the sum, 652.75
    assert VGG.epochs == 93.25


def test_each_boundary_step_belongs_to_the_next_phase() -> None:
    assert (VGG.at(73_999, 1000).index, VGG.at(73_999, 1000).step) == (0, 73_999)
    first = VGG.at(74_000, 1000)
    assert (first.index, first.step, first.steps, first.first) == (1, 0, 1250, True)
    assert (VGG.at(75_249, 1000).index, VGG.at(75_249, 1000).first) == (1, False)
    assert (VGG.at(75_250, 1000).index, VGG.at(75_250, 1000).first) == (2, True)


def test_step_decay_drops_at_its_very_step() -> None:
    for drops in range(6):
        at = 75_250 + 3000 * drops
        assert VGG.at(at, 1000).lr == pytest.approx(1e-4 * 0.1**drops, rel=1e-12)
        assert VGG.at(at + 2999, 1000).lr == pytest.approx(1e-4 * 0.1**drops, rel=1e-12)


@pytest.mark.parametrize("steps_per_epoch", [3, 7, 49, 1000, 5005])
def test_step_decay_is_not_a_hair_late_at_any_number_of_steps(steps_per_epoch: int) -> None:
    schedule = Schedule((Phase("dense", 90, 1.0, StepDecay(every=30)),))
    for drops in (1, 2):
        at = 30 * drops * steps_per_epoch
        assert schedule.at(at - 1, steps_per_epoch).lr == pytest.approx(0.1 ** (drops - 1))
        assert schedule.at(at, steps_per_epoch).lr == pytest.approx(0.1**drops)


@pytest.mark.parametrize("steps_per_epoch", [3, 7, 117, 1000])
def test_multi_step_decay_falls_at_each_milestone(steps_per_epoch: int) -> None:
    schedule = Schedule(
        (Phase("dense", 6, 1.0, MultiStepDecay((2, 5), 0.5)), Phase("dense", 3, 4.0, MultiStepDecay((1,))))
    )
    for start, rate, before in ((2, 0.5, 1.0), (5, 0.25, 0.5), (6, 4.0, 0.25), (7, 0.4, 4.0)):
        assert schedule.at(start * steps_per_epoch - 1, steps_per_epoch).lr == pytest.approx(before)
        assert schedule.at(start * steps_per_epoch, steps_per_epoch).lr == pytest.approx(rate)
    assert schedule.at(9 * steps_per_epoch - 1, steps_per_epoch).lr == pytest.approx(0.4)


@pytest.mark.parametrize("steps_per_epoch", [3, 49, 117, 5005])
def test_multi_step_decay_at_thirds_is_not_a_hair_late(steps_per_epoch: int) -> None:
    schedule = Schedule((Phase("dense", 18, 1.0, MultiStepDecay((18 / 3, 18 * 2 / 3))),))
    for drops, epoch in ((1, 6), (2, 12)):
        assert schedule.at(epoch * steps_per_epoch - 1, steps_per_epoch).lr == pytest.approx(0.1 ** (drops - 1))
        assert schedule.at(epoch * steps_per_epoch, steps_per_epoch).lr == pytest.approx(0.1**drops)


def test_polynomial_decay_starts_whole_and_ends_at_zero() -> None:
    schedule = Schedule((Phase("dense", 4, 2.0, PolynomialDecay(power=0.5)),))
    assert [schedule.at(s, 1).lr for s in range(4)] == pytest.approx([2.0, 2 * 0.75**0.5, 2 * 0.5**0.5, 1.0])
    assert PolynomialDecay().factor(4, 4) == 0
    assert Constant().factor(3, 4) == 1


def test_iterations_follow_one_another() -> None:
    pair = (Phase("sparse", 1, 0.1, sparsity=0.5), Phase("redense", 1, 0.1))
    schedule = Schedule((Phase("dense", 2, 0.1), *pair, *pair))
    assert [phase.kind for phase in schedule].count("sparse") == 2
    assert schedule.boundaries(10) == (20, 30, 40, 50, 60)
    assert [schedule.at(s, 10).phase.kind for s in (0, 20, 30, 40, 50)] == [phase.kind for phase in schedule]


def test_a_phase_shorter_than_a_step_keeps_one() -> None:
    schedule = Schedule((Phase("dense", 1, 0.1), Phase("sparse", 0.01, 0.1, sparsity=0.5), Phase("redense", 1, 0.1)))
    assert schedule.boundaries(4) == (4, 5, 8)


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ({"epochs": 0, "lr": 0.1}, "epochs must be positive, got 0"),
        ({"epochs": 1, "lr": -1.0}, "lr must be positive, got -1"),
        ({"epochs": float("nan"), "lr": 0.1}, "epochs must be positive, got nan"),
        ({"epochs": 1, "lr": float("inf")}, "lr must be positive, got inf"),
        ({"epochs": 1, "lr": 0.1, "kind": "sprase"}, "kind must be one of .* got 'sprase'"),
        ({"epochs": 1, "lr": 0.1, "sparsity": 0.3}, "only a sparse phase has a sparsity, got 0.3"),
        ({"epochs": 1, "lr": 0.1, "sparsity": 1.5}, r"sparsity must lie in \[0, 1\], got 1.5"),
    ],
)
def test_a_phase_that_makes_no_sense_is_refused(phase: dict[str, float | str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Phase(**({"kind": "dense"} | phase))  # type: ignore[arg-type]


def test_a_schedule_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one phase"):
        Schedule(())
    with pytest.raises(ValueError, match="must follow a sparse one"):
        Schedule((Phase("dense", 1, 0.1), Phase("redense", 1, 0.1)))
    with pytest.raises(ValueError, match=r"StepDecay\.every must be positive, got 0"):
        StepDecay(every=0)
    for milestones in ((), (0.0, 1.0), (2.0, 1.0), (1.0, 1.0)):
        with pytest.raises(ValueError, match=r"MultiStepDecay\.milestones must be positive and ascending, got \("):
            MultiStepDecay(milestones)
    with pytest.raises(ValueError, match="steps_per_epoch must be positive, got 0"):
        VGG.boundaries(0)
    for step in (-1, 93_250):
        with pytest.raises(ValueError, match=f"step {step} lies outside the schedule of 93250 steps"):
            VGG.at(step, 1000)
