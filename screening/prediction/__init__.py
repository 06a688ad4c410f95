"""Network input -> slice BMD -> level BMD -> patient BMD and T-score."""
