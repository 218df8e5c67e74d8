// Runs a crowd of official clients for the fault campaigns and tells all that happens to them.
//
// Commands in, one JSON a line, each with a list of clients' names or descriptions:
//   {"do":"open","url":"http://…","clients":[{"name","token","rooms":["market:1"],"style","recovery"}],"options":{…}}
//   {"do":"drop","clients":[…]}        cuts the WebSocket without a word; the client comes back by itself
//   {"do":"subscribe","clients":[…],"room":"market:1","since":"…","last":5}
//   {"do":"close","clients":[…]}       for good
//
// Happenings out, in batches: a line is an array of what ../clients/member.mjs tells.
import { createInterface } from "node:readline";
import { Member } from "../clients/member.mjs";

const FLUSH_MS = 20;

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

const commands = {
  open({ clients, url, options }) {
    for (const client of clients) {
      members.set(client.name, new Member(client, url, options, tell));
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
      members.get(name)?.close();
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
