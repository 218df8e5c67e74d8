"""Strangers who mean harm, clients who must not notice, and the gateway between them."""
