"""From formulas and tables to a fitted state, and from new tables to arrays."""
