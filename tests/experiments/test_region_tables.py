"""Tables of any model over groups of cells: the same certificates as of a callable, and refusals in words."""

import json
import sys

import numpy as np
import polars as pl
import pytest

from conv4rec import InputError, Interactions, split_by_coin, split_by_interaction
from conv4rec.popularity import Popularity
from conv4rec.splits import Part
from conv4rec_bounds import THEOREMS, Evidence, HeldOut, Protocol, certify
from conv4rec_experiments import cli
from conv4rec_experiments.distances import compare, laws_of_popularity
from conv4rec_experiments.partition import write_partition
from conv4rec_experiments.region_tables import compare_tables
from conv4rec_experiments.regions import regions_of

BOTH = [theorem for theorem in THEOREMS if theorem.number in ("T7f", "T9-lower")]
PROTOCOLS = {sampling: Protocol(sampling) for sampling in ("independent", "finite pool", "neither")}
WORDS = {Part.PROFILE: "training", Part.SCORED: "training", Part.VALIDATION: "validation", Part.HELD_OUT: "held out"}
USERS, ITEMS = 130, 40


def ratings(protocol):
    rng = np.random.default_rng(4)
    weights = np.arange(ITEMS, 0.0, -1)
    sizes = rng.integers(12, 30, USERS)
    item = np.concatenate([rng.choice(ITEMS, size, replace=False, p=weights / weights.sum()) for size in sizes])
    # Active users like what others do not, which no popularity model can know.
    liked = (item < ITEMS // 2) == (np.repeat(sizes, sizes) > 20)
    rating = np.where(rng.random(item.size) < 0.1, 3.0, np.where(liked, 4.5, 0.5))
    frame = pl.DataFrame({"user": np.repeat(np.arange(USERS), sizes), "item": item, "rating": rating})
    cut = split_by_coin if protocol == "coin" else split_by_interaction
    return cut(Interactions.from_frame(frame), (0.2, 0.2, 0.1, 0.5), seed=7)


def written(split, folder):
    """Write what the owner of a popularity model would: his split, then his laws over the groups that it gives."""
    words = pl.Series([WORDS[Part(part)] for part in split.part])
    path = folder / "split.csv"
    split.interactions.frame().with_columns(part=words).write_csv(path)
    resolution, (users, items, interactions) = write_partition(path, folder, segments=3, cells=24)
    law = np.broadcast_to(np.exp(Popularity.fit(split).cell_logits), (USERS, ITEMS, 3))
    law = law * ~split.item_mask(np.arange(USERS))[:, :, None]
    group = pl.read_csv(items)["group"].to_numpy() - 1
    coarse = np.einsum("ujr,jg->ugr", law, np.eye(group.max() + 1)[group], optimize=True)
    coarse /= coarse.reshape(USERS, -1).sum(axis=1)[:, None, None]
    user, place, level = np.indices(coarse.shape).reshape(3, -1)
    laws = pl.DataFrame(
        {
            "user": user,
            "group": place + 1,
            "level": split.interactions.level_values[level],
            "probability": coarse.ravel(),
        }
    )
    laws.write_csv(folder / "laws.csv")
    return resolution, users, items, interactions


def evidence_of(split, sampling):
    half = len(split.held_out) // 2
    sample = HeldOut(np.full(half, -1.0), np.full(half, 9), pool=np.full(2 * half, 9))
    anything = HeldOut(np.full(half, -1.0), np.full(half, 9))
    pool = sample if sampling == "finite pool" else None
    return Evidence(120, PROTOCOLS[sampling], held_out=anything, pool_sample=pool)


@pytest.mark.parametrize("protocol", ["coin", "interaction"])
@pytest.mark.parametrize("sampling", ["finite pool", "independent"])
def test_tables_have_the_certificates_of_the_callable_digit_for_digit(protocol, sampling, tmp_path, monkeypatch):
    split = ratings(protocol)
    resolution, users, items, interactions = written(split, tmp_path)
    regions = regions_of(split, segments=3, cells=24)
    assert resolution == regions.words
    assert np.array_equal(pl.read_csv(users)["segment"].to_numpy() - 1, regions.segment)
    assert np.array_equal(pl.read_csv(items)["group"].to_numpy() - 1, regions.group)
    monkeypatch.setattr("conv4rec_experiments.distances.regions_of", lambda split: regions)
    wanted = compare(split, laws_of_popularity(Popularity.fit(split)), evidence_of(split, sampling))
    found = compare_tables(tmp_path / "laws.csv", interactions, PROTOCOLS[sampling], seed=7)
    assert found.at_most == wanted.at_most
    assert (found.at_most is not None) == (sampling == "finite pool")
    reports = [certify(Evidence(1, PROTOCOLS[sampling], **one.parts), 0.05, BOTH) for one in (wanted, found)]
    assert reports[0].record() == reports[1].record()
    assert 0 < reports[1]["T9-lower"].value < reports[1]["T7f"].value <= 1
    if sampling == "finite pool":
        assert reports[1]["T9-lower"].value < found.at_most < reports[1]["T7f"].value < 1


def test_the_order_of_rows_of_laws_their_kind_of_file_and_unused_rows_do_not_matter(tmp_path):
    _, _, _, interactions = written(ratings("coin"), tmp_path)
    laws = pl.read_csv(tmp_path / "laws.csv")
    shuffled = laws.sample(fraction=1.0, shuffle=True, seed=1).with_columns(pl.col("probability").cast(pl.Float32))
    more = laws.filter(user=0).with_columns(user=pl.lit(USERS, pl.Int64))
    pl.concat([shuffled.cast({"probability": pl.Float64}), more]).write_parquet(tmp_path / "laws.parquet")
    one, two = (
        compare_tables(tmp_path / name, interactions, PROTOCOLS["finite pool"], seed=7)
        for name in ("laws.csv", "laws.parquet")
    )
    assert np.array_equal(one.parts["rounds"].counts, two.parts["rounds"].counts)
    assert np.array_equal(one.parts["events"].counts[:-3], two.parts["events"].counts[:-3])
    np.testing.assert_allclose(one.parts["rounds"].laws, two.parts["rounds"].laws, rtol=1e-6)
    assert one.at_most == pytest.approx(two.at_most, rel=1e-6)
    other = compare_tables(tmp_path / "laws.csv", interactions, PROTOCOLS["finite pool"], seed=8)
    assert not np.array_equal(one.parts["rounds"].counts, other.parts["rounds"].counts)
    assert other.at_most == one.at_most


def test_a_law_of_segments_is_that_of_all_their_users(tmp_path):
    split = ratings("interaction")
    _, users, _, interactions = written(split, tmp_path)
    segments = pl.read_csv(users)
    laws = pl.read_csv(tmp_path / "laws.csv").join(segments, on="user")
    # The popularity model has one law for all users, so any user of a segment shows the segment's.
    laws.group_by("segment", "group", "level").agg(pl.col("probability").first()).write_csv(tmp_path / "segments.csv")
    for sampling in ("finite pool", "independent"):
        one, two = (
            compare_tables(tmp_path / name, interactions, PROTOCOLS[sampling], seed=7).parts
            for name in ("laws.csv", "segments.csv")
        )
        assert np.array_equal(one["events"].counts, two["events"].counts)
        np.testing.assert_allclose(one["events"].probabilities, two["events"].probabilities, rtol=1e-12)
        assert one["rounds"].counts.sum() == two["rounds"].counts.sum()


def test_nothing_declared_is_refused_by_both(tmp_path):
    _, _, _, interactions = written(ratings("coin"), tmp_path)
    found = compare_tables(tmp_path / "laws.csv", interactions, PROTOCOLS["neither"])
    report = certify(Evidence(1, PROTOCOLS["neither"], **found.parts), 0.05, BOTH)
    assert found.at_most is None
    assert "neither independent draws nor a random subset" in report["T7f"].reason
    assert "T9-lower refuses (A2)" in report["T9-lower"].reason


LAWS = "user,group,level,probability\n" + "".join(
    f"{user},{group},{level},0.25\n" for user in ("ann", "bo") for group in (1, 2) for level in (1, 2)
)
ROWS = "user,segment,group,level,part\nann,1,1,1,held out\nbo,2,2,2,Held_Out\nbo,2,1,2,validation\nann,1,2,1,training\n"
REFUSED = {
    "no probability": ("laws", "ann,1,1,0.25", "ann,1,1,", "row 1 of .* has '' as probability|has None as probability"),
    "NaN": ("laws", "ann,1,1,0.25", "ann,1,1,nan", "row 1 of .* has nan as probability; expected a probability"),
    "infinite": ("laws", "ann,1,1,0.25", "ann,1,1,inf", "has inf as probability"),
    "negative": ("laws", "ann,1,1,0.25", "ann,1,1,-0.25", "has -0.25 as probability; expected one from 0 to 1"),
    "no sum": ("laws", "bo,2,2,0.25", "bo,2,2,0.5", "of user 'bo' in .* sum to 1.25; expected 1"),
    "a group is missing": ("laws", "bo,2,2,0.25\n", "", "has 3 rows of user 'bo'; expected 4, one for each of the gr"),
    "a group twice": ("laws", "bo,2,2,0.25", "bo,2,1,0.25", "group 2 at level 1 of user 'bo' more than once"),
    "no whole group": ("laws", "bo,2,2,0.25", "bo,1.5,2,0.25", "as group; expected a whole number from 1"),
    "a far group": ("laws", "bo,2,2,0.25", "bo,999,2,0.25", "'999' as group; expected a whole number from 1, without"),
    "no user": ("laws", "bo,2,2,0.25", ",2,2,0.25", "row 8 of .* has no user"),
    "both keys": ("laws", "user,group,level", "user,segment,level", "expected either user or segment"),
    "unknown user": ("rows", "ann,1,1,1", "cy,1,1,1", "has no row of user 'cy', which has interactions"),
    "unknown group": ("rows", "ann,1,1,1", "ann,1,3,1", "has the group 3, but .* knows the groups 1 to 2"),
    "unknown level": (
        "rows",
        "ann,1,1,1",
        "ann,1,1,9",
        "has the level 9, which .* does not know; expected one of 1, 2",
    ),
    "two segments": ("rows", "bo,2,1,2", "bo,1,1,2", "user 'bo' is in more than one segment"),
    "no such part": ("rows", "Held_Out", "test", "has 'test' as part; expected training, validation or held out"),
    "no segments": ("rows", "user,segment", "user,cut", "has no column segment"),
    "a sample": ("rows", "level,part", "level,sampled", "the random half is drawn here"),
    "nothing held out": ("rows", "Held_Out", "training", "fewer than two held-out interactions"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_law_or_does_not_fit_is_refused_in_words(case, tmp_path):
    which, old, new, words = REFUSED[case]
    texts = {"laws": LAWS, "rows": ROWS}
    assert old in texts[which]
    texts[which] = texts[which].replace(old, new, 1)
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        compare_tables(tmp_path / "laws.csv", tmp_path / "rows.csv", PROTOCOLS["finite pool"])


def test_what_is_right_is_taken(tmp_path):
    (tmp_path / "laws.csv").write_text(LAWS)
    (tmp_path / "rows.csv").write_text(ROWS)
    found = compare_tables(tmp_path / "laws.csv", tmp_path / "rows.csv", PROTOCOLS["finite pool"])
    assert found.at_most == 0.75
    assert found.parts["events"].names[-1] == "segments' levels that the model finds too rare"


SPLITS = {
    "no parts": ("user,item\n1,2\n", {"implicit": True}, "has no column part"),
    "no training": ("user,item,part\n1,2,held out\n", {"implicit": True}, "has no training rows"),
    "no segments": ("user,item,part\n1,2,training\n", {"implicit": True, "segments": 0}, "0 segments and 50 cells"),
    "empty lines": ("user,item,part\n1,2,training\n\n1,3,training\n", {"implicit": True}, "no column|as part|empty"),
}


@pytest.mark.parametrize("case", SPLITS)
def test_a_split_that_cannot_be_cut_is_refused(case, tmp_path):
    text, options, words = SPLITS[case]
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        write_partition(tmp_path / "split.csv", tmp_path / "regions", **options)
    assert not (tmp_path / "regions").exists()


def test_the_commands_do_the_same(tmp_path, capsys, monkeypatch):
    _, _, _, interactions = written(ratings("coin"), tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["conv4rec", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    regions = tmp_path / "regions"
    assert call("regions", tmp_path / "split.csv", "--segments", 3, "--cells", 24, "--out", regions) == 0
    assert "3 segments of users over 24 groups of cells, chosen from the training rows" in " ".join(
        capsys.readouterr().out.split()
    )
    assert (regions / "interactions.csv").read_bytes() == interactions.read_bytes()
    laws = ("--laws", tmp_path / "laws.csv", "--interactions", regions / "interactions.csv")
    out = tmp_path / "out"
    assert call("certify", *laws, "--pool", "--seed", 7, "--delta", 0.1, "--out", out) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "total variation over groups of cells model at least at most measured the model" in printed
    found = compare_tables(tmp_path / "laws.csv", interactions, PROTOCOLS["finite pool"], seed=7)
    report = certify(Evidence(1, PROTOCOLS["finite pool"], **found.parts), 0.1)
    record = json.loads((out / "certificates.json").read_text())
    assert record["certificates"] == json.loads(json.dumps(report.record()["certificates"]))
    rows = {row["theorem"]: row for row in csv_rows(out / "certificates.csv")}
    assert float(rows["T7f"]["measured"]) == float(rows["T9-lower"]["measured"]) == found.at_most
    page = (out / "report.html").read_text()
    assert "How far from the truth, at least and at most" in page
    scores = tmp_path / "users.csv"
    scores.write_text("user,recall\n" + "".join(f"{user},0.5\n" for user in range(80)))
    assert call("certify", *laws, "--user-scores", scores, "--pool", "--out", out) == 0
    together = {row["theorem"]: row for row in csv_rows(out / "certificates.csv")}
    assert all(together[theorem]["value"] for theorem in ("T7f", "T9-lower", "T9-users"))
    assert call("certify", *laws, "--out", out) == 0
    assert "declare --independent or --pool if it is true" in " ".join(capsys.readouterr().out.split())
    for arguments, words in (
        (("--laws", "x"), "--laws says nothing without --interactions; give --interactions, too"),
        (("--interactions", "x"), "give one thing to certify"),
        ((*laws, "--cells", 5), "--cells does not go with --laws; it goes with"),
        ((*laws, "--weights", "x"), "give one thing to certify"),
    ):
        assert call("certify", *arguments) == 2
        assert words in capsys.readouterr().err


def csv_rows(path):
    return pl.read_csv(path, infer_schema=False).to_dicts()
