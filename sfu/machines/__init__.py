"""Floor 2: pure state machines. `now` is an argument, results are returned, nothing here owns a socket or a clock."""
