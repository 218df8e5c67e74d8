// clients.mjs tells of its clients what the checker needs, against a gateway that plays a part: a first connection, a
// return that is recovered, one that is not.
import assert from "node:assert";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "../clients/node_modules/ws/wrapper.mjs";

const OPEN = { sid: "e", upgrades: [], pingInterval: 25000, pingTimeout: 20000, maxPayload: 1000000 };
const heard = []; // of the client, in order

const trade = (key, id) => `42${JSON.stringify(["market:trade", { data: { tradeId: key } }, id])}`;
const connected = (id) => `42${JSON.stringify(["connected", { message: "" }, id])}`;
const told = { id: "90", event: "market:trade", payload: { data: { tradeId: "k90" } } };

// What the gateway says on each connection, to CONNECT and to `subscribe`.
const parts = [
  { connect: ['40{"sid":"s1","pid":"p1"}', connected("100")],
    subscribe: [{ success: true, room: "market:1", message: "", events: [told], complete: true }],
    afterwards: [trade("k101", "101")] },
  { connect: ['40{"sid":"s1","pid":"p1"}', trade("k102", "102"), connected("103")] },
  { connect: ['40{"sid":"s2","pid":"p2"}', connected("200")],
    subscribe: [{ success: true, room: "market:1", message: "", events: [], complete: true }], stays: true },
];

function play(socket, part) {
  socket.send("0" + JSON.stringify(OPEN));
  const leave = () => part.stays || setTimeout(() => socket.terminate(), 50);
  socket.on("message", (data) => {
    const packet = data.toString();
    heard.push(packet);
    if (packet.startsWith("40")) {
      part.connect.forEach((line) => socket.send(line));
      part.subscribe ?? leave();
    } else if (packet.startsWith("42")) {
      const ack = /^42(\d+)/.exec(packet)[1];
      socket.send(`43${ack}${JSON.stringify(part.subscribe)}`);
      part.afterwards?.forEach((line) => socket.send(line));
      leave();
    }
  });
}

const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
server.on("connection", (socket) => play(socket, parts.shift()));
await new Promise((resolve) => server.on("listening", resolve));

const clients = spawn(process.execPath, [fileURLToPath(new URL("clients.mjs", import.meta.url))],
                      { stdio: ["pipe", "pipe", "inherit"] });
const happened = [];
createInterface({ input: clients.stdout }).on("line", (line) => happened.push(...JSON.parse(line)));
const say = (command) => clients.stdin.write(JSON.stringify(command) + "\n");
say({
  do: "open", url: `http://127.0.0.1:${server.address().port}`,
  clients: [{ name: "c", token: "t", rooms: ["market:1"], style: "since", recovery: true }],
  options: { reconnectionDelay: 20, reconnectionDelayMax: 50 },
});

const deadline = Date.now() + 10000;
while (happened.filter(([, , kind]) => kind === "ack").length < 2 && Date.now() < deadline) {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
say({ do: "close", clients: ["c"] });
await new Promise((resolve) => setTimeout(resolve, 100));
clients.stdin.end();
server.close();

const packets = heard.filter((packet) => packet !== "41").map((packet) => packet.replace(/^4(\d)\d*/, "4$1"));
assert.deepEqual(packets.map((packet) => JSON.parse(packet.slice(2))), [
  { token: "t", recovery: true },
  ["subscribe", { room: "market", id: "1" }],
  { pid: "p1", offset: "101", token: "t", recovery: true },
  { pid: "p1", offset: "103", token: "t", recovery: true },
  ["subscribe", { room: "market", id: "1", since: "103" }],
]);
assert.deepEqual(happened.map(([client, t, ...rest]) => (assert(client === "c" && t > 1e12), rest)), [
  ["opened", "e"],
  ["connect", false, "s1", "p1", null],
  ["asked", "market:1", null, null],
  ["connected", "100", 2],
  ["ack", "market:1", true, "", [["90", "k90"]], true, null],
  ["event", "101", "market:trade", "k101"],
  ["disconnect", "transport close", null, null, null],
  ["opened", "e"],
  ["connect", true, "s1", "p1", "101"],
  ["event", "102", "market:trade", "k102"],
  ["connected", "103", 2],
  ["disconnect", "transport close", null, null, null],
  ["opened", "e"],
  ["connect", false, "s2", "p2", "103"],
  ["asked", "market:1", "103", null],
  ["connected", "200", 2],
  ["ack", "market:1", true, "", [], true, "103"],
  ["disconnect", "io client disconnect", null, null, null],
  ["closed"],
]);
process.exit(0);
