"""The sfu process: the only part of it that owns sockets, the loop, timers and the clock."""
