"""Speed as ratios against a peer, both measured in one run: ``python -m conv4rec_experiments.benchmarks``."""
