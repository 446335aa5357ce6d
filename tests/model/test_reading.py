"""Every format gives the same interactions back, and every bad file is refused with its line and column."""

import contextlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.reading import read

ROWS = [("ann", 10**18, 4.5, 30.0), ("bo", 7, 3.0, 20.0), ("ann", 7, 0.5, 10.0), ("Зоя 🎬", 10**9, 3.0, 20.0)]
HEADER = ("userId", "movieId", "rating", "timestamp")
SCHEMA = {"user": pl.String, "item": pl.Int64, "level": pl.Float64, "time": pl.Float64}
FRAME = pl.DataFrame(ROWS, schema=SCHEMA, orient="row")


def written(path: Path, separator: str = ",", header: tuple[str, ...] | None = HEADER, end: str = "\n") -> Path:
    rows = ([header] if header else []) + [tuple(map(str, row)) for row in ROWS]
    path.write_bytes("".join(separator.join(row) + end for row in rows).encode())
    return path


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as refused:
        read(path, **options)
    message = str(refused.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "separator", "header"),
    [
        ("ratings.csv", ",", HEADER),
        ("semicolons.csv", ";", HEADER),
        ("ratings.tsv", "\t", HEADER),
        ("u.data", "\t", None),
        ("ratings.dat", "::", None),
        ("set.inter", "\t", ("user_id:token", "item_id:token", "rating:float", "timestamp:float")),
        ("commas.txt", ",", HEADER),
        ("tabs.txt", "\t", HEADER),
        ("colons.txt", "::", None),
        ("typed.txt", "\t", ("user_id:token", "item_id:token", "rating:float", "timestamp:float")),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", " \n"])
def test_text_formats_give_the_same_interactions(tmp_path, name, separator, header, end):
    read_back = read(written(tmp_path / name, separator, header, end))
    assert read_back.frame().equals(FRAME)
    assert read_back.levels == (0.5, 3.0, 4.5)


@pytest.mark.parametrize(
    ("name", "separator", "header"),
    [("csv", ",", HEADER), ("tsv", "\t", HEADER), ("u.data", "\t", None), ("ratings.dat", "::", None)],
)
def test_format_by_name_wins_over_the_suffix(tmp_path, name, separator, header):
    path = written(tmp_path / "ratings.parquet", separator, header)
    assert read(path, format=name).frame().equals(FRAME)


def test_parquet_gives_the_same_interactions(tmp_path):
    FRAME.write_parquet(tmp_path / "any.parquet")
    assert read(tmp_path / "any.parquet").frame().equals(FRAME)


@given(
    st.lists(
        st.tuples(st.text(alphabet='a7"\n,é\U0001f3ac', min_size=1), st.integers(-(2**63), 2**63 - 1)),
        min_size=1,
        unique=True,
    )
)
def test_quoted_text_is_given_back(tmp_path_factory, pairs):
    frame = pl.DataFrame(pairs, schema={"user": pl.String, "item": pl.Int64}, orient="row")
    path = tmp_path_factory.mktemp("quoted") / "clicks.csv"
    frame.write_csv(path, quote_style="always")
    read_back = read(path).frame()
    assert read_back["user"].cast(pl.String).to_list() == frame["user"].to_list()
    assert read_back["item"].to_list() == frame["item"].to_list()


@pytest.mark.parametrize(
    ("written_ids", "kept"),
    [
        (["1", "1000000000", "1000000000000000000"], [1, 10**9, 10**18]),
        (["-5", "0"], [-5, 0]),
        (["007", "7"], ["007", "7"]),
        (["+7", "7"], ["+7", "7"]),
        (["1.0", "1"], ["1.0", "1"]),
        (["7", "seven"], ["7", "seven"]),
        (["99999999999999999999", "1"], ["99999999999999999999", "1"]),
        (["été", "東京", "🎬", "null", "NaN"], ["été", "東京", "🎬", "null", "NaN"]),
    ],
)
def test_identifiers_are_kept_with_their_type(tmp_path, written_ids, kept):
    path = tmp_path / "clicks.csv"
    path.write_text("user,item\n" + "".join(f"{user},x\n" for user in written_ids), encoding="utf-8")
    data = read(path)
    assert data.frame()["user"].to_list() == kept
    assert data.user_ids.to_list() == sorted(kept)
    assert data.levels == ("consumed",)


def test_blanks_byte_order_mark_and_empty_times_mean_nothing(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_bytes("\ufeffuser , item, rating,timestamp\n\n 1, 2, 4.0,\n 1, 3 ,5,\n".encode())
    data = read(path)
    assert data.time is None
    assert data.frame().rows() == [(1, 2, 4.0), (1, 3, 5.0)]


def test_dates_become_seconds(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("user,item,date\na,x,1970-01-01 00:00:10\na,y,1970-01-02 00:00:00\n")
    assert read(path).time.tolist() == [10.0, 86400.0]


def test_columns_name_a_file_without_header(tmp_path):
    path = written(tmp_path / "set.csv", header=None)
    assert read(path, columns=["who", "what", "rating", "time"], user="who", item="what").frame().equals(FRAME)


def test_implicit_ignores_levels_and_other_columns(tmp_path):
    path = written(tmp_path / "set.csv", header=("user", "item", "mood", "time"))
    assert read(path, implicit=True).levels == ("consumed",)
    assert read(path, level="mood").levels == (0.5, 3.0, 4.5)


def test_events_are_ordered_as_given_or_alphabetically(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item,event\n1,1,view\n1,2,cart\n1,3,view\n")
    given_order = read(path, levels=["view", "cart", "buy"])
    assert (given_order.levels, given_order.level.tolist()) == (("view", "cart", "buy"), [0, 1, 0])
    assert "alphabetical" not in given_order.summary
    alphabetical = read(path)
    assert (alphabetical.levels, alphabetical.level.tolist()) == (("cart", "view"), [1, 0, 1])
    assert "cart < view, in alphabetical order" in alphabetical.summary


def test_names_of_levels_may_be_digits(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item,behavior\n1,1,2\n1,2,1\n")
    assert read(path, levels=["2", "1"]).level.tolist() == [0, 1]


def test_directory_with_one_ratings_file(tmp_path):
    written(tmp_path / "ratings.csv")
    (tmp_path / "movies.csv").write_text("movieId,title\n1,Toy Story\n")
    assert read(tmp_path).frame().equals(FRAME)
    written(tmp_path / "other.inter", "\t")
    assert "2 known ratings files (other.inter, ratings.csv)" in refusal(tmp_path)
    (tmp_path / "ratings.csv").unlink()
    (tmp_path / "other.inter").unlink()
    assert "no known ratings file (movies.csv)" in refusal(tmp_path)


HEAD = "user,item,rating,timestamp\n1,1,4.0,5\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["the file is empty"]),
        ("\n \n", ["the file is empty"]),
        ("user,item,rating,timestamp\n", ["there are no rows"]),
        ("user,rating\n1,2\n", ["no column of items", "'user', 'rating'", "item="]),
        ("film,item,rating\n1,1,2\n", ["no column of users", "user="]),
        ("user,item,rating,rating\n1,1,2,2\n", ["two columns share a name"]),
        ("user,item,rating,event\n1,1,2,view\n", ["'rating' and 'event'", "level="]),
        ("user,item,mood\n1,1,2\n", ["'mood'", "level=", "implicit=True"]),
        (HEAD + "1,2,abc,5\n", ["line 3", "column 'rating'", "'abc'", "a number"]),
        (HEAD + "\n\n1,2,abc,5\n", ["line 5", "column 'rating'"]),
        (HEAD + "1,2,nan,5\n", ["line 3", "column 'rating'", "nan", "finite"]),
        (HEAD + "1,2,-inf,5\n", ["line 3", "column 'rating'", "-inf", "finite"]),
        (HEAD + "1,2,,5\n", ["line 3", "column 'rating'", "missing"]),
        (HEAD + ",2,3,5\n", ["line 3", "column 'user'", "missing"]),
        (HEAD + "1,,3,5\n", ["line 3", "column 'item'", "missing"]),
        (HEAD + "1,2,3,\n", ["line 3", "column 'timestamp'", "missing"]),
        (HEAD + "1,2,3,soon\n", ["line 3", "column 'timestamp'", "'soon'"]),
        (HEAD + "1,2,3,inf\n", ["line 3", "column 'timestamp'", "finite"]),
        (HEAD + "1,2,3\n", ["line 3", "3 fields", "expected 4", "user, item, rating, timestamp"]),
        (HEAD + "1,2,3,5,6\n", ["line 3", "5 fields", "expected 4"]),
        (HEAD + '"1\n2",2,3,5\n1,"2",x,5\n', ["line 5", "column 'rating'", "'x'"]),
        (HEAD + '1,"2",3\n', ["line 3", "3 fields"]),
        (HEAD + '1,2,3,5\n1,"2,3,5\n', ["line 4", "quote"]),
        ("user,item,rating\nx,y,bad\n", ["line 2", "column 'rating'", "'bad'"]),
        ("user,item,event\n1,1,view\n1,2,3\n", ["line 2", "column 'event'", "'view'", "levels="]),
        ("user,item,date\n1,1,soon\n", ["line 2", "column 'date'", "'soon'"]),
        ("user,item,date\n1,1,2020-01-01\n1,2,later\n", ["line 3", "column 'date'", "'later'"]),
        ("user,item,rating\n" + "".join(f"1,{k},{k}\n" for k in range(65)), ["column 'rating'", "65 distinct"]),
    ],
)
def test_bad_text_is_refused_with_its_place(tmp_path, text, parts):
    path = tmp_path / "set.csv"
    path.write_text(text)
    message = refusal(path)
    assert message.startswith(str(path))
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"levels": [0.5, 4.5]}, ["line 3", "column 'rating'", "3.0", "0.5, 4.5"]),
        ({"levels": ["4.5", "3.0"]}, ["line 4", "column 'rating'", "'0.5'"]),
        ({"levels": [3.0, 0.5, 4.5]}, ["increase"]),
        ({"levels": [1.0, float("nan")]}, ["finite"]),
        ({"levels": [1.0, "a"]}, ["mixes"]),
        ({"levels": "abc"}, ["one text"]),
        ({"levels": []}, ["at least one"]),
        ({"levels": ["a", "a"]}, ["once"]),
        ({"levels": [None]}, ["no list of numbers"]),
        ({"levels": [1.0, 2.0], "implicit": True}, ["no level column"]),
        ({"level": "rating", "implicit": True}, ["contradict"]),
        ({"user": "who"}, ["no column 'who'", "'userId'"]),
        ({"format": "xlsx"}, ["'xlsx'", "parquet"]),
        ({"duplicates": "sum"}, ["'sum'", "'keep'"]),
        ({"format": "parquet"}, ["not a Parquet file"]),
        ({"levels": 5}, ["levels=5", "no list"]),
        ({"level": "userId"}, ["'userId'", "its own column"]),
        ({"user": "movieId"}, ["'movieId'", "its own column"]),
        ({"format": "parquet", "columns": ["user"]}, ["leave out columns="]),
        ({"format": "ratings.dat"}, ["line 1", "1 fields", "'::'"]),
    ],
)
def test_bad_arguments_are_refused(tmp_path, options, parts):
    message = refusal(written(tmp_path / "set.csv"), **options)
    for part in parts:
        assert part in message


