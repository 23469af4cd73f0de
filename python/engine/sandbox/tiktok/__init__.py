"""A local TikTok: the part of its Business API that the engine uses."""
