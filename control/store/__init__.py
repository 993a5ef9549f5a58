"""SQL, one module per aggregate. Functions take a connection and return dataclasses; nothing else holds SQL."""
