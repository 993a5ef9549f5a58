"""Rules of meetings: settings, grants, seats, schedules, breakout rooms and their end."""
