"""The database and its archive -> files for other programs."""
