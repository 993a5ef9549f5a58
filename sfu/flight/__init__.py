"""The flight recorder: keeps, dumps and replays what a room and its estimators were recently told."""
