/* SHA-1 (FIPS 180-4 section 6.1) and HMAC with it (RFC 2104), for the integrity
 * of STUN messages: keys of 16 bytes, no streaming. */
#ifndef MOSAIC_SHA1_H
#define MOSAIC_SHA1_H

#include <stdint.h>
#include <string.h>

enum { SHA1_BLOCK = 64, SHA1_BYTES = 20 };

struct sha1 {
    uint32_t h[5];
};

/* The two hashes of HMAC with the key in them. */
struct hmac_key {
    struct sha1 inner, outer;
};

static inline uint32_t sha1_turn(uint32_t x, int by) { return x << by | x >> (32 - by); }

static void sha1_block(struct sha1 *s, const uint8_t *block)
{
    uint32_t w[80], a = s->h[0], b = s->h[1], c = s->h[2], d = s->h[3], e = s->h[4];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
               (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (int t = 16; t < 80; t++)
        w[t] = sha1_turn(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
#define SHA1_ROUNDS(from, function)                                                    \
    for (int t = from; t < (from) + 20; t++) {                                         \
        uint32_t next = sha1_turn(a, 5) + (function) + e + w[t];                       \
        e = d, d = c, c = sha1_turn(b, 30), b = a, a = next;                           \
    }
    SHA1_ROUNDS(0, (d ^ (b & (c ^ d))) + 0x5A827999)
    SHA1_ROUNDS(20, (b ^ c ^ d) + 0x6ED9EBA1)
    SHA1_ROUNDS(40, ((b & c) | (d & (b | c))) + 0x8F1BBCDC)
    SHA1_ROUNDS(60, (b ^ c ^ d) + 0xCA62C1D6)
#undef SHA1_ROUNDS
    s->h[0] += a;
    s->h[1] += b;
    s->h[2] += c;
    s->h[3] += d;
    s->h[4] += e;
}

/* The rest of a message, before which whole blocks of `before` bytes were taken
 * in. */
static void sha1_finish(struct sha1 *s, const uint8_t *data, size_t size, size_t before,
                        uint8_t out[SHA1_BYTES])
{
    uint8_t tail[2 * SHA1_BLOCK] = {0};
    uint64_t bits = (uint64_t)(before + size) * 8;
    for (; size >= SHA1_BLOCK; data += SHA1_BLOCK, size -= SHA1_BLOCK)
        sha1_block(s, data);
    size_t blocks = size < SHA1_BLOCK - 8 ? 1 : 2;
    if (size > 0)
        memcpy(tail, data, size);
    tail[size] = 0x80;
    for (size_t at = 0; at < 8; at++)
        tail[blocks * SHA1_BLOCK - 1 - at] = (uint8_t)(bits >> 8 * at);
    for (size_t at = 0; at < blocks; at++)
        sha1_block(s, tail + at * SHA1_BLOCK);
    for (int at = 0; at < SHA1_BYTES; at++)
        out[at] = (uint8_t)(s->h[at / 4] >> (24 - at % 4 * 8));
}

static struct hmac_key hmac_begin(const uint8_t *key, size_t size)
{
    static const struct sha1 fresh = {
        {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0}};
    struct hmac_key made = {fresh, fresh};
    uint8_t inner[SHA1_BLOCK], outer[SHA1_BLOCK];
    for (size_t at = 0; at < SHA1_BLOCK; at++) {
        uint8_t byte = at < size ? key[at] : 0;
        inner[at] = byte ^ 0x36;
        outer[at] = byte ^ 0x5C;
    }
    sha1_block(&made.inner, inner);
    sha1_block(&made.outer, outer);
    return made;
}

static void hmac_sha1(const struct hmac_key *key, const uint8_t *data, size_t size,
                      uint8_t out[SHA1_BYTES])
{
    struct sha1 inner = key->inner, outer = key->outer;
    sha1_finish(&inner, data, size, SHA1_BLOCK, out);
    sha1_finish(&outer, out, SHA1_BYTES, SHA1_BLOCK, out);
}

/* In a time that says nothing about where they differ. */
static int same_bytes(const uint8_t *a, const uint8_t *b, size_t size)
{
    uint8_t differs = 0;
    for (size_t at = 0; at < size; at++)
        differs |= a[at] ^ b[at];
    return differs == 0;
}

#endif
