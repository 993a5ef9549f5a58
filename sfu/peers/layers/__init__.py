"""The layers of an uptrack, and the choice among them for a downtrack."""
