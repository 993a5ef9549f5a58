"""SQL, one module per aggregate. Functions take an asyncpg connection and return dataclasses; nothing else holds SQL."""
