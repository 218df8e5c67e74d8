"""The other side of the wire, on plain sockets, so that it can also say what no library would."""
