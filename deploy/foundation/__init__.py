"""Foundation: code that all parts share and that depends on none of them: settings, logs, traces, clients, workers."""
