"""Run all benchmarks and print their ratios."""

import polars as pl

from conv4rec_experiments.benchmarks.encode import encode_ratios
from conv4rec_experiments.benchmarks.norms import norm_ratios
from conv4rec_experiments.printing import print_frame

if __name__ == "__main__":
    print_frame(pl.DataFrame(list(encode_ratios())), "lift and encode, 64 users with 50 observed items each")
    print_frame(pl.DataFrame(list(norm_ratios())), "certified spectral norm")
