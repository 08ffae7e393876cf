/* Bounded hand-over between two threads without locks: one writes whole
 * records, the other reads them where they lie. A full ring drops. */
#ifndef MOSAIC_RING_H
#define MOSAIC_RING_H

#include "stun.h"
#include <stdatomic.h>
#include <stdlib.h>

enum record_kind {
    RECORD_SKIP = 0,    /* nothing up to the end of the ring */
    RECORD_CONTROL = 1, /* a STUN message that is not data */
    RECORD_FRAME = 2,   /* a frame for the stream client of relay `number` */
    RECORD_SETTLED = 3, /* ticket `number` */
    RECORD_DATA = 4,    /* what the stream client of relay `number` sent */
    RECORD_STREAM_CONTROL = 5, /* a STUN message of stream `number` */
    RECORD_STREAM_GONE = 6,    /* it has ended; unused: it was no TURN */
    RECORD_KNOWN = 7, /* an Allocate of pass `number` (admission.h); unused: its
                       * LIFETIME, and WITH_FINGERPRINT */
};

/* 64 bytes, so that a Data indication's head fits over it (see plane.c). */
struct record {
    u32 size; /* of the record, a multiple of 8 */
    u32 kind;
    u64 number;
    struct address client;
    struct address server;
    u32 length; /* of the bytes that follow */
    u32 unused;
};
_Static_assert(sizeof(struct record) == 64, "thread.py reads records of 64");

enum { RECORD_SLACK = 8 }; /* room for padding behind the bytes */

struct ring {
    u8 *bytes;
    size_t size; /* a power of two */
    _Alignas(64) _Atomic size_t written;
    _Alignas(64) _Atomic size_t read;
};

static bool ring_init(struct ring *r, size_t size)
{
    r->bytes = aligned_alloc(64, size);
    r->size = size;
    atomic_init(&r->written, 0);
    atomic_init(&r->read, 0);
    return r->bytes != NULL;
}

/* Room for one record, in one piece, or NULL. Nothing is visible yet. */
static struct record *ring_reserve(struct ring *r, u32 length)
{
    size_t need = (sizeof(struct record) + length + RECORD_SLACK + 7) & ~(size_t)7;
    size_t at = atomic_load_explicit(&r->written, memory_order_relaxed);
    size_t used = at - atomic_load_explicit(&r->read, memory_order_acquire);
    size_t offset = at & (r->size - 1), to_end = r->size - offset;
    size_t skip = need > to_end ? to_end : 0;
    if (need + skip > r->size - used)
        return NULL;
    if (skip > 0) {
        struct record gap = {.size = (u32)skip, .kind = RECORD_SKIP};
        memcpy(r->bytes + offset, &gap, 8);
        atomic_store_explicit(&r->written, at + skip, memory_order_release);
        offset = 0;
    }
    struct record *made = (struct record *)(r->bytes + offset);
    memset(made, 0, sizeof *made);
    made->size = (u32)need;
    made->length = length;
    return made;
}

static void ring_commit(struct ring *r, const struct record *made)
{
    /* In one order with the flags of who sleeps (plane.c). */
    atomic_store(&r->written,
                 atomic_load_explicit(&r->written, memory_order_relaxed) + made->size);
}

static bool ring_is_empty(struct ring *r)
{
    return atomic_load(&r->written) == atomic_load(&r->read);
}

/* The oldest record that was not passed yet. *at begins at ring_begin. */
static struct record *ring_next(struct ring *r, size_t *at)
{
    size_t end = atomic_load_explicit(&r->written, memory_order_acquire);
    while (*at != end) {
        struct record *found = (struct record *)(r->bytes + (*at & (r->size - 1)));
        if (found->kind != RECORD_SKIP)
            return found;
        *at += found->size;
    }
    return NULL;
}

static size_t ring_begin(struct ring *r)
{
    return atomic_load_explicit(&r->read, memory_order_relaxed);
}

/* Everything before at may be written over. */
static void ring_release(struct ring *r, size_t at)
{
    atomic_store_explicit(&r->read, at, memory_order_release);
}

#endif
