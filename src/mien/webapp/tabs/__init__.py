"""One module a tab, each with a function ``show``."""
