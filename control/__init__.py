"""Control plane: users, meetings, recordings, and the page; Quart over PostgreSQL."""
