"""Reads events/*.json and refuses what the generators could not express."""

import datetime
import json
import pathlib
import re

TYPES = ["string", "id", "wei", "timestamp", "integer", "boolean", "enum", "strings", "object"]
ROOM_KINDS = ["market", "creator", "user", "global"]
FIELDS_MAX, ROOMS_MAX = 32, 4  # FIELDS_MAX of catalogue.c, CATALOGUE_ROOMS_MAX
FIELD_KEYS = {"type", "optional", "default", "min", "max", "choices", "help"}


class Field:
    def __init__(self, event, name, source):
        unknown = set(source) - FIELD_KEYS
        if unknown or not re.fullmatch(r"[a-z][A-Za-z0-9]*", name):
            raise ValueError(f"{event}.{name}: unknown keys {sorted(unknown)} or a bad name")
        self.name = name
        self.type = source["type"]
        self.help = source["help"]
        self.defaults_to_now = source.get("default") == "now"
        self.required = not source.get("optional", False)
        self.min, self.max = source.get("min", 0), source.get("max", 0)
        self.choices = source.get("choices", [])
        if self.type not in TYPES or (self.type == "enum") != bool(self.choices):
            raise ValueError(f"{event}.{name}: bad type or choices")
        if self.type == "integer" and not self.min < self.max:
            raise ValueError(f"{event}.{name}: an integer needs min and max")

    @property
    def snake(self):
        return re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), self.name)

    def describe_type(self):
        """In words, for tables."""
        return {
            "integer": f"integer, {self.min} … {self.max}",
            "enum": "one of " + ", ".join(f"`{choice}`" for choice in self.choices),
            "wei": "wei: decimal digits in a string",
            "timestamp": "ISO 8601 date and time in a string",
            "strings": "array of strings",
            "id": "string that names a room",
        }.get(self.type, self.type)


class Event:
    def __init__(self, source):
        self.name = source["name"]
        self.help = source["help"]
        self.fields = [Field(self.name, *item) for item in source["fields"].items()]
        self.rooms = source["rooms"]
        self.example = source["example"]
        if len(self.fields) > FIELDS_MAX or len(self.rooms) > ROOMS_MAX:
            raise ValueError(f"{self.name}: too many fields or rooms")
        self.check_rooms()
        self.check_example()

    def check_rooms(self):
        ids = {field.name for field in self.fields if field.type == "id" and field.required}
        for room in self.rooms:
            match = re.fullmatch(r"([a-z]+):(?:\{(\w+)\}|all)", room)
            if not match or match[1] not in ROOM_KINDS or (match[2] and match[2] not in ids):
                raise ValueError(f"{self.name}: bad room {room}")

    def check_example(self):
        known = [field.name for field in self.fields]
        if list(self.example) != known:
            raise ValueError(f"{self.name}: the example must show every field, in order")

    def room_parts(self):
        """(kind, name of the id's field or None) for each room."""
        for room in self.rooms:
            kind, _, rest = room.partition(":")
            yield kind, rest[1:-1] if rest.startswith("{") else None

    @property
    def snake(self):
        return self.name.replace(":", "_")

    @property
    def pascal(self):
        return "".join(part.capitalize() for part in self.name.split(":"))

    def payload(self):
        """The example as a client gets it."""
        when = self.example.get("timestamp", "2025-01-16T10:00:00.000Z")
        sent = datetime.datetime.fromisoformat(when) + datetime.timedelta(milliseconds=125)
        stamp = sent.strftime("%Y-%m-%dT%H:%M:%S.") + f"{sent.microsecond // 1000:03}Z"
        return {"type": self.name, "timestamp": stamp, "data": self.example}


def load(folder=pathlib.Path(__file__).parent.parent / "events"):
    files = sorted(folder.glob("*.json"))
    events = [Event(json.loads(file.read_text(encoding="utf-8"))) for file in files]
    return sorted(events, key=lambda event: event.name)
