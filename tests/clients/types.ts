// Compiled, never run: the published declarations fit the official client, and refuse what is wrong.
import { io, type Socket } from "socket.io-client";
import type {
  ClientToServerEvents,
  EventData,
  GuesslyfeEvent,
  ServerToClientEvents,
} from "../../docs/typescript/guesslyfe-events";

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io("http://127.0.0.1:3000", {
  auth: { token: "…" },
});

function take<T>(_value: T): void {}

socket.on("connected", ({ userId, rooms }) => {
  take<string>(userId);
  take<string[]>(rooms);
});
socket.on("error", (error) => take<string>(error.message));
socket.on("token:expiring", ({ type, data }) => {
  take<"token:expiring">(type);
  take<string>(data.expiresAt);
  socket.emit("authenticate", { token: "…" }, (answer) => {
    if (answer.success) {
      take<string | undefined>(answer.expiresAt);
    } else {
      take<string>(answer.message);
    }
  });
});
// @ts-expect-error without a token
socket.emit("authenticate", {});

socket.on("market:trade", (event) => {
  take<"market:trade">(event.type);
  take<"buy" | "sell">(event.data.direction);
  take<0 | 1>(event.data.outcome);
  take<string>(event.data.newYesPrice);
  // @ts-expect-error an amount in wei is a string
  take<number>(event.data.amount);
  // @ts-expect-error no such field
  take(event.data.volume);
});
socket.on("market:created", ({ data }) => {
  // @ts-expect-error it is optional
  take<string>(data.imageUrl);
});
socket.on("notification", ({ data }) => {
  take<boolean>(data.read);
  take<Record<string, unknown> | undefined>(data.data);
});
// @ts-expect-error no such event
socket.on("market:deleted", () => {});

socket.emit("subscribe", { room: "market", id: "1" });
socket.emit("unsubscribe", { room: "creator", id: "1" }, (answer) => take<boolean>(answer.success));
socket.emit("subscribe", { room: "market", id: "1", since: "1795541338865653" }, ({ events, complete }) => {
  take<boolean | undefined>(complete);
  for (const past of events ?? []) {
    take<string>(past.id);
    if (past.event === "market:trade") {
      take<string>(past.payload.data.newYesPrice);
    }
  }
});
socket.emit("subscribe", { room: "market", id: "1", last: 10 });
// @ts-expect-error one or the other
socket.emit("subscribe", { room: "market", id: "1", since: "1", last: 10 });
socket.on("market:resolved", (_event, id) => take<string | undefined>(id));
socket.emit("getRooms", (rooms) => take<string[]>(rooms));
socket.emit("ping", ({ pong, timestamp }) => {
  take<true>(pong);
  take<number>(timestamp);
});
// @ts-expect-error no such kind of room
socket.emit("subscribe", { room: "planet", id: "1" });
// @ts-expect-error without an id
socket.emit("subscribe", { room: "market" });

// All nine events are there, each with the common envelope.
const names: Record<keyof EventData, (event: GuesslyfeEvent<keyof EventData>) => string> = {
  "dividend:available": (event) => event.timestamp,
  "market:created": (event) => event.timestamp,
  "market:resolved": (event) => event.timestamp,
  "market:trade": (event) => event.timestamp,
  notification: (event) => event.timestamp,
  "shares:trade": (event) => event.timestamp,
  "shares:unlocked": (event) => event.timestamp,
  "system:announcement": (event) => event.timestamp,
  "system:maintenance": (event) => event.timestamp,
};
take(names);
