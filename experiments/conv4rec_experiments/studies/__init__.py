"""Studies on known truths: what fits reach, and how often certificates hold."""
