"""Google Ads: an adapter to its API, version 26, by Google's own messages over gRPC."""
