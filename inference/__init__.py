"""Inference: a sink that decodes what participants consented to, and says what it understood."""
