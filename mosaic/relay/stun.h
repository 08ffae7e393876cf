/* Bytes of STUN and TURN as the data plane needs them: no more than the fixed
 * header and attributes by number, every length checked before it is used.
 * RFC 8489 sections 5 and 14, RFC 8656 sections 11, 12 and 18. */
#ifndef MOSAIC_STUN_H
#define MOSAIC_STUN_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t i64;

enum {
    STUN_HEADER = 20,
    CHANNEL_HEADER = 4,
    /* Data indication: header, XOR-PEER-ADDRESS of IPv6, DATA's own header. */
    MAX_INDICATION_HEAD = 20 + 24 + 4,
    MAX_BINDING_ANSWER = 20 + 24 + 8,

    BINDING_REQUEST = 0x0001,
    BINDING_SUCCESS = 0x0101,
    SEND_INDICATION = 0x0016,
    DATA_INDICATION = 0x0017,

    ATTR_XOR_PEER_ADDRESS = 0x0012,
    ATTR_DATA = 0x0013,
    ATTR_MESSAGE_INTEGRITY = 0x0008,
    ATTR_DONT_FRAGMENT = 0x001A,
    ATTR_MESSAGE_INTEGRITY_SHA256 = 0x001C,
    ATTR_XOR_MAPPED_ADDRESS = 0x0020,
    ATTR_FINGERPRINT = 0x8028,

    FIRST_CHANNEL = 0x4000,
    LAST_CHANNEL = 0x4FFF, /* RFC 8656 section 12: 0x5000 and above are reserved */
};
#define MAGIC_COOKIE 0x2112A442u
#define FINGERPRINT_XOR 0x5354554Eu

/* A transport address, or a host when the port is 0. Compared as bytes. */
struct address {
    u8 ip[16];
    u16 port;
    u16 family; /* 4, 6, or 0 for none */
};

static inline u16 get16(const u8 *at) { return (u16)(at[0] << 8 | at[1]); }

static inline u32 get32(const u8 *at) { return (u32)get16(at) << 16 | get16(at + 2); }

static inline void put16(u8 *at, unsigned value)
{
    at[0] = (u8)(value >> 8);
    at[1] = (u8)value;
}

static inline void put32(u8 *at, u32 value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xFFFF);
}

static inline u32 padded(u32 size) { return (size + 3) & ~3u; }

