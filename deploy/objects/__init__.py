"""Where recordings and uploaded files are kept: one interface over a directory or an S3-compatible store."""