def test_more_levels_than_inferred_may_be_listed(tmp_path):
    path = tmp_path / "set.csv"
    path.write_text("user,item,rating\n" + "".join(f"1,{k},{k}\n" for k in range(65)))
    assert read(path, levels=list(range(100))).n_levels == 100


def test_other_bad_files_are_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "absent.csv")
    latin = tmp_path / "latin.csv"
    latin.write_bytes("user,item\na,x\né,x\n".encode("latin-1"))
    assert "line 3" in refusal(latin)
    unknown = tmp_path / "notes.txt"
    unknown.write_text("hello\n")
    assert "format=" in refusal(unknown)
    sequences = tmp_path / "set.inter"
    sequences.write_text("user_id:token\titem_id:token_seq\na\tx y\n")
    assert "column 'item_id' holds sequences" in refusal(sequences)
    typed = tmp_path / "typed.inter"
    typed.write_text("user_id:token\titem_id:token\tevent:float\na\tx\tview\n")
    assert "line 2, column 'event'" in refusal(typed)
    missing = tmp_path / "missing.parquet"
    pl.DataFrame({"user": [1, None], "item": [1, 2]}).write_parquet(missing)
    assert "row 1 (from 0), column 'user'" in refusal(missing)


def test_names_of_parquet_files_are_no_patterns(tmp_path):
    FRAME.write_parquet(tmp_path / "a[1]*.parquet")
    FRAME.head(1).write_parquet(tmp_path / "a1.parquet")
    FRAME.head(2).write_parquet(tmp_path / "a[1]b.parquet")
    assert len(read(tmp_path / "a[1]*.parquet")) == 4
    assert len(read(tmp_path / "a1.parquet")) == 1


