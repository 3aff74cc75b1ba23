"""Kinds of endpoints, a file each: whatever stands here as `KINDS`, `take` may say."""
