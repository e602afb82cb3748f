"""Whether a kind still holds for one person: what was told against the leg as it is. Pure."""
