"""A comparison is kept, continued, and refused where it does not belong."""

import json

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure as Drawing

from conv4rec import Conv4Rec, InputError, split_by_coin, split_by_interaction
from conv4rec_experiments.comparison.comparing import compare, evaluated_run, write_compared
from conv4rec_experiments.comparison.merits import FIGURES
from conv4rec_experiments.comparison.peers.histogram import fit_histogram
from conv4rec_experiments.comparison.peers.popularity import fit_popularity
from conv4rec_experiments.comparison.systems import System
from conv4rec_experiments.figures.comparison import draw_comparison, draw_reliability
from toy_ratings import toy_ratings

SMOOTH = {"user_smoothing": 3.0, "item_smoothing": 10.0}


class Counted:
    """Fits by another function, counts how often, and stops at one of them."""

    def __init__(self, fit, stop=None):
        self.fit, self.stop, self.calls = fit, stop, 0

    def __call__(self, task, options):
        self.calls += 1
        if self.calls == self.stop:
            raise KeyboardInterrupt
        return self.fit(task, options)


def systems(stop=None, grid=(SMOOTH, SMOOTH | {"user_smoothing": 30.0})):
    counted = Counted(fit_popularity), Counted(fit_histogram, stop)
    own = System("popularity", counted[0], "NDCG@100"), System("histogram", counted[1], "level log-loss", grid)
    return own, counted


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    compared = compare(toy_ratings(), systems()[0], 2, folder)
    return compared, write_compared(compared, folder), folder


def same(one, other) -> bool:
    timeless = [
        [{name: value for name, value in fit.items() if "seconds" not in name} for fit in compared.fits]
        for compared in (one, other)
    ]
    return one.users.equals(other.users) and json.dumps(timeless[0]) == json.dumps(timeless[1])


def test_what_was_stopped_is_continued_and_what_is_finished_is_not_fitted_again(found, tmp_path) -> None:
    stopped, counted = systems(stop=4)  # the second option of the second seed
    with pytest.raises(KeyboardInterrupt):
        compare(toy_ratings(), stopped, 2, tmp_path)
    assert [each.calls for each in counted] == [2, 4]
    again, counted = systems()
    continued = compare(toy_ratings(), again, 2, tmp_path)
    assert [each.calls for each in counted] == [0, 2]
    assert same(continued, found[0])
    once_more, counted = systems()
    told = []
    assert same(compare(toy_ratings(), once_more, 2, tmp_path, progress=lambda *row: told.append(row)), found[0])
    assert [each.calls for each in counted] == [0, 0]
    assert told == [("finished", 4, 4)]


def test_other_options_are_fitted_again_and_other_data_are_refused(tmp_path) -> None:
    compare(toy_ratings(), systems()[0], 1, tmp_path)
    other, counted = systems(grid=(SMOOTH,))
    compare(toy_ratings(), other, 1, tmp_path)
    assert [each.calls for each in counted] == [0, 1]
    with pytest.raises(InputError, match="begun with other data"):
        compare(toy_ratings(seed=1), other, 1, tmp_path)


@pytest.mark.parametrize("damage", ["", "{}", '{"grid": 1, "figures": {}}'])
def test_damaged_files_are_refused_by_name(damage, tmp_path) -> None:
    compare(toy_ratings(), systems()[0], 1, tmp_path)
    (tmp_path / "fits" / "popularity_0.json").write_text(damage)
    with pytest.raises(InputError, match="popularity_0"):
        compare(toy_ratings(), systems()[0], 1, tmp_path)


def test_rows_of_users_that_were_edited_are_refused(tmp_path) -> None:
    compare(toy_ratings(), systems()[0], 1, tmp_path)
    path = tmp_path / "fits" / "popularity_0.parquet"
    pl.read_parquet(path).with_columns(ndcg_100=pl.lit(1.0)).write_parquet(path)
    with pytest.raises(InputError, match=r"is not what popularity_0\.json tells"):
        compare(toy_ratings(), systems()[0], 1, tmp_path)


def test_the_table_has_means_over_seeds_and_the_rows_of_users_make_it(found) -> None:
    compared, paths, folder = found
    table = compared.table()
    assert table["system"].to_list() == ["popularity", "histogram"]
    for figure in FIGURES:
        for row in table.iter_rows(named=True):
            seeds = [figure.value(compared.of(row["system"]).filter(pl.col("seed") == seed)) for seed in (0, 1)]
            assert row[figure.name] == (None if seeds[0] is None else pytest.approx(np.mean(seeds)))
    assert {path.name for path in paths} == {"table.csv", "users.parquet", "fits.json"}
    assert pl.read_parquet(folder / "users.parquet").equals(compared.users)
    chosen = json.loads((folder / "fits.json").read_text())[2]
    losses = [row["level log-loss"] for row in chosen["tried"]]
    assert chosen["options"] == chosen["tried"][int(np.argmin(losses))]["options"]


def test_differences_are_written_where_two_systems_share_a_figure(tmp_path) -> None:
    pair = System("popularity", fit_popularity, "NDCG@100"), System("again", fit_popularity, "NDCG@100")
    compared = compare(toy_ratings(), pair, 1, tmp_path)
    write_compared(compared, tmp_path)
    rows = pl.read_csv(tmp_path / "differences.csv")
    assert rows["figure"].to_list() == [figure.name for figure in FIGURES[:7]]
    assert set(rows["verdict"]) == {"undecided"}


def test_no_seed_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="at least 1"):
        compare(toy_ratings(), systems()[0], 0, tmp_path)


@pytest.mark.parametrize("protocol", [split_by_coin, split_by_interaction])
def test_one_trained_model_is_evaluated_on_its_own_held_out_part(protocol) -> None:
    split = protocol(toy_ratings(), seed=1)
    model = Conv4Rec(channels=2, code=3, epochs=3, device="cpu").fit(split.interactions, split, progress=False)
    compared = evaluated_run(model)
    (row,) = compared.table().iter_rows(named=True)
    assert compared.users["interactions"].sum() == len(split.held_out)
    assert all(row[figure.name] > 0 for figure in FIGURES)
    assert row["fit, s"] is None
    assert set(compared.fits[0]["reliability"]) == {"consumption", "levels", "likeliest"}


def test_figures_show_every_system_and_are_told_apart_in_grey(found, tmp_path, monkeypatch) -> None:
    drawn = []
    save = Drawing.savefig
    monkeypatch.setattr(Drawing, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k)))
    paths = draw_comparison(found[0].fits, tmp_path / "comparison")
    assert [path.suffix for path in paths] == [".pdf", ".png"]
    panels = drawn[0].axes
    assert [axes.get_xlabel()[:6] for axes in panels] == ["NDCG@1", "← RMSE", "← leve", "← ECE "]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["popularity", "histogram"]
    ring = panels[0].get_lines()[0].get_xdata()
    assert list(ring) == [fit["figures"]["NDCG@100"] for fit in found[0].fits[:2]]
    assert len(draw_reliability(found[0].fits, tmp_path / "reliability")) == 2
    curves = [line for axes in drawn[2].axes for line in axes.get_lines() if line.get_label() in found[0].systems]
    assert {line.get_label() for line in curves} == {"popularity", "histogram"}
    assert len({(line.get_linestyle(), line.get_marker()) for line in curves}) == 2
    without = [fit | {"reliability": {}} for fit in found[0].fits]
    assert draw_reliability(without, tmp_path / "none") == []
