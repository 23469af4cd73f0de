"""Ad platforms behind one port: google, meta, tiktok, simulated, and those of third parties."""
