"""A room of vtrial."""
