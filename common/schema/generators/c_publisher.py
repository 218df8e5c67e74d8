"""The publisher library's structs and functions, one of each for every event."""

C_TYPES = {"integer": "int64_t", "boolean": "bool"}
REMARKS = {
    "wei": "wei: decimal digits",
    "timestamp": "ISO 8601",
    "strings": "ends with NULL",
    "object": "a JSON object as text",
}


def declaration(event, field):
    if field.type == "enum":
        return f"enum glyfe_{event.snake}_{field.snake} {field.snake};"
    if field.type in C_TYPES:
        star = "" if field.required else "*"
        const = "" if field.required else "const "
        return f"{const}{C_TYPES[field.type]} {star}{field.snake};"
    if field.type == "strings":
        return f"const char *const *{field.snake};"
    return f"const char *{field.snake};"


def remark(field):
    parts = [field.help]
    if field.type == "integer" and field.max - field.min > 1:
        parts.append(f"{field.min} … {field.max}")
    if field.type in REMARKS:
        parts.append(REMARKS[field.type])
    if field.defaults_to_now:
        parts.append("NULL: now")
    elif not field.required:
        parts.append("0: left out" if field.type == "enum" else "NULL: left out")
    return "; ".join(parts)


def enums(event):
    for field in event.fields:
        if field.choices:
            prefix = f"GLYFE_{event.snake}_{field.snake}_".upper()
            yield f"enum glyfe_{event.snake}_{field.snake} {{"
            for value, choice in enumerate(field.choices, 1):
                yield f"    {prefix}{choice.upper()} = {value},"
            yield "};\n"


def prototype(event):
    return (
        f"GLYFE_API enum glyfe_error glyfe_publish_{event.snake}(\n"
        f"    struct glyfe_publisher *publisher, const struct glyfe_{event.snake} *event,\n"
        f"    const char *idempotency_key, struct glyfe_result *ret_result)"
    )


def header(events):
    lines = [
        "/*",
        " * The events that can be published, generated from the event catalogue. Everything is borrowed for",
        " * the time of the call. Text is UTF-8. See <guesslyfe/publisher.h>, which includes this.",
        " */",
        "#ifndef GUESSLYFE_EVENTS_H",
        "#define GUESSLYFE_EVENTS_H",
        "",
        "#include <guesslyfe/publisher.h>",
        "#include <stdbool.h>",
        "#include <stdint.h>",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
    ]
    for event in events:
        lines.append(f"/* {event.name}: {event.help[0].lower() + event.help[1:]}. To {', '.join(event.rooms)}. */")
        lines += enums(event)
        lines.append(f"struct glyfe_{event.snake} {{")
        lines += [f"    {declaration(event, field)} /* {remark(field)} */" for field in event.fields]
        lines.append("};\n")
        lines.append(prototype(event) + ";\n")
    lines += ["#ifdef __cplusplus", "}", "#endif", "", "#endif"]
    return "\n".join(lines) + "\n"


def source(events):
    lines = [
        "/* Generated from schema/events. */",
        "#include <stddef.h>",
        "",
        '#include "publisher/typed.h"\n',
    ]
    for event in events:
        struct = f"struct glyfe_{event.snake}"
        offsets = ",\n    ".join(f"offsetof({struct}, {field.snake})" for field in event.fields)
        lines.append(f"static const size_t {event.snake}_offsets[] = {{\n    {offsets},\n}};\n")
        lines.append(
            f"{prototype(event)}\n{{\n"
            f'    return typed_publish(publisher, "{event.name}", {event.snake}_offsets, event,\n'
            f"                               idempotency_key, ret_result);\n}}\n"
        )
    return "\n".join(lines)
