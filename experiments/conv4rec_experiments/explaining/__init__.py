"""What a trained model has learned, as tables: its mixing of levels, its channels, its users, its catalogue."""
