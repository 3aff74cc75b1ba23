"""Methods of estimation, a file each: what stands here as `KINDS`, one may ask for."""
