"""docs/events.md"""

import json

HEAD = """# Events

Generated from `common/schema/events/` by `common/schema/generate.py`; change it there.

Every event reaches a client as one argument `{type, timestamp, data}`. `type` repeats the event's name, `timestamp` is
the time of publishing (ISO 8601 UTC with milliseconds), `data` is what the publisher wrote, byte by byte.

Wei amounts are strings of at most 78 decimal digits without leading zeros. Ids are 1 to 128 visible ASCII characters
without comma; a `0x` address (40 hexadecimal digits) is the same room in any letter case. Dates and times are ISO 8601
with seconds and a zone, such as `2025-01-16T10:00:00.000Z`. A field that is not listed is refused by the publisher, and
so is `null`: what is unknown is left out. The data of one event may have 512 KiB and be nested 64 levels deep.

| event | rooms | what happened |
|---|---|---|
"""


def presence(field):
    if field.defaults_to_now:
        return "default: now"
    return "required" if field.required else "optional"


def section(event):
    rooms = ", ".join(f"`{room}`" for room in event.rooms)
    lines = [f"\n## {event.name}\n", f"{event.help}. Rooms, in order: {rooms}.\n"]
    lines += ["| field | type | | meaning |", "|---|---|---|---|"]
    for field in event.fields:
        lines.append(f"| `{field.name}` | {field.describe_type()} | {presence(field)} | {field.help} |")
    lines += ["", "```json", json.dumps(event.payload(), indent=2, ensure_ascii=False), "```"]
    return "\n".join(lines) + "\n"


def generate(events):
    rows = ""
    for event in events:
        rooms = ", ".join(f"`{room}`" for room in event.rooms)
        anchor = event.name.replace(":", "")
        rows += f"| [`{event.name}`](#{anchor}) | {rooms} | {event.help} |\n"
    return HEAD + rows + "".join(section(event) for event in events)
