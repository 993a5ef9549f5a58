"""A film of all participants of a finished recording, made by a process of its own (`python -m recorder.compose`)."""
