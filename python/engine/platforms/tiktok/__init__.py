"""TikTok's Business API behind the port."""
