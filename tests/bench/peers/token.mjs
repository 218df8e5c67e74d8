// What a peer does with a client's token: HS256 checked, and the claims.
import { createHmac, timingSafeEqual } from 'node:crypto';

const secret = process.env.JWT_SECRET;

/** The claims, or null. */
export function verify(token) {
    const parts = String(token).split('.');
    if (parts.length !== 3) {
        return null;
    }
    const expected = createHmac('sha256', secret).update(`${parts[0]}.${parts[1]}`).digest();
    const given = Buffer.from(parts[2], 'base64url');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
        return null;
    }
    const claims = JSON.parse(Buffer.from(parts[1], 'base64url'));
    return claims.exp > Date.now() / 1000 ? claims : null;
}
