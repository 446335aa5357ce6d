"""From results to one self-contained page; nothing is computed here."""
