"""The engine: executes, per packet, the table that Python policy edits between batches. See contract.py."""
