"""Data frames -> figures; pure functions, one module a page, units on the axes, colours named once."""
