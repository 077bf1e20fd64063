import pytest

from benchmarks.analysis import word_errors


@pytest.mark.parametrize(
    ("reference", "transcript", "text"),
    [
        ("a b c", "a b c", "a b c"),
        ("a b c", "a x c", "a **x** c"),
        ("a b c", "a c", "a ~~b~~ c"),
        ("a b c", "a b c d e", "a b c ***d*** ***e***"),
        ("a b", "", "~~a~~ ~~b~~"),
        ("", "a", "***a***"),
        ("", "", ""),
        (" a  b ", "a b", "a b"),
        ("a_b *c* <d>", "a_b *c* ~<d>~", r"a\_b \*c\* **\~\<d>\~**"),
    ],
)
def test_every_error_is_marked(reference: str, transcript: str, text: str) -> None:
    assert word_errors.markdown(word_errors.marked(reference, transcript)) == text


def test_as_many_errors_are_marked_as_the_word_error_rate_counts() -> None:
    # Six words become five. The edit distance is four; several alignments reach it.
    found = word_errors.marked("the cat sat on the mat", "a cat on mat today")
    assert sum(word.kind != "equal" for word in found) == 4
    assert [word.text for word in found if word.kind != "delete"] == ["a", "cat", "on", "mat", "today"]
