// Drives official clients for the tests: commands in, answers and happenings out, one JSON a line.
//
//   {"id":1,"do":"connect","client":"a","version":4,"url":"http://…","options":{…}}
//   {"id":2,"do":"emit","client":"a","event":"subscribe","args":[…],"ack":true}
//   {"id":3,"do":"disconnect","client":"a"}          also: reconnect (to a url), drop (cuts the transport),
//                                                          aim (where it goes when it next reconnects)
//
// Every command is answered with its id; what happens to a client comes with the client's name.
import { createInterface } from "node:readline";
import { io as io4 } from "socket.io-client";
import socketIo3 from "socket.io-client-3";

const libraries = { 3: socketIo3.io, 4: io4 };
const sockets = new Map();

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

function report(client, happened, details = {}) {
  say({ client, happened, ...details });
}

function transportOf(socket) {
  return socket.io.engine?.transport?.name;
}

function watch(client, socket) {
  socket.on("connect", () => {
    report(client, "connect", {
      transport: transportOf(socket), sid: socket.id, pid: socket._pid, recovered: socket.recovered });
  });
  socket.io.on("open", () =>
    socket.io.engine.on("upgrade", (transport) => report(client, "upgrade", { transport: transport.name })));
  socket.on("disconnect", (reason) => report(client, "disconnect", { reason, active: socket.active }));
  socket.on("connect_error", (error) =>
    report(client, "connect_error", { message: error.message, data: error.data ?? null }));
  socket.onAny((event, ...args) => report(client, "event", { event, args }));
}

const commands = {
  connect({ id, client, version, url, options }) {
    const socket = libraries[version](url, { forceNew: true, ...options });
    sockets.set(client, socket);
    watch(client, socket);
    say({ id });
  },
  emit({ id, client, event, args, ack }) {
    const socket = sockets.get(client);
    if (ack) {
      socket.emit(event, ...args, (...answer) => say({ id, answer }));
    } else {
      socket.emit(event, ...args);
      say({ id });
    }
  },
  reconnect({ id, client, url }) {
    const socket = sockets.get(client);
    socket.io.uri = url ?? socket.io.uri;
    socket.connect();
    say({ id });
  },
  aim({ id, client, url }) {
    sockets.get(client).io.uri = url;
    say({ id });
  },
  drop({ id, client }) {
    sockets.get(client).io.engine.close();
    say({ id });
  },
  disconnect({ id, client }) {
    sockets.get(client).disconnect();
    say({ id });
  },
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on("close", () => process.exit(0));
