"""What a data set holds, against what it should: as many examples as were published, no test example twice or trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tasks.cache import Good
from tasks.files import some


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
    trained: Iterable[str],
    tested: Iterable[str],
    checked: Mapping[str, Good | str],
    alike: str = "byte for byte",
) -> list[str]:
    """Warn of test files that have the content of a training file, or of a test file before them.

    Args:
        what: the test files are, such as "test pictures".
        trained: names of training files, in order.
        tested: names of test files, in order; one that is also in `trained` is trained on.
        checked: what `tasks.files.check` found, by name; files that are not good are passed over.
        alike: in which way files of one digest are equal.

    Returns:
        A warning for either kind, with how many there are and the first three, as "FILE = FIRST ONE".
    """
    digests = {name: found[2] for name, found in checked.items() if isinstance(found, tuple)}
    in_training: dict[str, str] = {}
    for name in trained:
        if name in digests:
            in_training.setdefault(digests[name], name)
    in_test: dict[str, str] = {}
    leaked, repeated = [], []
    for name in tested:
        if name not in digests:
            continue
        if twin := in_training.get(digests[name]):
            leaked.append(name if name == twin else f"{name} = {twin}")
        if (first := in_test.setdefault(digests[name], name)) != name:
            repeated.append(f"{name} = {first}")
    kinds = {"also trained on": leaked, "there more than once": repeated}
    return [f"{what} that are {kind}, {alike}: {some(pairs)}" for kind, pairs in kinds.items() if pairs]
