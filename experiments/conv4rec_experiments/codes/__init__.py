"""Networks in few bytes: fitted around what profiles alone give, quantised, written to a file, read back."""
