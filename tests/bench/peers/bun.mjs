// A WebSocket server on Bun, which is uWebSockets, with publish and subscribe of its own. It speaks
// just as much of Engine.IO and Socket.IO as the load generator needs: WebSocket only, no Engine.IO
// pings (Bun sends WebSocket's own, about as often), no acknowledgements but the one.
import { RedisClient } from 'bun';
import { verify } from './token.mjs';

const opening = '0{"sid":"bun","upgrades":[],"pingInterval":25000,"pingTimeout":60000,"maxPayload":1000000}';

function connect(socket, packet) {
    const claims = verify(JSON.parse(packet.slice(2)).token);
    if (claims === null) {
        socket.close();
        return;
    }
    const rooms = [`user:${claims.address}`, 'global:all'];
    for (const room of [...rooms, `user:${claims.sub}`]) {
        socket.subscribe(room);
    }
    socket.send(`40{"sid":"bun"}`);
    const greeting = { message: 'Connected', userId: claims.sub, rooms };
    socket.send(`42${JSON.stringify(['connected', greeting])}`);
}

function subscribe(socket, packet) {
    const [, { room, id }] = JSON.parse(packet.slice(3));
    const name = `${room}:${id}`;
    socket.subscribe(name);
    socket.send(`430${JSON.stringify([{ success: true, room: name, message: `Subscribed to ${name}` }])}`);
}

const server = Bun.serve({
    hostname: '127.0.0.1',
    port: Number(process.env.PORT),
    tls: process.env.TLS_CERTIFICATE && {
        cert: Bun.file(process.env.TLS_CERTIFICATE),
        key: Bun.file(process.env.TLS_KEY),
    },
    fetch(request, server) {
        return server.upgrade(request) ? undefined : new Response('not a WebSocket', { status: 400 });
    },
    websocket: {
        perMessageDeflate: false,
        idleTimeout: 40, // in seconds; uWebSockets pings 16 s before it ends: every 24 s
        sendPings: true,
        open: (socket) => socket.send(opening),
        message(socket, packet) {
            if (packet.startsWith('40')) {
                connect(socket, packet);
            } else if (packet.startsWith('420')) {
                subscribe(socket, packet);
            }
        },
    },
});

// The gateway's plain form: a header line that names the event and its room, and the payload.
const subscriber = new RedisClient(`redis://127.0.0.1:${process.env.REDIS_PORT}`);
await subscriber.connect();
function hear(message) {
    const end = message.indexOf('\n');
    const [, , event, room] = message.slice(0, end).split(' ');
    server.publish(room, `42["${event}",${message.slice(end + 1)}]`);
}
for (let room = 1; room <= Number(process.env.ROOMS); room++) {
    await subscriber.subscribe(`guesslyfe:{0}:room:market:${room}`, hear);
}
process.on('SIGTERM', () => process.exit(0));
