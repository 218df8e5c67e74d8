// Runs a crowd of official clients for the fault campaigns and tells all that happens to them.
//
// Commands in, one JSON a line, each with a list of clients' names or descriptions:
//   {"do":"open","url":"http://…","clients":[{"name","token","rooms":["market:1"],"style","recovery"}],"options":{…}}
//   {"do":"drop","clients":[…]}        cuts the WebSocket without a word; the client comes back by itself
//   {"do":"subscribe","clients":[…],"room":"market:1","since":"…","last":5}
//   {"do":"close","clients":[…]}       for good
//
// Happenings out, in batches: a line is an array of [client, milliseconds, kind, details…]; faults/journal.py
// names the details. A client's style says how it subscribes when it comes back without recovery, as pages do:
//   plain: again; since: asking for what came after the last event; last: asking for the latest events;
//   always: again on every connection, recovered or not
import { createInterface } from "node:readline";
import { io } from "../clients/node_modules/socket.io-client/build/esm/index.js";

const FLUSH_MS = 20;
const AGAIN_MS = 200; // after a refused subscription
const LATEST = 10;

let batch = [];
const members = new Map();

function flush() {
  if (batch.length > 0) {
    process.stdout.write(JSON.stringify(batch) + "\n");
    batch = [];
  }
}

function tell(name, kind, ...details) {
  batch.push([name, Date.now(), kind, ...details]);
}

// What the publisher of the campaign numbered the event with.
function keyOf(event, data) {
  const { tradeId, notificationId, reason, id } = data ?? {};
  return tradeId ?? notificationId ?? (event === "market:resolved" ? reason : id) ?? null;
}

class Member {
  constructor({ name, token, rooms = [], style = "plain", recovery = true }, url, options) {
    Object.assign(this, { name, rooms, style, subscribed: new Set(), latest: null });
    const auth = recovery ? { token, recovery: true } : { token };
    this.socket = io(url, { forceNew: true, transports: ["websocket"], auth, ...options });
    this.watch();
  }

  watch() {
    const { socket, name } = this;
    socket.on("connect", () => this.onConnect());
    socket.on("disconnect", (reason) => tell(name, "disconnect", reason));
    socket.on("connect_error", (error) => tell(name, "error", error.message));
    socket.onAny((event, ...args) => this.onEvent(event, args));
  }

  onConnect() {
    const { socket } = this;
    tell(this.name, "connect", Boolean(socket.recovered), socket.id, socket._pid ?? null, this.latest);
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
    tell(this.name, "asked", room, wish.since ?? null, wish.last ?? null);
    this.socket.emit("subscribe", { room: kind, id, ...wish }, (answer) => {
      const events = answer.events?.map((event) => [event.id, keyOf(event.event, event.payload?.data)]) ?? null;
      tell(this.name, "ack", room, answer.success, answer.message ?? null, events, answer.complete ?? null,
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
      tell(this.name, "connected", id, args.length);
    } else {
      tell(this.name, "event", id, event, keyOf(event, args[0]?.data));
    }
  }

  drop() {
    this.socket.io.engine?.transport?.ws?.terminate?.();
  }
}

const commands = {
  open({ clients, url, options }) {
    for (const client of clients) {
      members.set(client.name, new Member(client, url, options));
    }
  },
  drop({ clients }) {
    clients.forEach((name) => members.get(name)?.drop());
  },
  subscribe({ clients, room, since, last }) {
    clients.forEach((name) => members.get(name)?.subscribe(room, { since, last }));
  },
  close({ clients }) {
    for (const name of clients) {
      members.get(name)?.socket.disconnect();
      members.delete(name);
      tell(name, "closed");
    }
  },
};

setInterval(flush, FLUSH_MS);
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on("close", () => process.exit(0));
