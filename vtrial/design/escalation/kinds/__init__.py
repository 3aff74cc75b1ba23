"""Methods of escalation, a file each: what stands here as `KINDS`, a design may say."""
