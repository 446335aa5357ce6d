"""What the 1x1 convolutions buy: both networks seed by seed, a panel for each measure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conv4rec_experiments.figures.style import SERIES, applied, new_figure, save

__all__ = ["draw_ablation"]

WORDS: Mapping[str, str] = {
    "joint": "joint loss (nats)",
    "implicit": "implicit loss (nats)",
    "explicit": "explicit loss (nats)",
    "rmse": "RMSE, expected level",
}


def draw_ablation(rows: Sequence[Mapping[str, Any]], stem: Path) -> list[Path]:
    """Draw the table of `conv4rec_experiments.explaining.ablation.ablate`; return the paths of PDF and PNG.

    A line joins the two networks of a seed: one that falls to the right says that mixing is better.
    """
    networks = list(dict.fromkeys(row["network"] for row in rows))[::-1]
    seeds = list(dict.fromkeys(row["seed"] for row in rows))
    sizes = {row["network"]: row for row in rows}
    with applied():
        figure = new_figure(9.0, 2.9)
        for axes, (measure, words) in zip(figure.subplots(1, len(WORDS)), WORDS.items(), strict=True):
            for place, seed in enumerate(seeds):
                look = SERIES[place % len(SERIES)]
                own = {row["network"]: row[measure] for row in rows if row["seed"] == seed}
                axes.plot(
                    range(len(networks)),
                    [own[network] for network in networks],
                    color=look.color,
                    linestyle=look.linestyle,
                    marker=look.marker or "x",
                    label=f"seed {seed}",
                )
            axes.set_xticks(range(len(networks)), [network.replace(" ", "\n", 1) for network in networks], fontsize=8)
            axes.set_xlim(-0.4, len(networks) - 0.6)
            axes.set_title(words, fontsize=10)
            axes.grid(axis="x", visible=False)
            axes.tick_params(axis="y", labelsize=8)
            # Numbers are whole: what is left of an offset is not read.
            axes.ticklabel_format(axis="y", useOffset=False)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=6)
        told = (
            "{network}: {channels} channels, codes of {code}, {weights:,} weights".format_map(sizes[n])
            for n in networks
        )
        figure.supxlabel("; ".join(told), fontsize=8)
        return save(figure, stem)
