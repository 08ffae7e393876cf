/* Challenges in the data thread: a request without credentials is answered with
 * 401, REALM and NONCE, byte for byte as wire/turn/door.py would, and forgotten.
 *
 * A nonce is the minute and a keyed hash of it, of the client's transport
 * address and of what was offered (wire/turn/nonce.py): either side checks what
 * the other has made. Who sends what must be looked into is the reactor's. */
#ifndef MOSAIC_CHALLENGE_H
#define MOSAIC_CHALLENGE_H

#include "blake2b.h"
#include "stun.h"

enum {
    MAX_REALM_BYTES = 12,
    NONCE_KEY_BYTES = 32,
    MAX_PROOF_BYTES = 7,
    NONCE_SLOT_S = 64,
    /* Header, ERROR-CODE, REALM, NONCE, PASSWORD-ALGORITHMS, FINGERPRINT. */
    MAX_CHALLENGE = 20 + 8 + 4 + MAX_REALM_BYTES + 4 + 28 + 12 + 8,

    ATTR_ERROR_CODE = 0x0009,
    ATTR_REALM = 0x0014,
    ATTR_NONCE = 0x0015,
    ATTR_PASSWORD_ALGORITHMS = 0x8002,
};

/* What a challenge is made of; realm_size 0: there is none. */
struct terms {
    u8 key[NONCE_KEY_BYTES];
    u8 realm[MAX_REALM_BYTES];
    u32 realm_size, proof_size;
    u32 features; /* 24 bits, of RFC 8489 section 9.2 */
    i64 ahead;    /* of the core's clock before the plane's, ns */
};

/* A request of TURN, whole, without integrity: whoever sent it has not been
 * challenged, or does not know how to answer. Its FINGERPRINT is right, if it
 * has one. What ConnectionBind and its like want depends on the settings. */
static bool is_challenged(const u8 *data, u32 size, bool *fingerprint)
{
    struct attribute found;
    u32 at = STUN_HEADER;
    *fingerprint = false;
    if (!stun_is_whole(data, size))
        return false;
    switch (get16(data)) {
    case 0x0003: /* Allocate */
    case 0x0004: /* Refresh */
    case 0x0008: /* CreatePermission */
    case 0x0009: /* ChannelBind */
        break;
    default:
        return false;
    }
    while (next_attribute(data, size, &at, &found)) {
        if (found.code == ATTR_MESSAGE_INTEGRITY ||
            found.code == ATTR_MESSAGE_INTEGRITY_SHA256)
            return false;
        if (found.code == ATTR_FINGERPRINT) {
            if (!fingerprint_holds(data, size, &found))
                return false;
            *fingerprint = true;
        }
    }
    return at == size;
}

/* Base64 with padding; characters written. */
static u32 put_base64(u8 *out, const u8 *data, u32 size)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    u32 used = 0;
    for (u32 at = 0; at < size; at += 3, used += 4) {
        u32 left = size - at;
        u32 word = (u32)data[at] << 16 | (left > 1 ? (u32)data[at + 1] << 8 : 0) |
                   (left > 2 ? data[at + 2] : 0);
        for (u32 n = 0; n < 4; n++)
            out[used + n] = n <= left ? (u8)letters[word >> (18 - 6 * n) & 63] : '=';
    }
    return used;
}

/* As Nonces.make; characters written, at most 25. now: the core's, in ns. */
static u32 put_nonce(u8 *out, const struct terms *t, i64 now,
                     const struct address *client, bool offer)
{
    u8 bound[2 + 3 + 2 + 16], stamped[2 + MAX_PROOF_BYTES];
    u32 used = 0, features = offer ? t->features : 0;
    put16(stamped, (unsigned)(now / 1000000000 / NONCE_SLOT_S) & 0xFFFF);
    memcpy(bound, stamped, 2);
    bound[2] = (u8)(features >> 16);
    put16(bound + 3, features & 0xFFFF);
    put16(bound + 5, client->port);
    memcpy(bound + 7, client->ip, ip_bytes(client));
    blake2b(stamped + 2, t->proof_size, t->key, sizeof t->key, bound,
            7 + ip_bytes(client));
    if (features != 0) {
        memcpy(out, "obMatJos2", 9);
        used = 9 + put_base64(out + 9, bound + 2, 3);
    }
    return used + put_base64(out + used, stamped, 2 + t->proof_size);
}

static u32 put_bytes(u8 *out, u16 code, const u8 *value, u32 size)
{
    put16(out, code);
    put16(out + 2, size);
    memcpy(out + 4, value, size);
    memset(out + 4 + size, 0, padded(size) - size);
    return 4 + padded(size);
}

/* The whole 401, in at most MAX_CHALLENGE bytes; how many. request: its header
 * is read. */
static u32 put_challenge(u8 *out, const struct terms *t, i64 now, const u8 *request,
                         const struct address *client, bool offer, bool fingerprint)
{
    static const u8 unauthorized[4] = {0, 0, 4, 1};
    static const u8 algorithms[8] = {0, 2, 0, 0, 0, 1, 0, 0}; /* SHA-256, MD5 */
    u8 nonce[28];
    u32 size = STUN_HEADER;
    put16(out, 0x0110u | get16(request)); /* the error class, of small methods */
    put32(out + 4, MAGIC_COOKIE);
    memcpy(out + 8, request + 8, 12);
    size += put_bytes(out + size, ATTR_ERROR_CODE, unauthorized, 4);
    size += put_bytes(out + size, ATTR_REALM, t->realm, t->realm_size);
    size += put_bytes(out + size, ATTR_NONCE, nonce,
                      put_nonce(nonce, t, now, client, offer));
    if (offer)
        size += put_bytes(out + size, ATTR_PASSWORD_ALGORITHMS, algorithms, 8);
    put16(out + 2, size - STUN_HEADER + (fingerprint ? 8 : 0));
    if (fingerprint) {
        put16(out + size, ATTR_FINGERPRINT);
        put16(out + size + 2, 4);
        put32(out + size + 4, crc32_of(out, size) ^ FINGERPRINT_XOR);
        size += 8;
    }
    return size;
}

/* As long as put_challenge with an offer and without fingerprint. */
static u32 offer_size(const struct terms *t)
{
    u32 characters = 13 + (2 + t->proof_size + 2) / 3 * 4;
    return STUN_HEADER + 8 + 4 + padded(t->realm_size) + 4 + padded(characters) + 12;
}

#endif
