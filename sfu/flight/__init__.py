"""The flight recorder: what an estimator and a room were told lately, kept, dumped and replayed."""