def test_damaged_parquet_files_are_refused(tmp_path):
    path = tmp_path / "set.parquet"
    frame = pl.DataFrame(
        {"user": [f"u{k % 50}" for k in range(500)], "item": range(500), "rating": [k % 5 for k in range(500)]}
    )
    frame.write_parquet(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    whole_enough = 0
    for turn in range(150):
        damaged = bytearray(whole[: rng.integers(len(whole))] if turn % 3 == 0 else whole)
        for place in rng.integers(0, len(damaged), 3) if damaged else ():
            damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):
            read(path)
            whole_enough += 1
    assert whole_enough < 70


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ("last", [("a", "x", 2.0, 9.0), ("b", "x", 4.0, 5.0)]),
        ("first", [("a", "x", 1.0, 2.0), ("b", "x", 4.0, 5.0)]),
        ("keep", [("a", "x", 2.0, 9.0), ("a", "x", 1.0, 2.0), ("b", "x", 4.0, 5.0), ("a", "x", 1.0, 3.0)]),
    ],
)
def test_duplicates_are_merged_by_time_and_counted(tmp_path, policy, kept):
    path = tmp_path / "set.csv"
    path.write_text("user,item,rating,time\na,x,2,9\na,x,1,2\nb,x,4,5\na,x,1,3\n")
    data = read(path, duplicates=policy)
    assert data.frame().rows() == kept
    assert data.merged == 4 - len(kept)
    assert f"{data.merged} duplicates merged" in data.summary
    assert data.has_repeats == (policy == "keep")


def test_duplicates_without_or_at_equal_times_go_by_position(tmp_path):
    path = tmp_path / "set.csv"
    for text in ("user,item,rating,time\na,x,2,1\na,x,3,1\na,x,1,1\n", "user,item,rating\na,x,2\na,x,3\na,x,1\n"):
        path.write_text(text)
        assert read(path, duplicates="last").frame()["level"].to_list() == [1.0]
        assert read(path, duplicates="first").frame()["level"].to_list() == [2.0]


def test_duplicates_can_be_an_error(tmp_path):
    path = tmp_path / "set.csv"
    path.write_text("user,item,rating,time\nb,y,1,1\na,x,2,9\nb,z,1,1\na,x,1,2\nb,y,1,7\n")
    message = refusal(path, duplicates="error")
    assert "line 5, column 'item'" in message
    assert "line 3, column 'item'" in message
    assert "'a'" in message
    assert "'x'" in message


def test_codes_do_not_depend_on_the_order_of_rows(tmp_path):
    path = written(tmp_path / "ratings.csv")
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *reversed(rows)]))
    turned = read(path)
    assert turned.user_ids.equals(Interactions.from_frame(FRAME).user_ids)
    assert turned.frame().reverse().equals(FRAME)
