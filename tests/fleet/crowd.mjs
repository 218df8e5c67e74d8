// Runs thousands of official clients. What happens to them goes into a file, because nobody could read it as fast as
// it happens; how many are how far, and what failed, is told at once.
//
// usage: node crowd.mjs JOURNAL
//
// Commands in, one JSON a line:
//   {"do":"open","url":"http://…","clients":[{"name","token","rooms","style","recovery"}],"options":{…},"pace":100}
//                                so many a second
//   {"do":"speak","every":5000}  each client emits `ping` about so often, in milliseconds
//   {"do":"reconnect"}           all that the server has disconnected
//   {"do":"watch","key":"…"}     counts the clients that get this event
//   {"do":"close"}               all of them, for good; and nobody speaks any more
//   {"do":"flush"}               answered with {"flushed":true} when the journal is on disk
//
// Out: {"counts":{…}} some times a second, and for each failure its happening, as in the journal. The journal has lines
// of batches of happenings: see ../clients/member.mjs.
import { createWriteStream } from "node:fs";
import { Agent } from "node:http";
import { createInterface } from "node:readline";
import { Member } from "../clients/member.mjs";

const TICK_MS = 200;
const OPEN_MS = 20;
const SPEAK_MS = 50;
const BATCH = 500; // happenings

// Like a browser, unlike Node by itself, requests share connections that are kept. Where one of these was closed
// meanwhile, the XMLHttpRequest that the client brings along for Node asks anew, forgets to end its new request
// (xmlhttprequest-ssl 2.1.2, errorHandler), and waits for ever; not told that the connection had been used before, it
// fails.
class Connections extends Agent {
  reuseSocket(socket, request) {
    super.reuseSocket(socket, request);
    request.reusedSocket = false;
  }
}

const agent = new Connections({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 4096 });
const journal = createWriteStream(process.argv[2]);
const members = new Map();
const waiting = []; // to be opened: [client, url, options]
const totals = { events: 0, connects: 0, recovered: 0, disconnects: 0, errors: 0, upgrades: 0, asked: 0, answered: 0 };
const watched = { key: null, holders: new Set() };
let batch = [];
let pace = 0;
let due = 0; // clients to open now
let speakers = null;

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

function flush(done) {
  journal.write(batch.length > 0 ? JSON.stringify(batch) + "\n" : "", done);
  batch = [];
}

function count(name, kind, details) {
  if (kind === "event") {
    totals.events += 1;
    if (details[2] === watched.key) {
      watched.holders.add(name);
    }
  } else if (kind === "connect") {
    totals.connects += 1;
    totals.recovered += details[0] ? 1 : 0;
  } else if (kind === "upgrade") {
    totals.upgrades += 1;
  } else if (kind === "disconnect") {
    totals.disconnects += 1;
  } else if (kind === "error" || kind === "upgradeError") {
    totals.errors += 1;
  }
}

const isFailure = (kind) => kind === "disconnect" || kind === "error" || kind === "upgradeError";

function tell(name, kind, ...details) {
  const happening = [name, Date.now(), kind, ...details];
  batch.push(happening);
  count(name, kind, details);
  if (isFailure(kind) && details[0] !== "io client disconnect") {
    say({ failure: happening });
  }
  if (batch.length >= BATCH) {
    flush();
  }
}

function tick() {
  const all = [...members.values()];
  const up = all.filter((member) => member.socket.connected);
  const websocket = up.filter((member) => member.transport === "websocket");
  const { rss } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  say({ counts: { ...totals, open: all.length, waiting: waiting.length, up: up.length, websocket: websocket.length,
                  settled: all.filter((member) => member.settled).length, holders: watched.holders.size,
                  rss, processorMs: Math.round((user + system) / 1000) } });
}

function openSome() {
  due = Math.min(due + (pace * OPEN_MS) / 1000, waiting.length);
  const now = Math.floor(due);
  due -= now;
  for (const [client, url, options] of waiting.splice(0, now)) {
    members.set(client.name, new Member(client, url, { agent, ...options }, tell));
  }
}

function speak(member) {
  if (member.socket.connected) {
    totals.asked += 1;
    member.socket.timeout(30000).emit("ping", (error) => {
      totals.answered += error ? 0 : 1;
    });
  }
}

const commands = {
  open({ clients, url, options, pace: wanted }) {
    pace = wanted;
    waiting.push(...clients.map((client) => [client, url, options]));
  },
  speak({ every }) {
    let turn = 0;
    speakers = setInterval(() => {
      const all = [...members.values()];
      const upTo = turn + (all.length * SPEAK_MS) / every;
      for (let at = Math.ceil(turn); at < upTo; at += 1) {
        speak(all[at % all.length]);
      }
      turn = upTo;
    }, SPEAK_MS);
  },
  reconnect() {
    for (const member of members.values()) {
      member.socket.connect();
    }
  },
  watch({ key }) {
    Object.assign(watched, { key, holders: new Set() });
  },
  close() {
    clearInterval(speakers);
    waiting.length = 0;
    for (const [name, member] of members) {
      member.close();
      tell(name, "closed");
    }
    members.clear();
  },
  flush() {
    flush(() => say({ flushed: true }));
  },
};

setInterval(tick, TICK_MS);
setInterval(openSome, OPEN_MS);
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on("close", () => process.exit(0));
