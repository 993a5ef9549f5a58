"""Pure state machines. They take `now` as an argument and return results; none owns a socket or a clock."""
