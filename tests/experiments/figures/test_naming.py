"""Names of certificates: no two of one table share a name, whatever theorems and targets there are."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from conv4rec_experiments.figures.naming import in_order, named, names
from conv4rec_experiments.studies.coverage import CERTIFICATE
from toy_tables import toy_tables

THEOREMS = ("T6", "T7c", "T7f", "T8-code", "T9-parts", "T9-users", "T9-calibration", "T9-gems", "T10")
WORDS = ("risk", "of", "the", "fit,", "groups", "of cells", "code", "total variation of the fit", "total", "users")


def keys(theorems: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    targets = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
    bases, sides = st.sampled_from(["", "known", "plug-in"]), st.sampled_from(["upper", "lower"])
    return st.tuples(theorems, bases, sides, targets)


def test_all_certificates_of_a_study_have_names_of_their_own() -> None:
    certificates = toy_tables(sizes=(1_000,), seeds=2).certificates
    found = names(certificates)
    assert len(set(found.values())) == len(found) == certificates.select(CERTIFICATE).n_unique()
    assert {"T7f", "T7f, fit", "T7f, fit, coarse", "T7c plug-in, coarse", "T10 regret", "T6"} <= set(found.values())
    # Nothing but the name is in the names: none had to be told from another by its words.
    assert not any(":" in words for words in found.values())


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(keys(st.sampled_from(THEOREMS)), min_size=1, max_size=12, unique=True))
def test_names_are_unique_and_every_row_is_in_exactly_one(rows: list[tuple[str, ...]]) -> None:
    # T5, T6 and T10 come on one basis.
    rows = list(dict.fromkeys((row[0], "known", *row[2:]) if row[0] in ("T6", "T10") else row for row in rows))
    table = pl.DataFrame(rows, list(CERTIFICATE), orient="row")
    found = names(table)
    assert set(found) == set(rows)
    assert len(set(found.values())) == len(rows)
    parts = list(in_order(table))
    assert [words for words, _ in parts] == list(found.values())
    assert all(len(part) == 1 for _, part in parts)
    assert [words for *_, words in named(table).rows()] == [found[row] for row in table.rows()]


def test_a_part_of_a_table_takes_the_names_of_the_whole() -> None:
    rows = [("T9-parts", "", "upper", f"risk of the {part} part") for part in ("first", "last")]
    whole = pl.DataFrame(rows, list(CERTIFICATE), orient="row")
    assert list(names(whole).values()) == ["T9-parts: first", "T9-parts: last"]
    assert [words for words, _ in in_order(whole.head(1), names(whole))] == ["T9-parts: first"]
