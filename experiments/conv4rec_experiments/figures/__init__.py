"""From tables to pictures: a figure reads its table and computes no result of its own."""
