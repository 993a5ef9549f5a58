"""Layers: liveness, demand, and the allocation of an estimate."""
