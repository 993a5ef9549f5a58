"""The flight recorder: keeps, dumps and replays the recent input of a room and its estimators."""
