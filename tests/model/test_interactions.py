"""The data type keeps identifiers, levels and times as they came, from frames and from sparse matrices."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from conv4rec.errors import InputError
from conv4rec.interactions import Interactions

HALF_STARS = [k / 2 for k in range(1, 11)]
ROWS = st.lists(
    st.tuples(
        st.text(min_size=1, max_size=4),
        st.integers(-(2**63), 2**63 - 1),
        st.sampled_from(HALF_STARS),
        st.floats(-1e9, 1e9),
    ),
    min_size=1,
    unique_by=lambda row: row[:2],
)
SCHEMA = {"user": pl.String, "item": pl.Int64, "level": pl.Float64, "time": pl.Float64}


def small() -> Interactions:
    return Interactions.from_frame(
        pl.DataFrame({"user": [3, 1, 3], "item": ["b", "a", "a"], "rating": [2, 1, 5], "time": [7, 8, 9]})
    )


@given(ROWS)
def test_polars_frames_round_trip(rows):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    data = Interactions.from_frame(frame)
    assert data.frame().equals(frame)
    assert data.user_ids.to_list() == sorted(set(frame["user"]))
    assert data.item_codes(frame["item"].to_list()).tolist() == data.item.tolist()
    assert data.user_codes(frame["user"]).tolist() == data.user.tolist()
    assert (data.level_values[data.level] == frame["level"].to_numpy()).all()
    again = Interactions.from_frame(data.frame())
    assert again.levels == data.levels
    assert (again.user == data.user).all()
    assert (again.level == data.level).all()


@given(ROWS)
def test_pandas_and_polars_frames_agree(rows):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    assert Interactions.from_frame(pd.DataFrame(frame.to_dict(as_series=False))).frame().equals(frame)


def test_pandas_types_are_understood():
    frame = pd.DataFrame(
        {
            "user": pd.Series([10**18, 2], dtype="Int64"),
            "item": pd.Categorical(["é", "007"]),
            "rating": pd.Series([4, 5], dtype="int8"),
            "date": pd.to_datetime(["1970-01-01 00:00:01", "1970-01-02 00:00:00"]),
        }
    )
    assert Interactions.from_frame(frame).frame().rows() == [(10**18, "é", 4.0, 1.0), (2, "007", 5.0, 86400.0)]


def test_polars_types_are_understood():
    frame = pl.DataFrame(
        {
            "user": pl.Series([2**64 - 1, 1], dtype=pl.UInt64),
            "item": pl.Series(["x", "y"], dtype=pl.Categorical),
            "event": pl.Series(["buy", "view"], dtype=pl.Enum(["view", "buy"])),
            "date": pl.Series([0, 1]).cast(pl.Date),
        }
    )
    assert Interactions.from_frame(frame).frame().rows() == [(2**64 - 1, "x", "buy", 0.0), (1, "y", "view", 86400.0)]


@pytest.mark.parametrize(
    ("frame", "options", "parts"),
    [
        (pl.DataFrame({"user": [1, None], "item": [1, 2]}), {}, ["row 1", "'user'", "missing"]),
        (pl.DataFrame({"user": [1.5], "item": [1]}), {}, ["'user'", "Float64"]),
        (pl.DataFrame({"user": [1], "item": [""]}), {}, ["row 0", "'item'", "missing"]),
        (pl.DataFrame({"user": [1], "item": [1], "rating": [float("nan")]}), {}, ["row 0", "'rating'", "nan"]),
        (pl.DataFrame({"user": [1], "item": [1], "rating": [True]}), {}, ["'rating'", "Boolean", "implicit=True"]),
        (
            pl.DataFrame({"user": [1], "item": [1], "rating": [3]}),
            {"levels": [1, 2]},
            ["row 0", "'rating'", "1.0, 2.0"],
        ),
        (pl.DataFrame({"user": [1], "item": [1], "time": [[1]]}), {}, ["'time'", "List"]),
        (pl.DataFrame({"user": [], "item": []}), {}, ["no rows"]),
        (pl.DataFrame({"user": [1]}), {}, ["no column of items"]),
        (pl.DataFrame({"user": [1], "item": [1]}).lazy(), {}, ["LazyFrame"]),
        ({"user": [1], "item": [1]}, {}, ["dict"]),
        (pd.DataFrame({"user": [7, "7"], "item": [1, 2]}), {}, ["'user'", "several types"]),
        (pd.DataFrame({"user": ["a", None], "item": [1, 2]}), {}, ["row 1", "'user'", "missing"]),
        (pd.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [None, 2.0]}), {}, ["row 0", "'rating'"]),
        (pd.DataFrame({"user": [1, None], "item": [1, 2]}), {}, ["'user'", "Float64"]),
        (pd.DataFrame([[1, 2, 3.0]]), {"user": "0", "item": "1", "level": "2"}, ["[0, 1, 2]", "expected text"]),
        (pl.DataFrame({"user": [2**70, 1], "item": [1, 2]}), {}, ["row 0", "'user'", "64 bits", "as text"]),
        (pl.DataFrame({"user": [1, 1], "item": [2, 2]}), {"duplicates": "error"}, ["row 1", "row 0"]),
    ],
)
def test_bad_frames_are_refused(frame, options, parts):
    with pytest.raises(InputError) as refused:
        Interactions.from_frame(frame, **options)
    for part in parts:
        assert part in str(refused.value)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok"])
@pytest.mark.parametrize("name", ["array", "matrix"])
def test_sparse_matrices_round_trip(kind, name):
    dense = np.random.default_rng(0).choice([0.0, 0.0, 0.5, 3.0, 5.0], size=(20, 30))
    data = Interactions.from_sparse(getattr(sparse, f"{kind}_{name}")(dense))
    assert len(data) == np.count_nonzero(dense)
    assert data.levels == (0.5, 3.0, 5.0)
    rebuilt = np.zeros_like(dense)
    for user, item, level in data.frame().rows():
        rebuilt[user, item] = level
    assert (rebuilt == dense).all()


def test_stored_zeros_are_levels_and_names_are_kept():
    stored = sparse.coo_array(([0.0, 2.0, 1.0], ([0, 0, 2], [1, 0, 1])), shape=(3, 2))
    data = Interactions.from_sparse(stored, user_ids=["a", "b", "c"], item_ids=[10**18, 5])
    assert data.frame().rows() == [("a", 5, 0.0), ("a", 10**18, 2.0), ("c", 5, 1.0)]
    assert data.user_ids.to_list() == ["a", "c"]


def test_boolean_and_implicit_matrices_have_one_level():
    for matrix in (sparse.csr_array(np.eye(3, dtype=bool)), sparse.csr_array(2.5 * np.eye(3))):
        data = Interactions.from_sparse(matrix, implicit=True)
        assert (data.levels, len(data)) == (("consumed",), 3)
    assert Interactions.from_sparse(sparse.csr_array(np.eye(3, dtype=bool))).levels == ("consumed",)


def test_entries_stored_twice_are_not_added_up():
    twice = sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(2, 2))
    data = Interactions.from_sparse(twice)
    assert (data.frame().rows(), data.merged) == ([(0, 1, 2.0)], 1)
    assert Interactions.from_sparse(twice, duplicates="keep").has_repeats


@pytest.mark.parametrize(
    ("matrix", "options", "part"),
    [
        (sparse.coo_array(([np.nan], ([0], [1])), shape=(2, 2)), {}, "entry (0, 1), level: nan"),
        (sparse.coo_array(([np.inf], ([1], [1])), shape=(2, 2)), {}, "entry (1, 1), level: inf"),
        (sparse.coo_array(([2.0], ([1], [0])), shape=(2, 2)), {"levels": [1.0]}, "entry (1, 0)"),
        (sparse.csr_array((2, 2)), {}, "stores no entry"),
        (sparse.coo_array(np.ones(3)), {}, "1 dimensions"),
        (np.eye(2), {}, "not ndarray"),
        (sparse.coo_array(([1.0, 0.0], ([0, 1], [0, 1])), shape=(2, 2)), {"implicit": True}, "(1, 1)"),
        (sparse.csr_array(np.eye(2)), {"user_ids": 5}, "one value"),
        (sparse.csr_array(np.eye(2)), {"user_ids": ["a"]}, "user_ids holds 1"),
        (sparse.csr_array(np.eye(2)), {"item_ids": ["a", "a"]}, "item_ids holds 1"),
        (sparse.csr_array(np.eye(2)), {"item_ids": ["a", 1]}, "several types"),
        (sparse.csr_array(1j * np.eye(2)), {}, "type"),
    ],
)
def test_bad_matrices_are_refused(matrix, options, part):
    with pytest.raises(InputError) as refused:
        Interactions.from_sparse(matrix, **options)
    assert part in str(refused.value)


def test_memory_goes_with_what_is_observed():
    ids = np.random.default_rng(0).integers(10**18, size=20_000)
    frame = pl.DataFrame({"user": ids, "item": ids[::-1], "rating": ids % 5})
    tracemalloc.start()
    data = Interactions.from_frame(frame)
    wide = Interactions.from_sparse(sparse.coo_array(([1.0], ([10**9], [10**9 + 1])), shape=(2 * 10**9, 2 * 10**9)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 8 * len(ids)
    assert data.user_ids.to_list() == sorted(set(ids.tolist()))
    assert wide.frame().rows() == [(10**9, 10**9 + 1, 1.0)]


def test_subset_keeps_identifiers_and_levels():
    data = small()
    part = data.subset([2, 2])
    assert part.frame().rows() == [(3, "a", 5.0, 9.0)] * 2
    assert part.user_ids is data.user_ids
    assert part.levels == data.levels
    assert part.has_repeats
    assert data.subset(data.level > 0).frame().rows() == [(3, "b", 2.0, 7.0), (3, "a", 5.0, 9.0)]
    assert len(data.subset([])) == 0
    assert len(data.subset(np.zeros(3, dtype=bool))) == 0
    assert data.subset([]).frame().schema == data.frame().schema


def test_arrays_are_frozen_and_the_callers_stay_as_they_were():
    user = np.array([0, 1])
    data = Interactions(user, user, np.zeros(2, int), None, pl.Series([5, 6]), pl.Series([7, 8]), ("consumed",))
    with pytest.raises(ValueError, match="read-only"):
        data.user[0] = 1
    user[0] = 0
    assert data.user.dtype == np.int64
    assert repr(data) == f"Interactions({data.summary})"


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"user": [0, 2]}, "user codes run from 0 to 2, expected 0 to 1"),
        ({"item": [-1, 0]}, "item codes run from -1"),
        ({"level": [0, 1]}, "level codes"),
        ({"level": [0]}, "level has shape (1,)"),
        ({"item": [0.0, 1.0]}, "float64"),
        ({"time": np.array([1.0, np.nan])}, "finite"),
        ({"time": np.array([1.0])}, "one per interaction"),
        ({"user_ids": pl.Series([5, 5])}, "user_ids must be distinct"),
        ({"item_ids": pl.Series([5, None])}, "item_ids must be distinct"),
        ({"levels": ("a", "a")}, "distinct"),
        ({"levels": ()}, "level codes"),
        ({"levels": (2.0, 1.0)}, "ascending"),
        ({"levels": (np.nan,)}, "finite"),
        ({"levels": (1.0, "a")}, "distinct names, or finite numbers"),
    ],
)
def test_inconsistent_interactions_are_refused(changes, part):
    fields = {
        "user": [0, 1],
        "item": [0, 1],
        "level": [0, 0],
        "time": None,
        "user_ids": pl.Series([5, 6]),
        "item_ids": pl.Series([7, 8]),
        "levels": ("consumed",),
    }
    with pytest.raises(InputError) as refused:
        Interactions(**(fields | changes))
    assert part in str(refused.value)


@pytest.mark.parametrize(
    ("ids", "part"),
    [
        ([3, 99], "user 99"),
        (["3"], "came as String"),
        ("3", "one text"),
        (3, "write [3]"),
        ([3, 2**70], "beyond 64 bits"),
        ([3, "a"], "several types"),
        ([2**64 - 1], "user"),
    ],
)
def test_unknown_identifiers_are_refused(ids, part):
    with pytest.raises(InputError) as refused:
        small().user_codes(ids)
    assert part in str(refused.value)


@pytest.mark.parametrize("which", [[3], [-4], [0.5], [True], [True] * 4])
def test_subsets_out_of_range_are_refused(which):
    with pytest.raises(InputError, match="expected positions from 0 to 2"):
        small().subset(which)


def test_codes_of_no_identifiers_are_none():
    assert small().user_codes([]).tolist() == []
    assert small().user_codes(np.array([3, 1, 3])).tolist() == [1, 0, 1]
