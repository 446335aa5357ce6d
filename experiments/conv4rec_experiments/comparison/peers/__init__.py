"""Recommenders that people use, each behind the one interface of `conv4rec_experiments.comparison.systems`."""
