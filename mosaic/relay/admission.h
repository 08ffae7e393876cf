/* Requests of known credentials, checked in the data thread (decision 024): an
 * Allocate that asks for nothing but a relay, signed with a key that the core
 * has vouched for. Whether it gets one is the core's to say; here it is found
 * out who asks, and the answer is written. What is in any way unusual goes the
 * core's full way, and so does what the core would refuse. */
#ifndef MOSAIC_ADMISSION_H
#define MOSAIC_ADMISSION_H

#include "challenge.h"
#include "sha1.h"

enum {
    PASSES = 1024,
    LONG_TERM_KEY = 16, /* MD5 (RFC 8489 section 18.5.1.1) */
    MAX_USERNAME = 128, /* longer ones go the full way */
    MAX_SIGNED = 512,
    NO_LIFETIME = 0xFFFF,
    WITH_FINGERPRINT = 1 << 16,
    INTEGRITY_BYTES = 4 + SHA1_BYTES,
    /* Header, two addresses of IPv6, LIFETIME, integrity, FINGERPRINT. */
    MAX_ALLOCATED = 20 + 24 + 8 + 24 + INTEGRITY_BYTES + 8,

    ALLOCATE_REQUEST = 0x0003,
    ALLOCATE_SUCCESS = 0x0103,
    ATTR_USERNAME = 0x0006,
    ATTR_LIFETIME = 0x000D,
    ATTR_XOR_RELAYED_ADDRESS = 0x0016,
    ATTR_REQUESTED_TRANSPORT = 0x0019,
    ATTR_SOFTWARE = 0x8022,
};

/* A username and its key. Each has one place, by its hash; who comes later to
 * the same place takes it. */
struct pass {
    u64 number; /* 0: the place is free */
    struct hmac_key key;
    u32 size;
    u8 name[MAX_USERNAME];
};

/* What a plain Allocate says. */
struct plain_allocate {
    const u8 *name, *nonce, *proof;
    u32 name_size, nonce_size, proof_at;
    u32 lifetime; /* up to NO_LIFETIME - 1, which is past what is granted */
    bool fingerprint;
};

/* Each attribute at most once, all of them known and right; after the integrity
 * nothing but FINGERPRINT. */
static bool get_plain_allocate(const u8 *data, u32 size, const struct terms *t,
                               struct plain_allocate *out)
{
    struct attribute found;
    u32 at = STUN_HEADER;
    bool transport = false, realm = false, software = false, lifetime = false;
    memset(out, 0, sizeof *out);
    out->lifetime = NO_LIFETIME;
    if (!stun_is_whole(data, size) || get16(data) != ALLOCATE_REQUEST ||
        size > MAX_SIGNED)
        return false;
    while (next_attribute(data, size, &at, &found)) {
        if (out->fingerprint || (out->proof != NULL && found.code != ATTR_FINGERPRINT))
            return false;
        bool fits = false;
        switch (found.code) {
        case ATTR_REQUESTED_TRANSPORT:
            fits = !transport && found.size == 4 && found.value[0] == IPPROTO_UDP;
            transport = true;
            break;
        case ATTR_LIFETIME:
            fits = !lifetime && found.size == 4;
            lifetime = true;
            if (fits && get32(found.value) < NO_LIFETIME)
                out->lifetime = get32(found.value);
            else if (fits)
                out->lifetime = NO_LIFETIME - 1;
            break;
        case ATTR_USERNAME:
            fits = out->name == NULL && found.size > 0 && found.size <= MAX_USERNAME;
            out->name = found.value;
            out->name_size = found.size;
            break;
        case ATTR_REALM:
            fits = !realm && found.size == t->realm_size &&
                   memcmp(found.value, t->realm, found.size) == 0;
            realm = true;
            break;
        case ATTR_NONCE:
            fits = out->nonce == NULL;
            out->nonce = found.value;
            out->nonce_size = found.size;
            break;
        case ATTR_SOFTWARE:
            fits = !software;
            software = true;
            break;
        case ATTR_MESSAGE_INTEGRITY:
            fits = found.size == SHA1_BYTES;
            out->proof = found.value;
            out->proof_at = (u32)(found.value - data) - 4;
            break;
        case ATTR_FINGERPRINT:
            fits = out->proof != NULL && fingerprint_holds(data, size, &found);
            out->fingerprint = true;
            break;
        }
        if (!fits)
            return false;
    }
    return at == size && transport && realm && out->name != NULL &&
           out->nonce != NULL && out->proof != NULL;
}

