"""docs/events.schema.json (JSON Schema 2020-12) and docs/asyncapi.json (AsyncAPI 3)."""

import json

TIMESTAMP = {"type": "string", "format": "date-time"}
ID = {"type": "string", "pattern": "^[!-+\\--~]{1,128}$"}
TYPES = {
    "string": {"type": "string"},
    "id": ID,
    "wei": {"type": "string", "pattern": "^(0|[1-9][0-9]{0,77})$"},
    "timestamp": TIMESTAMP,
    "boolean": {"type": "boolean"},
    "strings": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object"},
}


def obj(properties, required):
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def field_schema(field):
    if field.type == "integer":
        schema = {"type": "integer", "minimum": field.min, "maximum": field.max}
    elif field.type == "enum":
        schema = {"enum": field.choices}
    else:
        schema = dict(TYPES[field.type])
    return schema | {"description": field.help}


def payload_schema(event):
    data = obj(
        {field.name: field_schema(field) for field in event.fields},
        [field.name for field in event.fields if field.required],
    )
    properties = {"type": {"const": event.name}, "timestamp": TIMESTAMP, "data": data}
    return obj(properties, list(properties)) | {"description": event.help, "examples": [event.payload()]}


def dump(document):
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def json_schema(events):
    return dump({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "GuessLyfe real-time events as clients get them",
        "oneOf": [{"$ref": f"#/$defs/{event.pascal}"} for event in events],
        "$defs": {event.pascal: payload_schema(event) for event in events},
    })


ROOM_REQUEST = obj({"room": {"enum": ["market", "creator", "user", "global"]}, "id": ID}, ["room", "id"])
ROOM_RESPONSE = obj(
    {"success": {"type": "boolean"}, "room": {"type": "string"}, "message": {"type": "string"}},
    ["success", "room", "message"],
)
ROOMS = {"type": "array", "items": {"type": "string"}}
PONG = obj({"pong": {"const": True}, "timestamp": {"type": "integer"}}, ["pong", "timestamp"])
MESSAGE = {"message": {"type": "string"}}
WELCOME = obj(MESSAGE | {"userId": {"type": "string"}, "rooms": ROOMS}, ["message", "userId", "rooms"])
EXPIRING = obj(
    {"type": {"const": "token:expiring"}, "timestamp": TIMESTAMP, "data": obj({"expiresAt": TIMESTAMP}, ["expiresAt"])},
    ["type", "timestamp", "data"],
)
CREDENTIALS = obj({"token": {"type": "string"}}, ["token"])
RENEWED = obj({"success": {"type": "boolean"}, "expiresAt": TIMESTAMP} | MESSAGE, ["success"])

# name: (what it is for, argument, ack)
CLIENT_EVENTS = {
    "subscribe": ("Join a room; the ack says that the subscription is live", ROOM_REQUEST, ROOM_RESPONSE),
    "unsubscribe": ("Leave a room", ROOM_REQUEST, ROOM_RESPONSE),
    "getRooms": ("Ask which rooms the client is in", {"type": "null"}, ROOMS),
    "ping": ("Ask for a sign of life", {"type": "null"}, PONG),
    "authenticate": ("Renew the token without reconnecting", CREDENTIALS, RENEWED),
}


def message(name, help_text, payload):
    return {"name": name, "title": name, "summary": help_text, "contentType": "application/json", "payload": payload}


def server_messages(events):
    yield "connected", message("connected", "The token was good", WELCOME)
    yield "error", message("error", "No token, a bad or an expired one; a disconnect follows", obj(MESSAGE, ["message"]))
    yield "token_expiring", message("token:expiring", "The client's token expires soon", EXPIRING)
    for event in events:
        schema = payload_schema(event)
        del schema["examples"]
        body = message(event.name, event.help, schema)
        body["description"] = "Rooms: " + ", ".join(event.rooms)
        body["examples"] = [{"payload": event.payload()}]
        yield event.snake, body


def asyncapi(events):
    server = dict(server_messages(events))
    messages = dict(server)
    operations = {"events": {
        "action": "send",
        "summary": "What the gateway sends to clients",
        "channel": {"$ref": "#/channels/root"},
        "messages": [{"$ref": f"#/channels/root/messages/{key}"} for key in server],
    }}
    for name, (help_text, argument, ack) in CLIENT_EVENTS.items():
        messages[name] = message(name, help_text, argument)
        messages[name + "Ack"] = message(name, "The ack of " + name, ack)
        operations[name] = {
            "action": "receive",
            "summary": help_text,
            "channel": {"$ref": "#/channels/root"},
            "messages": [{"$ref": f"#/channels/root/messages/{name}"}],
            "reply": {
                "channel": {"$ref": "#/channels/root"},
                "messages": [{"$ref": f"#/channels/root/messages/{name}Ack"}],
            },
        }
    return dump({
        "asyncapi": "3.0.0",
        "info": {
            "title": "GuessLyfe real-time gateway",
            "version": "1.0.0",
            "description": "Socket.IO (Engine.IO protocol 4, Socket.IO protocol 5), path /socket.io/, namespace /. "
            "Each message is one Socket.IO event whose name is the message's name.",
        },
        "channels": {"root": {"address": "/", "messages": messages}},
        "operations": operations,
    })
