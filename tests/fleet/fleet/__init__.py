"""Several gateways behind proxies that know nothing of sessions: see ../run."""
