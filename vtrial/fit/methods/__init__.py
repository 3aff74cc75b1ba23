"""Methods of estimation, a file each: what stands here as `KINDS`, `--method` may say."""
