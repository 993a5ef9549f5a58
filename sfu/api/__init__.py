"""What other parts may know of the sfu: join tokens, desired state, facts, signaling messages, sink records."""
