"""The commands of `screening`, one module a topic: thin functions over library calls."""
