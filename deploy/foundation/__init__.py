"""Foundation: what all parts share and what knows none of them: settings, logs, traces, clients, workers."""
