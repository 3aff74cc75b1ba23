"""Ground: sheets and tables as people write them, and faults with their places."""
