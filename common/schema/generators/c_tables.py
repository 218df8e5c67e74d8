"""The tables behind schema/catalogue.h."""

import json

SLOTS = 32  # CATALOGUE_SLOTS


def c_string(text):
    """A C literal; JSON's escapes of ASCII are C's too."""
    return json.dumps(text, ensure_ascii=False)


def hash_name(name, seed):
    """FNV-1a's top five bits; catalogue_find does the same."""
    value = seed
    for byte in name.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value >> 27


def find_seed(events):
    """The first seed that gives every event a slot of its own."""
    for seed in range(1_000_000):
        if len({hash_name(event.name, seed) for event in events}) == len(events):
            return seed
    raise ValueError("no perfect hash: raise SLOTS")


def field_row(event, field):
    parts = [
        f".name = {c_string(field.name)}",
        f".type = CATALOGUE_{field.type.upper()}",
        f".required = {str(field.required).lower()}",
    ]
    if field.defaults_to_now:
        parts.append(".defaults_to_now = true")
    if field.type == "integer":
        parts.append(f".min = {field.min}, .max = {field.max}")
    if field.choices:
        parts.append(f".choices = {event.snake}_{field.snake}")
    parts.append(f".help = {c_string(field.help)}")
    return "    {" + ", ".join(parts) + "},"


def event_tables(event):
    for field in event.fields:
        if field.choices:
            choices = ", ".join(c_string(choice) for choice in field.choices)
            yield f"static const char *const {event.snake}_{field.snake}[] = {{{choices}, NULL}};"
    yield f"static const struct catalogue_field {event.snake}_fields[] = {{"
    yield from (field_row(event, field) for field in event.fields)
    yield "};"
    yield f"static const struct catalogue_room {event.snake}_rooms[] = {{"
    for kind, field in event.room_parts():
        yield f"    {{ROOM_{kind.upper()}, {c_string(field) if field else 'NULL'}}},"
    yield "};\n"


def event_row(event):
    return (
        f"    {{.name = {c_string(event.name)}, .help = {c_string(event.help)},\n"
        f"     .fields = {event.snake}_fields, .field_count = {len(event.fields)},\n"
        f"     .rooms = {event.snake}_rooms, .room_count = {len(event.rooms)},\n"
        f"     .example = {c_string(json.dumps(event.example, ensure_ascii=False))}}},"
    )


def generate(events):
    seed = find_seed(events)
    slots = [-1] * SLOTS
    for index, event in enumerate(events):
        slots[hash_name(event.name, seed)] = index
    lines = ["/* Generated from schema/events. */", '#include "schema/catalogue_tables.h"\n']
    for event in events:
        lines += event_tables(event)
    lines.append("const struct catalogue_event catalogue_table[] = {")
    lines += [event_row(event) for event in events]
    lines.append("};")
    lines.append(f"const size_t catalogue_table_count = {len(events)};")
    lines.append(f"const size_t catalogue_longest_name = {max(len(e.name) for e in events)};")
    lines.append(f"const uint32_t catalogue_seed = {seed};")
    lines.append(f"const signed char catalogue_slots[CATALOGUE_SLOTS] = {{{', '.join(map(str, slots))}}};")
    return "\n".join(lines) + "\n"
