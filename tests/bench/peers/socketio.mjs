// Socket.IO on Node with its Redis adapter: the gateway's clients, and events through the adapter.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createAdapter } from '@socket.io/redis-adapter';
import jsonwebtoken from 'jsonwebtoken';
import { createClient } from 'redis';
import { Server } from 'socket.io';

const { TLS_CERTIFICATE: cert, TLS_KEY: key } = process.env;
const http = cert
    ? createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) })
    : createServer();
const publisher = createClient({ url: `redis://127.0.0.1:${process.env.REDIS_PORT}` });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);
const io = new Server(http, {
    adapter: createAdapter(publisher, subscriber),
    pingInterval: 25000,
    pingTimeout: 60000,
});

io.use((socket, next) => {
    try {
        socket.data = jsonwebtoken.verify(socket.handshake.auth.token, process.env.JWT_SECRET, {
            algorithms: ['HS256'],
        });
        next();
    } catch (error) {
        next(error);
    }
});

io.on('connection', (socket) => {
    const rooms = [`user:${socket.data.address}`, 'global:all'];
    socket.join([...rooms, `user:${socket.data.sub}`]);
    socket.on('subscribe', ({ room, id }, ack) => {
        socket.join(`${room}:${id}`);
        ack({ success: true, room: `${room}:${id}`, message: `Subscribed to ${room}:${id}` });
    });
    socket.emit('connected', { message: 'Connected', userId: socket.data.sub, rooms });
});

// A client of the load generator may have no request under way for some seconds, and Node hangs up on
// such a connection after 5 s; later versions of it wait for as long as this.
http.keepAliveTimeout = 65_000;
http.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });
process.on('SIGTERM', () => process.exit(0));
