"""Checks of a whole data set: the published number of examples, and no duplicates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tasks.data.cache import Good
from tasks.data.verification import some


def totals(dataset: str, published: Mapping[str, int], found: Mapping[str, int]) -> tuple[str, list[str]]:
    """Compare the numbers of examples in the parts of a data set with the published ones.

    Args:
        dataset: name of the published set, such as "LibriSpeech".
        published: examples by part, such as {"test-clean": 2620}.
        found: examples by part in the user's data set, including those that are left out. Only parts in both mappings are compared.

    Returns:
        A line about the parts that have the published number, "" if there are none. A list of at most one warning, about the parts
        that have another number.
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
    """Return warnings about files with the same content: across splits, within a split, and with different labels.

    Args:
        what: description of the test files, such as "test pictures".
        trained: names of training files, in order.
        tested: names of test files, in order. A name that is also in `trained` counts as trained on.
        checked: results of `tasks.data.verification.check` by name; bad files are ignored.
        training: description of the training files, such as "training pictures".
        truth: returns the label of a file; None skips the comparison of labels.
        conflict: description of files with the same content and different labels.
        alike: in what sense files with the same digest are equal, in words.

    Returns:
        A warning for each kind that occurs, with the number of files and the first three, as "FILE = FIRST FILE WITH THIS CONTENT".
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
    """Return the files whose label differs from that of the first file with the same content."""
    first: dict[str, str] = {}
    pairs = ((name, first.setdefault(digests[name], name)) for name in names if name in digests)
    return [f"{name} = {earlier}" for name, earlier in pairs if truth(earlier) != truth(name)]
