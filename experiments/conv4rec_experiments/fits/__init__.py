"""Maximum-likelihood fits to count tables, and what an efficient fit can reach."""
