"""Folder tree -> Study, Series, Instance; headers only."""
