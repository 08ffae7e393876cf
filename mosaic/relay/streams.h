/* Stream clients, between the two threads: what they sent goes out, and what
 * their peers sent comes in, from the reactor's own thread where it can be. */
#ifndef MOSAIC_STREAMS_H
#define MOSAIC_STREAMS_H

#include "commands.h"
#include "reading.h"

/* What stream clients sent. It is read where it lies in the ring, and the ring
 * moves on when it has left. */
static void read_streams(plane *p)
{
    struct record *found;
    size_t at = ring_begin(&p->streams), begun = at;
    while ((found = ring_next(&p->streams, &at)) != NULL) {
        u32 size = found->size, length = found->length;
        struct relay *r = relay_by_number(p, found->number);
        from_client(p, r, (u8 *)(found + 1), length);
        at += size;
    }
    if (at != begun) {
        flush(p);
        ring_release(&p->streams, at);
    }
}

static void read_busy(plane *p)
{
    struct relay *r = p->busy, *next;
    p->busy = NULL;
    for (; r != NULL; r = next) {
        next = r->next_busy;
        r->busy = false;
        if (read_relay(p, r))
            be_busy(p, r);
    }
}

/* An event of a relay: its errors at once, its datagrams in its turn. */
static void relay_event(plane *p, const struct epoll_event *event)
{
    u64 tag = event->data.u64;
    u32 index = (u32)tag;
    if (index >= p->slot_count)
        return;
    struct relay *r = p->slots[index].relay;
    if (r == NULL || tag_of(TAG_RELAY, p->slots[index].generation, index) != tag)
        return; /* it was another's */
    if (event->events & EPOLLERR)
        read_errors(p, r);
    be_busy(p, r);
}

/* Read the relays of stream clients. told: the reactor's event was there. */
static void read_stream_relays(plane *p, bool *told)
{
    struct epoll_event events[EVENTS];
    int got = epoll_wait(p->reader_fd, events, EVENTS, 0);
    for (int at = 0; at < got; at++) {
        if (events[at].data.u64 >> 62 == TAG_WAKE)
            *told = true;
        else
            relay_event(p, &events[at]);
    }
    read_busy(p);
    flush(p);
    flush_streams(p);
    p->arena.used = 0;
}

/* On the reactor's thread, which is told what comes of it right after. If the
 * other thread is at work, it does this with the rest. */
static void read_for_reactor(plane *p)
{
    bool told = false, more = false;
    if (pthread_mutex_trylock(&p->turn) == 0) {
        p->now = clock_ns(p);
        read_stream_relays(p, &told);
        p->has_spoken = false;
        more = p->busy != NULL;
        pthread_mutex_unlock(&p->turn);
    } else {
        atomic_store(&p->relays_wait, true);
        told = true;
    }
    u64 many;
    if (told)
        (void)!read(p->event_fd, &many, sizeof many);
    if (more)
        plane_wake(p);
}

/* What streams have sent goes out from the reactor's own thread if the other
 * one sleeps and has nothing that comes first; else that one is told. */
static void send_streams(plane *p)
{
    if (pthread_mutex_trylock(&p->turn) != 0) {
        plane_wake(p);
        return;
    }
    bool may = p->waiting == NULL && atomic_load(&p->commands) == NULL;
    if (may) {
        p->now = clock_ns(p);
        read_streams(p);
        flush_streams(p);
        if (p->has_spoken)
            tell_reactor(p);
    }
    pthread_mutex_unlock(&p->turn);
    if (!may)
        plane_wake(p);
}

/* The size of the data message that begins here, without and with padding; 0
 * if it is none, or not whole (RFC 8656 sections 11.2 and 12.5). */
static u32 data_message(const u8 *at, u32 left, u32 *total)
{
    u32 length = left < CHANNEL_HEADER ? 0 : get16(at + 2), size = 0;
    if (left >= CHANNEL_HEADER && at[0] >> 6 == 1) {
        size = CHANNEL_HEADER + length;
        *total = CHANNEL_HEADER + padded(length);
    } else if (left >= STUN_HEADER && get16(at) == SEND_INDICATION &&
               get32(at + 4) == MAGIC_COOKIE && length % 4 == 0) {
        *total = size = STUN_HEADER + length;
    }
    return size > 0 && *total <= left ? size : 0;
}

static int take_from(struct ring *r, u8 *out, int size)
{
    int used = 0;
    struct record *found;
    size_t at = ring_begin(r);
    while ((found = ring_next(r, &at)) != NULL && found->size <= (u32)(size - used)) {
        memcpy(out + used, found, found->size);
        used += (int)found->size;
        at += found->size;
    }
    ring_release(r, at);
    return used;
}

#endif
