"""Measures, a file each: whatever stands here as `KINDS`, `by` may say."""
