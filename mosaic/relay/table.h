/* One hash table for everything that packets are looked up by. The entries
 * live inside the things they lead to; the seed is random, since peers choose
 * many of the keys. */
#ifndef MOSAIC_TABLE_H
#define MOSAIC_TABLE_H

#include "stun.h"
#include <stdlib.h>

enum key_kind {
    BY_NUMBER = 1, /* relay */
    BY_CLIENT,     /* transport, client and server address: relay */
    BY_RELAYED,    /* relayed address: relay */
    BY_CHANNEL,    /* relay and channel: channel */
    BY_PEER,       /* relay and peer address: channel */
    BY_HOST,       /* relay and peer host: permission */
    LOCAL_HOST,    /* host of this machine */
    BY_USER,       /* user: the limit that its allocations share */
    BY_STREAM,     /* transport, client and server address: stream */
    BY_STREAM_NUMBER, /* stream */
};

struct key {
    struct address first;
    struct address second;
    u64 number; /* relay, with kind and channel above its 40 bits */
};

struct entry {
    struct entry *next;
    u64 hash;
    struct key key;
    void *owner;
};

struct table {
    struct entry **rows;
    size_t mask;
    size_t count;
    u64 seed;
};

static struct key key_of(enum key_kind kind, u64 relay, unsigned channel,
                         const struct address *first, const struct address *second)
{
    struct key key;
    memset(&key, 0, sizeof key);
    key.number = relay ^ (u64)kind << 60 ^ (u64)channel << 40;
    if (first != NULL)
        key.first = *first;
    if (second != NULL)
        key.second = *second;
    return key;
}

static u64 fold(u64 a, u64 b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (u64)product ^ (u64)(product >> 64);
}

static u64 hash_bytes(const void *data, size_t size, u64 seed)
{
    const u8 *at = data;
    u64 hash = seed;
    for (; size >= 8; at += 8, size -= 8) {
        u64 word;
        memcpy(&word, at, 8);
        hash = fold(hash ^ word, 0x9e3779b97f4a7c15u ^ seed);
    }
    if (size > 0) {
        u64 word = 0;
        memcpy(&word, at, size);
        hash = fold(hash ^ word, 0xd6e8feb86659fd93u ^ seed);
    }
    return hash;
}

static bool table_init(struct table *t, u64 seed)
{
    t->rows = calloc(64, sizeof *t->rows);
    t->mask = 63;
    t->count = 0;
    t->seed = seed | 1;
    return t->rows != NULL;
}

static void *table_find(const struct table *t, const struct key *key)
{
    u64 hash = hash_bytes(key, sizeof *key, t->seed);
    for (struct entry *e = t->rows[hash & t->mask]; e != NULL; e = e->next)
        if (e->hash == hash && memcmp(&e->key, key, sizeof *key) == 0)
            return e->owner;
    return NULL;
}

/* Grow when crowded; without memory it stays as it is, only slower. */
static void table_grow(struct table *t)
{
    size_t mask = t->mask * 2 + 1;
    struct entry **rows = calloc(mask + 1, sizeof *rows);
    if (rows == NULL)
        return;
    for (size_t row = 0; row <= t->mask; row++)
        for (struct entry *e = t->rows[row], *next; e != NULL; e = next) {
            next = e->next;
            e->next = rows[e->hash & mask];
            rows[e->hash & mask] = e;
        }
    free(t->rows);
    t->rows = rows;
    t->mask = mask;
}

static void table_add(struct table *t, struct entry *e, struct key key, void *owner)
{
    if (t->count > t->mask)
        table_grow(t);
    e->key = key;
    e->owner = owner;
    e->hash = hash_bytes(&key, sizeof key, t->seed);
    e->next = t->rows[e->hash & t->mask];
    t->rows[e->hash & t->mask] = e;
    t->count++;
}

/* Take an entry out; nothing happens if it is not in. */
static void table_remove(struct table *t, struct entry *e)
{
    struct entry **at = &t->rows[e->hash & t->mask];
    while (*at != NULL && *at != e)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = e->next;
    e->next = NULL;
    e->owner = NULL;
    t->count--;
}

#endif
