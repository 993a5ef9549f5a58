"""SQL, one module per aggregate. Functions take a connection and return dataclasses. No other package contains SQL."""
