"""Messages about the counts of a data set and about duplicate files."""

import pytest

from tasks.data.cache import Good
from tasks.data.completeness import duplicates, totals

pytestmark = pytest.mark.promise(7)


def good(digest: str) -> Good:
    return (1, 1, digest)


def test_more_than_published_is_as_odd_as_fewer() -> None:
    same, odd = totals("Set", {"a": 1000, "b": 2, "c": 3}, {"b": 2, "a": 1001, "z": 5})
    assert same == "counts are those of the published Set: b 2"
    assert odd == ["counts are not those of the published Set: a 1,001 (expected 1,000)"]
    assert totals("Set", {"a": 1}, {}) == ("", [])


def test_the_first_of_each_kind_is_the_one_that_others_are_compared_with() -> None:
    checked: dict[str, Good | str] = {name: good(name[0]) for name in ("a1", "a2", "a3", "a4", "b1", "c1", "c2")}
    checked |= {"bad": "bad is not readable", "bad2": "bad2 is not readable"}
    trained, tested = ["a2", "a1", "bad", "unchecked"], ["a3", "c1", "a4", "bad2", "b1", "c2", "unchecked"]
    assert duplicates("test files", trained, tested, checked, "training files") == [
        "test files that are also trained on, byte for byte: 2 (a3 = a2, a4 = a2)",
        "test files that are there more than once, byte for byte: 2 (a4 = a3, c2 = c1)",
        "training files that are there more than once, byte for byte: 1 (a1 = a2)",
    ]
    assert duplicates("test files", ["a1", "b1"], ["a1"], checked, "training files") == [
        "test files that are also trained on, byte for byte: 1 (a1)"
    ]
    assert duplicates("test files", ["a1"], ["b1", "c1"], checked, "training files") == []


def test_the_same_bytes_under_two_labels_are_told_apart_from_a_repetition() -> None:
    checked: dict[str, Good | str] = {name: good(name[0]) for name in ("a1", "a2", "a3", "b1", "b2")}
    labels = {"a1": "cat", "a2": "cat", "a3": "dog", "b1": "dog", "b2": "dog"}
    assert duplicates(
        "test files", ["a1", "a3", "b1"], ["a2", "b2"], checked, "files", labels.get, "in two classes"
    ) == [
        "test files that are also trained on, byte for byte: 2 (a2 = a1, b2 = b1)",
        "files that are there more than once, byte for byte: 1 (a3 = a1)",
        "in two classes, byte for byte: 1 (a3 = a1)",
    ]
