"""Run all benchmarks and print their ratios."""

import polars as pl

from conv4rec_experiments.benchmarks.certify import certify_ratios, held_out_ratios
from conv4rec_experiments.benchmarks.encode import encode_ratios
from conv4rec_experiments.benchmarks.fits import fit_rows
from conv4rec_experiments.benchmarks.large_fit import large_fit_ratios
from conv4rec_experiments.benchmarks.norms import large_norm_ratios, norm_ratios
from conv4rec_experiments.printing import print_frame

if __name__ == "__main__":
    print_frame(pl.DataFrame(list(encode_ratios())), "lift and encode, 64 users with 50 observed items each")
    print_frame(pl.DataFrame(list(norm_ratios())), "certified spectral norm")
    print_frame(pl.DataFrame(list(large_norm_ratios())), "certified spectral norm of a large layer")
    print_frame(pl.DataFrame(list(certify_ratios())), "all theorems, 20,000 items, 10 levels, 8 channels, code 128")
    print_frame(pl.DataFrame(list(held_out_ratios())), "certificates of log-probabilities, processor time")
    print_frame(pl.DataFrame(list(fit_rows())), "maximum-likelihood fits, reference truth, processor time")
    print_frame(pl.DataFrame(list(large_fit_ratios())), "maximum-likelihood fit, 2,000 users, 1,000 items, 5 levels")
