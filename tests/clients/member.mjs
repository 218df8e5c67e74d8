// An official client as pages use it: it comes into its rooms, and tells all that happens to it.
//
// Happenings are told as [client, milliseconds, kind, details…]; tests/faults/faults/journal.py names the details. A
// client's style says how it subscribes when it comes back without recovery, as pages do:
//   plain: again; since: asking for what came after the last event; last: asking for the latest events;
//   always: again on every connection, recovered or not
import { io } from "./node_modules/socket.io-client/build/esm/index.js";

const AGAIN_MS = 200; // after a refused subscription
const LATEST = 10;
const OWNER = 12; // the beginning of a session's id tells which gateway opened it

// What the publisher of a campaign numbered the event with.
function keyOf(event, data) {
  const { tradeId, notificationId, reason, id } = data ?? {};
  return tradeId ?? notificationId ?? (event === "market:resolved" ? reason : id) ?? null;
}

// What the server said why: [HTTP status, Engine.IO code, text], null where there is none.
function whyOf(error) {
  const said = error?.description?.message ?? "";
  const status = typeof error?.description === "number" ? error.description
    : Number(/Unexpected server response: (\d+)/.exec(said)?.[1]) || null;
  const body = error?.context?.responseText ?? "";
  try {
    const { code, message } = JSON.parse(body);
    return [status, code ?? null, message ?? null];
  } catch {
    return [status, null, body.slice(0, 100) || said || null];
  }
}

export class Member {
  // tell(client, kind, …details)
  constructor({ name, token, rooms = [], style = "plain", recovery = true }, url, options, tell) {
    Object.assign(this, { name, rooms, style, tell, subscribed: new Set(), latest: null });
    const auth = recovery ? { token, recovery: true } : { token };
    this.socket = io(url, { forceNew: true, transports: ["websocket"], auth, ...options });
    this.watch();
  }

  watch() {
    const { socket, name, tell } = this;
    socket.on("connect", () => this.onConnect());
    socket.on("disconnect", (reason, details) => tell(name, "disconnect", reason, ...whyOf(details)));
    socket.on("connect_error", (error) => tell(name, "error", error.message, ...whyOf(error)));
    socket.onAny((event, ...args) => this.onEvent(event, args));
    socket.io.on("open", () => {
      tell(name, "opened", socket.io.engine.id.slice(0, OWNER));
      socket.io.engine.on("upgrade", () => tell(name, "upgrade"));
      socket.io.engine.on("upgradeError", (error) => tell(name, "upgradeError", error.message, ...whyOf(error)));
    });
  }

  // Connected, and in all its rooms.
  get settled() {
    return this.socket.connected && this.rooms.every((room) => this.subscribed.has(room));
  }

  get transport() {
    return this.socket.io.engine?.transport?.name;
  }

  onConnect() {
    const { socket } = this;
    this.tell(this.name, "connect", Boolean(socket.recovered), socket.id, socket._pid ?? null, this.latest);
    if (!socket.recovered || this.style === "always") {
      this.subscribed.clear();
    }
    for (const room of this.rooms) {
      if (!this.subscribed.has(room)) {
        this.subscribe(room, this.wish());
      }
    }
  }

  wish() {
    return this.style === "last" ? { last: LATEST }
      : this.style === "since" && this.latest ? { since: this.latest }
      : {};
  }

  subscribe(room, wish) {
    const colon = room.indexOf(":");
    const [kind, id] = [room.slice(0, colon), room.slice(colon + 1)];
    const connection = this.socket.id;
    this.tell(this.name, "asked", room, wish.since ?? null, wish.last ?? null);
    this.socket.emit("subscribe", { room: kind, id, ...wish }, (answer) => {
      const events = answer.events?.map((event) => [event.id, keyOf(event.event, event.payload?.data)]) ?? null;
      this.tell(this.name, "ack", room, answer.success, answer.message ?? null, events, answer.complete ?? null,
                wish.since ?? null);
      if (answer.success) {
        this.subscribed.add(room);
      } else {
        setTimeout(() => this.again(room, wish, connection), AGAIN_MS);
      }
    });
  }

  again(room, wish, connection) {
    if (this.socket.connected && this.socket.id === connection && !this.subscribed.has(room)) {
      this.subscribe(room, wish);
    }
  }

  onEvent(event, args) {
    const last = args.length > 1 ? args[args.length - 1] : null;
    const id = typeof last === "string" ? last : null;
    this.latest = id ?? this.latest;
    if (event === "connected") {
      this.tell(this.name, "connected", id, args.length);
    } else {
      this.tell(this.name, "event", id, event, keyOf(event, args[0]?.data));
    }
  }

  drop() {
    this.socket.io.engine?.transport?.ws?.terminate?.();
  }

  close() {
    this.socket.disconnect();
  }
}
