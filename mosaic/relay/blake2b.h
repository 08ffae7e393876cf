/* BLAKE2b with a key: a MAC by itself (RFC 7693). Written from the RFC, for
 * nonces: short inputs, no streaming. */
#ifndef MOSAIC_BLAKE2B_H
#define MOSAIC_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { BLAKE2B_BLOCK = 128, BLAKE2B_MOST = 64 };

static inline uint64_t blake2b_turn(uint64_t x, int by) { return x >> by | x << (64 - by); }

/* Section 3.1: the mixing function. */
static inline void blake2b_mix(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d,
                               uint64_t x, uint64_t y)
{
    *a += *b + x;
    *d = blake2b_turn(*d ^ *a, 32);
    *c += *d;
    *b = blake2b_turn(*b ^ *c, 24);
    *a += *b + y;
    *d = blake2b_turn(*d ^ *a, 16);
    *c += *d;
    *b = blake2b_turn(*b ^ *c, 63);
}

static const uint64_t blake2b_iv[8] = {
    0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
    0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179};

/* Section 3.2: one block; total: bytes so far, with this block. */
static void blake2b_block(uint64_t h[8], const uint8_t block[BLAKE2B_BLOCK],
                          uint64_t total, int last)
{
    static const uint8_t sigma[10][16] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
        {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
        {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
        {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
        {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
        {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
        {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
        {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
        {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
        {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};
    uint64_t v[16], m[16];
    for (int at = 0; at < 16; at++) {
        m[at] = 0;
        for (int byte = 7; byte >= 0; byte--)
            m[at] = m[at] << 8 | block[at * 8 + byte];
        v[at] = at < 8 ? h[at] : blake2b_iv[at - 8];
    }
    v[12] ^= total;
    if (last)
        v[14] = ~v[14];
    for (int round = 0; round < 12; round++) {
        const uint8_t *s = sigma[round % 10];
        for (int at = 0; at < 4; at++)
            blake2b_mix(&v[at], &v[4 + at], &v[8 + at], &v[12 + at], m[s[2 * at]],
                        m[s[2 * at + 1]]);
        for (int at = 0; at < 4; at++)
            blake2b_mix(&v[at], &v[4 + (at + 1) % 4], &v[8 + (at + 2) % 4],
                        &v[12 + (at + 3) % 4], m[s[8 + 2 * at]], m[s[9 + 2 * at]]);
    }
    for (int at = 0; at < 8; at++)
        h[at] ^= v[at] ^ v[at + 8];
}

/* out_size: 1-64 bytes; key_size: 0-64; size: any. Section 3.3. */
static void blake2b(uint8_t *out, size_t out_size, const uint8_t *key, size_t key_size,
                    const uint8_t *data, size_t size)
{
    uint8_t block[BLAKE2B_BLOCK] = {0};
    uint64_t h[8], total = 0;
    memcpy(h, blake2b_iv, sizeof h);
    h[0] ^= 0x01010000 ^ (uint64_t)key_size << 8 ^ out_size;
    if (key_size > 0) {
        memcpy(block, key, key_size);
        total = BLAKE2B_BLOCK;
        blake2b_block(h, block, total, size == 0);
    }
    while (size > 0 || total == 0) {
        size_t now = size < BLAKE2B_BLOCK ? size : BLAKE2B_BLOCK;
        memset(block, 0, sizeof block);
        memcpy(block, data, now);
        total += now;
        data += now;
        size -= now;
        blake2b_block(h, block, total, size == 0);
        if (total == 0)
            break; /* nothing at all: one empty block */
    }
    for (size_t at = 0; at < out_size; at++)
        out[at] = (uint8_t)(h[at / 8] >> 8 * (at % 8));
}

#endif
