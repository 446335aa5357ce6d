"""All that is told of a trained model from one call: tables, pictures and a page, written into a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from conv4rec.errors import InputError
from conv4rec_experiments.explaining.ablation import ablate, differences, resplit
from conv4rec_experiments.explaining.catalogue import ENOUGH, catalogue_table, rank_correlations
from conv4rec_experiments.explaining.channels import channel_curves, channel_effects, channel_items
from conv4rec_experiments.explaining.files import EXPLAINED, PICTURES
from conv4rec_experiments.explaining.mixing import mixing_table
from conv4rec_experiments.explaining.people import user_items, user_levels
from conv4rec_experiments.figures.ablation import draw_ablation
from conv4rec_experiments.figures.catalogue import draw_catalogue
from conv4rec_experiments.figures.channels import draw_channels, draw_effects
from conv4rec_experiments.figures.mixing import draw_mixing
from conv4rec_experiments.figures.people import draw_user
from conv4rec_experiments.files import delete, write_csv, write_text
from conv4rec_experiments.report.explained import ExplainedPage, render_explained
from conv4rec_experiments.report.facts import facts
from conv4rec_experiments.report.page import Figure

if TYPE_CHECKING:
    from conv4rec import Conv4Rec

__all__ = ["Explanation", "explain"]

CAPTIONS = {
    "mixing": (
        "How levels are mixed",
        "The 1x1 convolutions: lift turns the level of an observed item into a number in each channel, project turns "
        "a channel's item value into logits of the levels. Values are printed; shades are relative to the greatest "
        "magnitude of the channel, whose scale and sign mean nothing by themselves. A channel whose column of project "
        "is alike for all levels moves P(consume); one whose column differs between levels moves P(level | consumed).",
    ),
    "channels": (
        "What the channels listen to",
        "For each channel: what one item at each level adds to what it hears, after the activation; how it moves the "
        "logits of the levels; and the items whose logits it can move most.",
    ),
    "effects": (
        "What is lost without a channel",
        "The share of the logits' variance across users that is the channel's work (shares sum to 1); how far "
        "P(consume) and the expected level move when it is switched off; and how much the losses then grow. A loss "
        "that falls says that the channel does not help that task.",
    ),
    "catalogue": (
        "Popularity against enjoyment",
        "Every mark is an item: how likely it is to be consumed, and how likely a high level is once it is. On the "
        "left what the model believes, on the right what was observed.",
    ),
    "user": (
        "One user",
        "Every mark is an item: P(consume) against P(high level | consumed). Hidden gems are the unlikely ones that "
        "would probably be liked; on the right the levels of chosen items, framed where the user met the item.",
    ),
    "ablation": (
        "What the 1x1 convolutions buy",
        "The model against the same network in which every level is a channel of its own and is never mixed with "
        "others, with the same number of weights as nearly as possible, both trained on the same split for each seed.",
    ),
}


@dataclass(frozen=True)
class Explanation:
    """What was written about a model: what each channel does, the ablation if there was one, and the paths."""

    effects: pl.DataFrame
    differences: pl.DataFrame | None
    paths: list[Path]


def explain(
    model: Conv4Rec,
    out: Path,
    *,
    user: int | str | None = None,
    titles: dict[str, str] | None = None,
    seeds: Sequence[int] = (),
    on_fit: Callable[[int, str], None] | None = None,
) -> Explanation:
    """Write tables (CSV), pictures (PDF and PNG) and the page ``explained.html`` into a folder.

    What an earlier explanation has written there is deleted.

    Parameters
    ----------
    model
        A trained model of data with several levels.
    out
        The folder; it is made if there is none.
    user
        Whose profile page is drawn; by default the user with the most interactions in the profile part.
    titles
        Titles of items, by item as it is written (see `read_titles`).
    seeds
        Seeds of the ablation; without any there is none. Each takes two trainings.
    on_fit
        Called with the seed and the name of the network before each training.

    Raises
    ------
    InputError
        If there is one level only, or the user is unknown.
    """
    data = model.interactions
    if data.n_levels == 1:
        raise InputError(
            f"the run has the one level {data.levels[0]!r}: there is nothing to mix and nothing to enjoy; train it on "
            "ratings or on several kinds of events."
        )
    user = _busiest(model) if user is None else user
    items = user_items(model, user, titles)
    levels, catalogue = user_levels(model, items), catalogue_table(model, titles)
    tables = {
        "mixing": mixing_table(model),
        "channels": channel_curves(model),
        "channel_items": channel_items(model, titles),
        "effects": channel_effects(model),
        "catalogue": catalogue,
        "user_items": items,
        "user_levels": levels,
    }
    compared = None
    if seeds:
        tables["ablation"] = ablate(model, partial(resplit, model), seeds, on_fit)
        compared = tables["ablation_differences"] = differences(tables["ablation"])
    delete(out, EXPLAINED)
    rows = {name: table.to_dicts() for name, table in tables.items()}
    paths = [
        *draw_mixing(rows["mixing"], out / "mixing"),
        *draw_channels(rows["channels"], rows["channel_items"], out / "channels"),
        *draw_effects(rows["effects"], out / "effects"),
        *draw_catalogue(rows["catalogue"], rank_correlations(catalogue), ENOUGH, out / "catalogue"),
        *draw_user(rows["user_items"], rows["user_levels"], out / "user"),
        *(draw_ablation(rows["ablation"], out / "ablation") if seeds else []),
        *(write_csv(out / f"{name}.csv", table) for name, table in rows.items()),
    ]
    page = ExplainedPage(
        title="What one trained model has learned",
        facts=facts(model) | {"user": str(user)},
        figures=[Figure(*CAPTIONS[name], out / f"{name}.png") for name in PICTURES if (out / f"{name}.png") in paths],
        chosen=_chosen(rows["user_items"]),
        effects=rows["effects"],
        differences=rows.get("ablation_differences", []),
    )
    return Explanation(
        tables["effects"], compared, [write_text(out / "explained.html", render_explained(page)), *paths]
    )


def _busiest(model: Conv4Rec) -> Any:
    ids = model.interactions.user_ids
    counts = model.split.profile.frame().group_by("user").len().sort("len", "user", descending=[True, False])
    return counts["user"][0] if len(counts) else ids[0]


def _chosen(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order the named items of a user: recommendations, gems, and some that were seen."""
    kinds = ("recommended", "gem", "seen")
    named = [row for row in items if row["kind"] is not None and row["rank"] <= 5]
    return sorted(named, key=lambda row: (kinds.index(row["kind"]), row["rank"]))
