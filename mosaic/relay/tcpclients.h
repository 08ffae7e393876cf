/* TCP and TLS clients whose connection the data thread has: it cuts what they send
 * into messages, and writes what comes for them (frames.h). The reactor lends a
 * connection when its client gets a relay, and has it back when the last relay
 * ends. Of TLS it lends OpenSSL's object too, with the functions that read and
 * write it. */
#ifndef MOSAIC_TCPCLIENTS_H
#define MOSAIC_TCPCLIENTS_H

#include "frames.h"

/* ---- What arrives ---- */

/* Nothing more is read until the reactor has taken something. */
static void stall(plane *p, struct stream *s)
{
    if (!s->stalled) {
        s->stalled = true;
        s->next_stalled = p->stalled;
        p->stalled = s;
        atomic_store(&p->streams_stall, true);
        if (!s->gone)
            stream_wants(p, s);
    }
}

static bool tell_of_stream(plane *p, const struct stream *s, enum record_kind kind,
                           const u8 *data, u32 size)
{
    struct record *made = ring_reserve(&p->stream_controls, size);
    if (made == NULL)
        return false;
    made->kind = kind;
    made->number = s->number;
    made->unused = s->broken;
    memcpy((u8 *)(made + 1), data, size);
    ring_commit(&p->stream_controls, made);
    p->has_spoken = true;
    return true;
}

/* It has ended, or is no TURN: the reactor closes it. */
static void stream_gone(plane *p, struct stream *s, bool broken)
{
    if (s->gone)
        return;
    s->gone = true;
    s->broken = broken;
    epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    if (!tell_of_stream(p, s, RECORD_STREAM_GONE, (const u8 *)"", 0))
        stall(p, s);
}

/* A place of its own for a message, with room before for a longer head. */
static u8 *arena_place(plane *p)
{
    struct arena *a = &p->arena;
    if (a->used == BUFFERS) {
        flush(p);
        a->used = 0;
    }
    return a->bytes + (size_t)a->used++ * BUFFER_STRIDE + HEADROOM;
}

/* The message that begins here (wire/stun/framing.py): its size, with padding
 * in *total; 0 if it is not whole. *broken: it is none. */
static u32 measure(const u8 *at, u32 left, u32 *total, bool *broken)
{
    static const u8 cookie[4] = {0x21, 0x12, 0xA4, 0x42};
    u32 length, size;
    if (left < 4)
        return 0;
    length = get16(at + 2);
    if (at[0] >> 6 == 1) {
        size = CHANNEL_HEADER + length;
        *total = CHANNEL_HEADER + padded(length);
    } else {
        u32 seen = left < 8 ? left - 4 : 4;
        *broken = at[0] >> 6 != 0 || length % 4 != 0 || memcmp(at + 4, cookie, seen) != 0;
        *total = size = STUN_HEADER + length;
    }
    return *broken || *total > left ? 0 : size;
}

/* Every whole message that the bytes begin with; how many bytes were taken. */
static u32 cut(plane *p, struct stream *s, const u8 *data, u32 size)
{
    struct key key = key_of(BY_CLIENT, s->transport, 0, &s->client, &s->server);
    struct relay *r = table_find(&p->table, &key);
    bool broken = false;
    u32 at = 0, found, total;
    while ((found = measure(data + at, size - at, &total, &broken)) > 0) {
        const u8 *message = data + at;
        if (message[0] >= 0x40 || get16(message) == SEND_INDICATION) {
            u8 *place = arena_place(p);
            memcpy(place, message, found);
            from_client(p, r, place, found);
        } else if (!tell_of_stream(p, s, RECORD_STREAM_CONTROL, message, found)) {
            stall(p, s);
            return at;
        }
        at += total;
    }
    if (broken)
        stream_gone(p, s, true);
    return at;
}

/* What is left waits for the rest of it. */
static void keep_partial(plane *p, struct stream *s, const u8 *data, u32 size)
{
    u8 *kept = size > 0 ? malloc(size) : NULL;
    if (kept != NULL)
        memcpy(kept, data, size);
    free(s->partial);
    s->partial = kept;
    s->partial_size = kept != NULL ? size : 0;
    if (size > 0 && kept == NULL)
        stream_gone(p, s, true);
}

static void take_in(plane *p, struct stream *s, u32 size)
{
    u32 used = cut(p, s, p->stream_in, size);
    if (!s->gone)
        keep_partial(p, s, p->stream_in + used, size - used);
}

