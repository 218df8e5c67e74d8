// Connects with the official client, subscribes to rooms, and prints what arrives, one line each:
//     TOKEN=… node tests/clients/watch.mjs http://127.0.0.1:3000 market:1 creator:7
import { io } from "socket.io-client";

const [url, ...rooms] = process.argv.slice(2);
const token = process.env.TOKEN;
if (!url || !token) {
  console.error("usage: TOKEN=… node watch.mjs URL [ROOM…]");
  process.exit(2);
}

const socket = io(url, { auth: { token } });

socket.on("connect", () => {
  console.log(`connected over ${socket.io.engine.transport.name}`);
  for (const name of rooms) {
    const [room, id] = name.split(/:(.*)/);
    socket.emit("subscribe", { room, id }, (answer) => console.log(answer.message));
  }
});
socket.on("connect_error", (error) => console.log(`not connected: ${error.message}`));
socket.on("disconnect", (reason) => console.log(`disconnected: ${reason}`));
socket.onAny((event, ...args) => console.log(`event ${event} ${JSON.stringify(args[0])}`));
