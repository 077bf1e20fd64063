"""What a data set holds, against what it should: as many examples as were published, and none twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tasks.data.cache import Good
from tasks.data.verification import some


def totals(dataset: str, published: Mapping[str, int], found: Mapping[str, int]) -> tuple[str, list[str]]:
    """Compare how many examples the parts of a data set have with how many were published.

    Args:
        dataset: what was published, such as "LibriSpeech".
        published: examples by part, such as {"test-clean": 2620}.
        found: those of the set at hand, whatever is left out on purpose. Parts in one of the two alone are not compared.

    Returns:
        A line on the parts that have exactly as many (empty where none has), and a warning that names the others with both
        numbers, where there are any: one, since who made a smaller set knows.
    """
    parts = [part for part in published if part in found]
    same = [f"{part} {found[part]:,}" for part in parts if found[part] == published[part]]
    other = [
        f"{part} {found[part]:,} (expected {published[part]:,})" for part in parts if found[part] != published[part]
    ]
    return (
        f"counts are those of the published {dataset}: {', '.join(same)}" if same else "",
        [f"counts are not those of the published {dataset}: {', '.join(other)}"] if other else [],
    )


def duplicates(
    what: str,
    trained: Sequence[str],
    tested: Sequence[str],
    checked: Mapping[str, Good | str],
    training: str,
    truth: Callable[[str], object] | None = None,
    conflict: str = "",
    alike: str = "byte for byte",
) -> list[str]:
    """Warn of files with the same content: across and within splits, and under different labels.

    Args:
        what: the test files are, such as "test pictures".
        trained: names of training files, in order.
        tested: names of test files, in order; one that is also in `trained` is trained on.
        checked: what `tasks.data.verification.check` found, by name; files that are not good are passed over.
        training: what the training files are, such as "training pictures".
        truth: gives what a file is labelled with.
        conflict: what files with the same content and another label are.
        alike: in which way files of one digest are equal.

    Returns:
        A warning of every kind, with how many there are and the first three, as "FILE = FIRST ONE".
    """
    digests = {name: found[2] for name, found in checked.items() if isinstance(found, tuple)}
    in_training: dict[str, str] = {}
    in_test: dict[str, str] = {}
    leaked, repeated = [], []
    first_ones = ((name, in_training.setdefault(digests[name], name)) for name in trained if name in digests)
    again = [f"{name} = {first}" for name, first in first_ones if name != first]
    for name in filter(digests.__contains__, tested):
        if twin := in_training.get(digests[name]):
            leaked.append(name if name == twin else f"{name} = {twin}")
        if (first := in_test.setdefault(digests[name], name)) != name:
            repeated.append(f"{name} = {first}")
    kinds = {
        f"{what} that are also trained on": leaked,
        f"{what} that are there more than once": repeated,
        f"{training} that are there more than once": again,
        conflict: _conflicts([*trained, *tested], digests, truth) if truth else [],
    }
    return [f"{kind}, {alike}: {some(pairs)}" for kind, pairs in kinds.items() if pairs]


def _conflicts(names: Sequence[str], digests: Mapping[str, str], truth: Callable[[str], object]) -> list[str]:
    """Return the files whose content has another label where they stand first."""
    first: dict[str, str] = {}
    found = []
    for name in filter(digests.__contains__, names):
        one = first.setdefault(digests[name], name)
        if one != name and truth(one) != truth(name):
            found.append(f"{name} = {one}")
    return found
