"""A local Google Ads: its API over gRPC, made of the client library's own messages."""
