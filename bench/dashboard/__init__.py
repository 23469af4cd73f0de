"""What the dashboard costs while a large fleet is live and many look at it."""