static inline bool same_address(const struct address *a, const struct address *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static inline u32 ip_bytes(const struct address *a) { return a->family == 6 ? 16 : 4; }

static struct address host_of(const struct address *a)
{
    struct address host = *a;
    host.port = 0;
    return host;
}

static struct address from_sockaddr(const void *name)
{
    struct address made = {0};
    const struct sockaddr_in *v4 = name;
    const struct sockaddr_in6 *v6 = name;
    if (v4->sin_family == AF_INET) {
        memcpy(made.ip, &v4->sin_addr, 4);
        made.port = ntohs(v4->sin_port);
        made.family = 4;
    } else if (v4->sin_family == AF_INET6) {
        memcpy(made.ip, &v6->sin6_addr, 16);
        made.port = ntohs(v6->sin6_port);
        made.family = 6;
    }
    return made;
}

static socklen_t to_sockaddr(const struct address *a, struct sockaddr_in6 *name)
{
    memset(name, 0, sizeof *name);
    if (a->family == 6) {
        name->sin6_family = AF_INET6;
        name->sin6_port = htons(a->port);
        memcpy(&name->sin6_addr, a->ip, 16);
        return sizeof *name;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)name;
    v4->sin_family = AF_INET;
    v4->sin_port = htons(a->port);
    memcpy(&v4->sin_addr, a->ip, 4);
    return sizeof *v4;
}

/* The CRC-32 of ISO 3309, as FINGERPRINT wants it (RFC 8489 section 14.7). */
static u32 crc32_of(const u8 *data, u32 size)
{
    static const u32 nibbles[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    u32 crc = ~0u;
    for (u32 at = 0; at < size; at++) {
        crc ^= data[at];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return ~crc;
}

/* One attribute of a message that is being walked. */
struct attribute {
    u16 code;
    u16 size;
    const u8 *value;
};

/* The header is whole, has the cookie, and its length covers the datagram. */
static bool stun_is_whole(const u8 *data, u32 size)
{
    return size >= STUN_HEADER && data[0] < 0x40 && get32(data + 4) == MAGIC_COOKIE &&
           size % 4 == 0 && get16(data + 2) == size - STUN_HEADER;
}

/* Read the attribute at *at and step over it; false at the end or if it runs
 * over. *at is size only when the message ended where it should. */
static bool next_attribute(const u8 *data, u32 size, u32 *at, struct attribute *out)
{
    if (size - *at < 4)
        return false;
    out->code = get16(data + *at);
    out->size = get16(data + *at + 2);
    out->value = data + *at + 4;
    if (padded(out->size) > size - *at - 4)
        return false;
    *at += 4 + padded(out->size);
    return true;
}

/* FINGERPRINT is last, and right. */
static bool fingerprint_holds(const u8 *data, u32 size, const struct attribute *found)
{
    u32 at = (u32)(found->value - data) - 4;
    return found->size == 4 && at + 8 == size &&
           get32(found->value) == (crc32_of(data, at) ^ FINGERPRINT_XOR);
}

/* XOR the address with cookie and transaction (RFC 8489 section 14.2). */
static void xor_ip(u8 *out, const u8 *ip, u32 size, const u8 *transaction)
{
    u8 mask[16];
    put32(mask, MAGIC_COOKIE);
    memcpy(mask + 4, transaction, 12);
    for (u32 at = 0; at < size; at++)
        out[at] = ip[at] ^ mask[at];
}

/* Append an XOR-…-ADDRESS attribute; bytes written: 12 or 24. */
static u32 put_xor_address(u8 *out, u16 code, const struct address *a,
                           const u8 *transaction)
{
    u32 size = ip_bytes(a);
    put16(out, code);
    put16(out + 2, 4 + size);
    put16(out + 4, a->family == 6 ? 2 : 1);
    put16(out + 6, a->port ^ (MAGIC_COOKIE >> 16));
    xor_ip(out + 8, a->ip, size, transaction);
    return 8 + size;
}

static bool get_xor_address(const struct attribute *from, const u8 *transaction,
                            struct address *out)
{
    memset(out, 0, sizeof *out);
    if (from->size == 8 && from->value[1] == 1)
        out->family = 4;
    else if (from->size == 20 && from->value[1] == 2)
        out->family = 6;
    else
        return false;
    out->port = get16(from->value + 2) ^ (MAGIC_COOKIE >> 16);
    xor_ip(out->ip, from->value + 4, ip_bytes(out), transaction);
    return true;
}

/* A Binding request that needs no thought: it carries nothing that a server
 * must understand, so the answer is XOR-MAPPED-ADDRESS (RFC 8489 section 12).
 * *fingerprint: whether it had one, and so wants one. */
static bool is_plain_binding(const u8 *data, u32 size, bool *fingerprint)
{
    struct attribute found;
    u32 at = STUN_HEADER;
    *fingerprint = false;
    if (!stun_is_whole(data, size) || get16(data) != BINDING_REQUEST)
        return false;
    while (next_attribute(data, size, &at, &found)) {
        if (found.code < 0x8000)
            return false;
        if (found.code == ATTR_FINGERPRINT) {
            if (!fingerprint_holds(data, size, &found))
                return false;
            *fingerprint = true;
        }
    }
    return at == size;
}

/* Its answer, in at most MAX_BINDING_ANSWER bytes; how many. */
static u32 put_binding_answer(u8 *out, const u8 *transaction, const struct address *a,
                              bool fingerprint)
{
    u32 size = STUN_HEADER;
    put16(out, BINDING_SUCCESS);
    put32(out + 4, MAGIC_COOKIE);
    memmove(out + 8, transaction, 12);
    size += put_xor_address(out + size, ATTR_XOR_MAPPED_ADDRESS, a, out + 8);
    put16(out + 2, size - STUN_HEADER + (fingerprint ? 8 : 0));
    if (fingerprint) {
        put16(out + size, ATTR_FINGERPRINT);
        put16(out + size + 2, 4);
        put32(out + size + 4, crc32_of(out, size) ^ FINGERPRINT_XOR);
        size += 8;
    }
    return size;
}

/* What a Send indication says (RFC 8656 section 11.2). */
struct send_indication {
    struct address peer;
    const u8 *payload;
    u32 size;
    bool dont_fragment;
};

/* What a TURN server understands in any message: the old way signs indications
 * too, and sends USERNAME, REALM and NONCE along. */
static bool is_understood(u16 code)
{
    switch (code) {
    case 0x0001: /* MAPPED-ADDRESS */
    case 0x0006: /* USERNAME */
    case 0x0009: /* ERROR-CODE */
    case 0x000A: /* UNKNOWN-ATTRIBUTES */
    case 0x000C: /* CHANNEL-NUMBER */
    case 0x000D: /* LIFETIME */
    case 0x0014: /* REALM */
    case 0x0015: /* NONCE */
    case 0x0016: /* XOR-RELAYED-ADDRESS */
    case 0x0017: /* REQUESTED-ADDRESS-FAMILY */
    case 0x0018: /* EVEN-PORT */
    case 0x0019: /* REQUESTED-TRANSPORT */
    case 0x0020: /* XOR-MAPPED-ADDRESS */
        return true;
    default:
        return code >= 0x8000;
    }
}

/* Read one; false means it is dropped in silence. The first of an attribute
 * counts, and what MESSAGE-INTEGRITY does not cover is not looked at. */
static bool get_send_indication(const u8 *data, u32 size, struct send_indication *out)
{
    struct attribute found;
    u32 at = STUN_HEADER;
    bool covered = true, has_peer = false;
    memset(out, 0, sizeof *out);
    if (!stun_is_whole(data, size) || get16(data) != SEND_INDICATION)
        return false;
    while (next_attribute(data, size, &at, &found)) {
        if (found.code == ATTR_FINGERPRINT && !fingerprint_holds(data, size, &found))
            return false;
        if (!covered || found.code >= 0x8000)
            continue;
        switch (found.code) {
        case ATTR_XOR_PEER_ADDRESS:
            if (!has_peer && !get_xor_address(&found, data + 8, &out->peer))
                return false;
            has_peer = true;
            break;
        case ATTR_DATA:
            if (out->payload == NULL) {
                out->payload = found.value;
                out->size = found.size;
            }
            break;
        case ATTR_DONT_FRAGMENT:
            out->dont_fragment = true;
            break;
        case ATTR_MESSAGE_INTEGRITY:
        case ATTR_MESSAGE_INTEGRITY_SHA256:
            covered = false;
            break;
        default:
            if (!is_understood(found.code))
                return false;
        }
    }
    return at == size && has_peer && out->payload != NULL;
}

/* Write a Data indication's head (section 11.3) before the payload and its
 * padding after; the number of bytes before, or 0 if it grows too long.
 * There is room for MAX_INDICATION_HEAD before and 3 bytes after. */
static u32 put_data_indication(u8 *payload, u32 size, const struct address *peer,
                               u64 relay, u64 count)
{
    u32 head = STUN_HEADER + 8 + ip_bytes(peer) + 4;
    u32 length = head - STUN_HEADER + padded(size);
    u8 *out = payload - head;
    if (length > 0xFFFF)
        return 0;
    put16(out, DATA_INDICATION);
    put16(out + 2, length);
    put32(out + 4, MAGIC_COOKIE);
    put16(out + 8, (u16)(relay >> 32));
    put32(out + 10, (u32)relay);
    put16(out + 14, (u16)(count >> 32));
    put32(out + 16, (u32)count);
    put_xor_address(out + STUN_HEADER, ATTR_XOR_PEER_ADDRESS, peer, out + 8);
    put16(payload - 4, ATTR_DATA);
    put16(payload - 2, size);
    memset(payload + size, 0, padded(size) - size);
    return head;
}

#endif
