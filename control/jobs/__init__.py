"""Jobs: the worker, jobs on files, minutes of meetings, and jobs for workers in other parts."""
