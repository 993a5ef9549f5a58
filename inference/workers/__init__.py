"""Worker processes: started, supervised, asked, and the loop that they run."""