/* A nonce of this minute or the one before; an older one may be fresh enough,
 * which the core says. now: the core's clock, in ns. */
static bool is_new_nonce(const struct terms *t, const struct plain_allocate *asked,
                         const struct address *client, i64 now)
{
    u32 offered = (2 + t->proof_size + 2) / 3 * 4;
    bool offer = asked->nonce_size != offered;
    for (int back = 0; back < 2; back++, now -= (i64)NONCE_SLOT_S * 1000000000) {
        u8 made[28];
        if (now < 0 || put_nonce(made, t, now, client, offer) != asked->nonce_size)
            return false;
        if (same_bytes(made, asked->nonce, asked->nonce_size))
            return true;
    }
    return false;
}

/* RFC 8489 section 14.5: over all before, as if the message ended there. */
static bool is_signed_with(const struct hmac_key *key, const u8 *data,
                           const struct plain_allocate *asked)
{
    u8 covered[MAX_SIGNED], made[SHA1_BYTES];
    memcpy(covered, data, asked->proof_at);
    put16(covered + 2, asked->proof_at - STUN_HEADER + INTEGRITY_BYTES);
    hmac_sha1(key, covered, asked->proof_at, made);
    return same_bytes(made, asked->proof, SHA1_BYTES);
}

/* Who signed it: the pass's number, or 0 for the full way. */
static u64 who_signed(const struct pass *held, const u8 *data,
                      const struct plain_allocate *asked)
{
    bool known = held->number != 0 && held->size == asked->name_size &&
                 memcmp(held->name, asked->name, held->size) == 0;
    return known && is_signed_with(&held->key, data, asked) ? held->number : 0;
}

/* What the core has granted, as native.py packs it. */
struct grant {
    u64 relay, user;
    i64 expires_at;
    double bytes_per_s;
    struct address client, server, relayed;
    u8 transaction[12];
    u8 key[LONG_TERM_KEY];
    u32 lifetime_s, fingerprint;
    int fd;
    u32 port; /* of the relayed address, which has none */
};
_Static_assert(sizeof(struct grant) == 136, "granting.py packs grants of 136 bytes");

/* The success response, in at most MAX_ALLOCATED bytes; how many. As
 * wire/turn/allocated.py, byte for byte. */
static u32 put_allocated(u8 *out, const struct grant *g)
{
    struct hmac_key key = hmac_begin(g->key, sizeof g->key);
    u32 size = STUN_HEADER;
    put16(out, ALLOCATE_SUCCESS);
    put32(out + 4, MAGIC_COOKIE);
    memcpy(out + 8, g->transaction, 12);
    size += put_xor_address(out + size, ATTR_XOR_RELAYED_ADDRESS, &g->relayed, out + 8);
    put16(out + size, ATTR_LIFETIME);
    put16(out + size + 2, 4);
    put32(out + size + 4, g->lifetime_s);
    size += 8;
    size += put_xor_address(out + size, ATTR_XOR_MAPPED_ADDRESS, &g->client, out + 8);
    put16(out + 2, size - STUN_HEADER + INTEGRITY_BYTES);
    put16(out + size, ATTR_MESSAGE_INTEGRITY);
    put16(out + size + 2, SHA1_BYTES);
    hmac_sha1(&key, out, size, out + size + 4);
    size += INTEGRITY_BYTES;
    if (g->fingerprint) {
        put16(out + 2, size - STUN_HEADER + 8);
        put16(out + size, ATTR_FINGERPRINT);
        put16(out + size + 2, 4);
        put32(out + size + 4, crc32_of(out, size) ^ FINGERPRINT_XOR);
        size += 8;
    }
    return size;
}

#endif
