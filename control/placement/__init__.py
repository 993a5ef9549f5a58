"""Placement of rooms on nodes: the first node, secondary nodes, failover, and the memory of nodes."""
