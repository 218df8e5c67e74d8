"""Faults of every kind between publishers, Redis, gateways and clients; and whether each client still got all."""
