"""docs/typescript/guesslyfe-events.d.ts"""

HEAD = """// Types of the events, for socket.io-client. Generated from common/schema/events; change them there.
//
//     import { io, Socket } from "socket.io-client";
//     import type { ClientToServerEvents, ServerToClientEvents } from "./guesslyfe-events";
//     const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(url, { auth: { token } });

/** An amount in wei: decimal digits. */
export type Wei = string;
/** ISO 8601 date and time. */
export type Timestamp = string;
"""

ENVELOPE = """
/** What a listener gets. */
export interface GuesslyfeEvent<Name extends keyof EventData> {
  type: Name;
  /** When the event was published. */
  timestamp: Timestamp;
  data: EventData[Name];
}

/** The first event after a good token: the client is in these rooms. */
export interface Connected {
  message: string;
  userId: string;
  rooms: string[];
}

/** Sent before the server disconnects: no token, a bad one, or one that has expired. */
export interface AuthenticationError {
  message: string;
}

/** The client's token expires soon: it is disconnected then, unless it renews it by `authenticate`. */
export interface TokenExpiring {
  type: "token:expiring";
  /** When the event was sent. */
  timestamp: Timestamp;
  data: { expiresAt: Timestamp };
}

export interface AuthenticateRequest {
  /** Another token of the same user. */
  token: string;
}

export type AuthenticateResponse =
  /** `expiresAt` is missing where the token never expires. */
  | { success: true; expiresAt?: Timestamp; message?: never }
  | { success: false; message: string; expiresAt?: never };

export interface RoomRequest {
  room: "market" | "creator" | "user" | "global";
  id: string;
}

export interface RoomResponse {
  success: boolean;
  /** The room's name, such as "market:1". */
  room: string;
  message: string;
}

/** Beside the room: what of its past is wanted, the events after one, or so many of the newest. */
export type SubscribeRequest = RoomRequest & ({ since?: string; last?: never } | { since?: never; last?: number });

/** An event of a room's past, with the object that listeners get as their argument. */
export type PastEvent = {
  [Name in keyof EventData]: { id: string; event: Name; payload: GuesslyfeEvent<Name> };
}[keyof EventData];

export interface SubscribeResponse extends RoomResponse {
  /** Oldest first; there where the past was asked for. */
  events?: PastEvent[];
  /** False: events after `since`, and before the first of these, are missing. */
  complete?: boolean;
}

export interface Pong {
  pong: true;
  /** Milliseconds since 1970. */
  timestamp: number;
}

"""

CLIENT_EVENTS = """
export interface ClientToServerEvents {
  subscribe: (request: SubscribeRequest, ack?: (response: SubscribeResponse) => void) => void;
  unsubscribe: (request: RoomRequest, ack?: (response: RoomResponse) => void) => void;
  getRooms: (ack: (rooms: string[]) => void) => void;
  ping: (ack: (pong: Pong) => void) => void;
  authenticate: (request: AuthenticateRequest, ack?: (response: AuthenticateResponse) => void) => void;
}
"""

TYPES = {
    "wei": "Wei",
    "timestamp": "Timestamp",
    "integer": "number",
    "boolean": "boolean",
    "strings": "string[]",
    "object": "Record<string, unknown>",
}


def type_of(field):
    if field.choices:
        return " | ".join(f'"{choice}"' for choice in field.choices)
    if field.type == "integer" and field.max - field.min == 1:
        return f"{field.min} | {field.max}"
    return TYPES.get(field.type, "string")


def interface(event):
    lines = [f"\n/** {event.help}. */", f"export interface {event.pascal}Event {{"]
    for field in event.fields:
        mark = "" if field.required else "?"
        lines += [f"  /** {field.help}. */", f"  {field.name}{mark}: {type_of(field)};"]
    return "\n".join(lines + ["}"]) + "\n"


def generate(events):
    data = "".join(f'  "{event.name}": {event.pascal}Event;\n' for event in events)
    listeners = "".join(f'  "{e.name}": (event: GuesslyfeEvent<"{e.name}">, id?: string) => void;\n' for e in events)
    return (
        HEAD
        + "".join(interface(event) for event in events)
        + f"\nexport interface EventData {{\n{data}}}\n"
        + ENVELOPE
        + "/** `id` is there for clients that can recover: it is the event's, and `since` takes it. */\n"
        + "export interface ServerToClientEvents {\n"
        + "  connected: (welcome: Connected, id?: string) => void;\n"
        + "  error: (error: AuthenticationError) => void;\n"
        + '  "token:expiring": (event: TokenExpiring) => void;\n'
        + listeners
        + "}\n"
        + CLIENT_EVENTS
    )
