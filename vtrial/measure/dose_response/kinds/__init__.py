"""Shapes of dose-response, a file each or several: what stands here as `KINDS`."""
