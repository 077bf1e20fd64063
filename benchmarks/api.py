"""The Python API: train one trial in this process, or run a campaign. The command line is a thin layer over it.

One trial, as `python -m benchmarks run imagenet_resnet18` runs it:

    from benchmarks.api import Run, train

    outcome = train(Run("imagenet_resnet18", arms=("control", "dsd")))
    print(outcome.status, outcome.records)

A campaign, as `python -m benchmarks evidence --campaign FILE --backend ray` runs it:

    from benchmarks.api import campaign, submit

    for result in submit(campaign("benchmarks/campaign/paper.toml", data="DATA", out="runs"), "ray"):
        print(result.trial.title, result.status, result.host)

Trials of your choice, four at a time:

    from benchmarks.api import Resources, Run, submit, trial

    runs = [Run("imagenet_vgg16", seeds=1, first_seed=seed) for seed in range(8)]
    results = list(submit([trial(run, Resources(cpus=2)) for run in runs], jobs=4))

A network of a trial, from its file of weights:

    from benchmarks.api import Evaluate, load

    network = load(Evaluate("imagenet_resnet18", "dsd.safetensors", data=Path("data/tiny-imagenet-50"), scale="small"))

`benchmarks.records.store.read` reads a record, `benchmarks.records.progress.read` the progress file of a trial.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import rows
from benchmarks.campaign.submit import Backend, submit
from benchmarks.campaign.trial import Resources, Result, Trial
from benchmarks.cli import engines, option_checks
from benchmarks.cli.campaign import CampaignQueue
from benchmarks.cli.evaluate import load
from benchmarks.cli.options import Evaluate, Evidence, Run
from benchmarks.cli.run import Outcome, train

__all__ = [
    "Backend",
    "Evaluate",
    "Outcome",
    "Resources",
    "Result",
    "Run",
    "Trial",
    "campaign",
    "load",
    "submit",
    "train",
    "trial",
]


def trial(options: Run, resources: Resources | None = None) -> Trial:
    """Return the trial for `submit` from options of `run`, which should have one seed.

    Raises:
        ValueError: an option is invalid.
        OSError: the output folder cannot be written.
    """
    option_checks.run(options)
    planned = engines.Planned(options, f"{rows.row(options.row).title} seed {options.first_seed}", None)
    return engines.as_trial(planned, resources or Resources(), option_checks.folder(options))


def campaign(path: Path | str, data: Path | str = "data", out: Path | str = "runs") -> list[Trial]:
    """Return the trials of the campaign file at `path` that are left to run, in order.

    Args:
        path: the TOML file.
        data: the folder with its data sets.
        out: the output folder; trials with a record in it are left out.

    Raises:
        ValueError: the file or an option in it is wrong, or a data set is missing.
        OSError: the file cannot be read, or the output folder cannot be written.
    """
    queue = CampaignQueue(Evidence(campaign=Path(path), data=Path(data), out=Path(out)))
    queue.require()
    return [engines.as_trial(planned, queue.resources, queue.out) for planned in queue.left()]
