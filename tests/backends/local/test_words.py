"""The terms that BM25 counts."""

from gateway.backends.local.words import term_counts


def test_case_and_endings_do_not_matter() -> None:
    assert term_counts("Restoring restored RESTORES") == {"restor": 3}


def test_stop_words_and_single_letters_are_left_out() -> None:
    assert term_counts("The cat is on a mat, x 7") == {"cat": 1, "mat": 1}


def test_words_of_any_script_count() -> None:
    assert term_counts("Straße ЯБЛОКО λόγος") == {"strass": 1, "яблоко": 1, "λόγοσ": 1}


def test_a_text_without_words_has_no_terms() -> None:
    assert not term_counts("?! … \u200b")
