"""The composition root: command line, settings of each part, supervisor."""
