"""Storage of recordings and uploaded files: one interface over a directory or an S3-compatible store."""