/* Up to STREAM_READ bytes of a connection. *ended: nothing more will come. */
static u32 stream_gives(struct stream *s, u8 *to, bool *ended)
{
    ssize_t got = recv(s->fd, to, STREAM_READ, MSG_DONTWAIT);
    *ended = got == 0 ||
             (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    return got > 0 ? (u32)got : 0;
}

/* The same over TLS: there is room for a whole record each time, so nothing stays
 * behind in OpenSSL, and the socket alone says when to read. */
static u32 records_of(plane *p, struct stream *s, u8 *to, bool *ended)
{
    u32 total = 0;
    int got = 1;
    *ended = false;
    p->tls.forget();
    while (total + TLS_RECORD <= STREAM_READ &&
           (got = p->tls.read(s->tls, to + total, TLS_RECORD)) > 0)
        total += (u32)got;
    if (got <= 0) {
        int why = p->tls.why(s->tls, got);
        *ended = why != TLS_WANTS_READ && why != TLS_WANTS_WRITE;
        s->reads_after_write = why == TLS_WANTS_WRITE;
        if (s->reads_after_write)
            stream_wants(p, s);
    }
    return total;
}

static void read_stream(plane *p, struct stream *s)
{
    u32 held = s->partial_size;
    u8 *to = p->stream_in + held;
    bool ended;
    if (held > 0)
        memcpy(p->stream_in, s->partial, held);
    u32 got = s->tls != NULL ? records_of(p, s, to, &ended)
                             : stream_gives(s, to, &ended);
    if (got > 0)
        take_in(p, s, held + got);
    if (ended)
        stream_gone(p, s, false);
}

static void stream_event(plane *p, const struct epoll_event *event)
{
    struct stream *s = stream_by_number(p, event->data.u64 & ~((u64)7 << TAG_SHIFT));
    if (s == NULL || s->gone)
        return;
    bool reads = event->events & (EPOLLIN | EPOLLERR | EPOLLHUP) ||
                 (s->reads_after_write && event->events & EPOLLOUT);
    if (event->events & EPOLLOUT || (s->writes_after_read && reads)) {
        s->blocked = s->writes_after_read = s->reads_after_write = false;
        stream_wants(p, s);
        drop_old_frames(p, s);
        be_dirty(p, s);
    }
    if (reads && !s->stalled)
        read_stream(p, s);
    else if (event->events & (EPOLLERR | EPOLLHUP))
        stream_gone(p, s, false);
}

/* The reactor has taken something: go on where there was no room. */
static void go_on(plane *p)
{
    struct stream *s = p->stalled, *next;
    p->stalled = NULL;
    atomic_store(&p->streams_stall, false);
    for (; s != NULL; s = next) {
        next = s->next_stalled;
        s->stalled = false;
        if (s->gone) {
            if (!tell_of_stream(p, s, RECORD_STREAM_GONE, (const u8 *)"", 0))
                stall(p, s);
            continue;
        }
        u32 held = s->partial_size;
        memcpy(p->stream_in, s->partial, held);
        take_in(p, s, held);
        if (!s->stalled && !s->gone)
            stream_wants(p, s);
    }
}

/* ---- Lending and giving back ---- */

static void take_out(struct stream **at, const struct stream *s, bool dirty)
{
    while (*at != NULL && *at != s)
        at = dirty ? &(*at)->next_dirty : &(*at)->next_stalled;
    if (*at != NULL)
        *at = dirty ? s->next_dirty : s->next_stalled;
}

/* Its descriptor is closed, what it held is free. */
static void drop_stream(plane *p, struct stream *s)
{
    if (!s->gone)
        epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    take_out(&p->dirty_streams, s, true);
    take_out(&p->stalled, s, false);
    table_remove(&p->table, &s->by_number);
    table_remove(&p->table, &s->by_ends);
    p->stream_count--;
    for (struct frame *f = s->first, *next; f != NULL; f = next) {
        next = f->next;
        free(f);
    }
    free(s->partial);
    close(s->fd);
    free(s);
}

static struct stream *add_stream(plane *p, const struct command *c)
{
    struct stream *s = calloc(1, sizeof *s);
    struct epoll_event event = {.events = EPOLLIN,
                                .data.u64 = (u64)TAG_STREAM << TAG_SHIFT | c->number};
    int on = 1;
    if (s == NULL) {
        close(c->fd);
        return NULL;
    }
    s->fd = c->fd;
    s->tls = c->tls;
    s->number = c->number;
    s->client = c->first;
    s->server = c->second;
    s->transport = (u16)c->detail;
    s->queue_bytes = (u32)c->user;
    s->queue_ns = c->expires_at;
    p->stream_count++;
    table_add(&p->table, &s->by_number,
              key_of(BY_STREAM_NUMBER, s->number, 0, NULL, NULL), s);
    table_add(&p->table, &s->by_ends,
              key_of(BY_STREAM, s->transport, 0, &s->client, &s->server), s);
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, s->fd, &event) != 0)
        stream_gone(p, s, false);
    return s;
}

#endif
