"""The adaptations: a file declares some, as `KINDS`."""
