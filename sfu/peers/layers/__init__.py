"""The layers of an uptrack, and which of them a downtrack gets."""
