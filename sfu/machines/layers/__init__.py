"""Layers: which are alive, which are asked for, and how an estimate is shared among them."""
