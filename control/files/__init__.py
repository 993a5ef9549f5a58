"""Files: the stores of uploads and recordings, disk space, and sandboxed workers that make pictures."""
