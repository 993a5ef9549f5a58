"""Films of finished recordings, made by a separate process (`python -m recorder.compose`)."""
