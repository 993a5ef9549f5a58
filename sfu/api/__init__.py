"""The sfu's public interface: join tokens, desired state, facts, signaling messages, sink records."""
