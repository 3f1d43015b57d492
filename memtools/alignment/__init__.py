"""Numbers meet examples: brought into one order, selected, compared."""
