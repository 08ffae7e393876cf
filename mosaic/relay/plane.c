/* The native data plane: one thread that moves packets between clients and
 * peers and never asks Python. The tables are the thread's alone: commands
 * reach it through a list, and what it has to say leaves through rings.
 *
 * stun.h     bytes of messages          table.h   look-ups
 * challenge.h 401 for strangers          blake2b.h its nonce
 * admission.h credentials that are known sha1.h    their signatures
 * ring.h     hand-over of records       outbox.h  batches that leave
 * state.h    what is kept               sockets.h second ones on a port
 * packets.h  the way of a packet        listeners.h what comes to our doors
 * reading.h  batches that come
 * commands.h what the reactor asks for  streams.h stream clients
 * tcpclients.h those whose socket is here, frames.h what leaves for them
 * This file: the thread, and what Python calls (plane_api.h). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "streams.h"
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/random.h>

/* ---- The thread ---- */

static void handle_event(plane *p, const struct epoll_event *event)
{
    u64 tag = event->data.u64;
    u32 index = (u32)tag;
    if (tag >> TAG_SHIFT == TAG_WAKE) {
        u64 many;
        if (read(p->wake_fd, &many, sizeof many) < 0)
            return;
    } else if (tag >> TAG_SHIFT == TAG_LISTENER) {
        p->listener_busy[index] = true;
    } else if (tag >> TAG_SHIFT == TAG_STREAM) {
        stream_event(p, event);
    } else {
        relay_event(p, event);
    }
}

/* Listeners and relays take turns, each with a bounded share. */
static void read_sockets(plane *p)
{
    for (u32 at = 0; at < p->listener_count; at++)
        if (p->listener_busy[at])
            p->listener_busy[at] = read_listener(p, p->listeners[at]);
    read_busy(p);
    p->tos = 0; /* what we say ourselves has none */
    flush(p);
    p->arena.used = 0;
}

static bool has_work(plane *p, const struct command *waiting)
{
    bool any = p->busy != NULL || waiting != NULL;
    for (u32 at = 0; at < p->listener_count; at++)
        any |= p->listener_busy[at];
    return any;
}

/* Sleep until something comes. Whoever adds a command or a stream's message
 * looks at `asleep` after; we look for them after setting it. */
static int wait_for_events(plane *p, struct epoll_event *events, bool work)
{
    int patience = work ? 0 : -1;
    atomic_store(&p->asleep, true);
    /* Who waits for room, after the reactor has made some unheard, goes on. */
    bool room = p->stalled != NULL && ring_is_empty(&p->stream_controls);
    if (atomic_load(&p->commands) != NULL || !ring_is_empty(&p->streams) || room)
        patience = 0;
    int got = epoll_wait(p->epoll_fd, events, EVENTS, patience);
    atomic_store(&p->asleep, false);
    return got;
}

/* The tables are the holder's of `turn`: the thread's, except while it sleeps. */
static void turn(plane *p)
{
    struct epoll_event events[EVENTS];
    struct command **waiting = &p->waiting;
    /* A ticket that finds no room waits a moment, and nothing spins. */
    if (*waiting != NULL)
        usleep(500);
    int got = wait_for_events(p, events, has_work(p, *waiting));
    pthread_mutex_lock(&p->turn);
    p->now = clock_ns(p);
    run_commands(p, waiting);
    if (p->stalled != NULL && ring_is_empty(&p->stream_controls))
        go_on(p);
    for (int at = 0; at < got; at++)
        handle_event(p, &events[at]);
    read_streams(p);
    read_sockets(p);
    if (atomic_exchange(&p->relays_wait, false))
        read_stream_relays(p, &(bool){false});
    flush_streams(p);
    if (p->has_spoken)
        tell_reactor(p);
    pthread_mutex_unlock(&p->turn);
}

/* Every one: they are found in the table, which they leave. */
static void drop_streams(plane *p)
{
    for (size_t row = 0; p->table.rows != NULL && row <= p->table.mask; row++)
        for (struct entry *e = p->table.rows[row], *next; e != NULL; e = next) {
            next = e->next;
            struct stream *s = e->owner;
            if (e->key.number >> 60 != BY_STREAM)
                continue;
            drop_stream(p, s);
            next = p->table.rows[row]; /* its other entry may have been next */
        }
}

/* What it would have opened. */
static void close_granted(const struct command *c)
{
    for (u32 at = 0; at < c->size; at += sizeof(struct grant)) {
        struct grant g;
        memcpy(&g, c->data + at, sizeof g);
        close(g.fd);
    }
}

static void close_everything(plane *p, struct command *waiting)
{
    for (struct command *c = waiting, *next; c != NULL; c = next) {
        next = c->next;
        if (c->kind == LISTEN || c->kind == OPEN || c->kind == ADOPT)
            close(c->fd);
        if (c->kind == ADMIT)
            close_granted(c);
        free(c);
    }
    drop_streams(p);
    for (u32 at = 0; at < p->slot_count; at++)
        if (p->slots[at].relay != NULL)
            drop_relay(p, p->slots[at].relay);
    for (u32 at = 0; at < p->listener_count; at++) {
        close(p->listeners[at]->socket.fd);
        free(p->listeners[at]);
    }
    p->listener_count = 0;
}

static void *data_thread(void *argument)
{
    plane *p = argument;
    while (!p->stopping)
        turn(p);
    close_everything(p, p->waiting);
    p->waiting = NULL;
    return NULL;
}

/* ---- What Python calls ---- */

static bool kernel_can_gso(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), value = 0;
    socklen_t room = sizeof value;
    bool can = fd >= 0 && getsockopt(fd, SOL_UDP, UDP_SEGMENT, &value, &room) == 0;
    if (fd >= 0)
        close(fd);
    return can;
}

/* The reactor's event, until it is read. */
static bool watch_event(plane *p)
{
    struct epoll_event event = {.events = EPOLLIN,
                                .data.u64 = tag_of(TAG_WAKE, 0, 0)};
    return epoll_ctl(p->reader_fd, EPOLL_CTL_ADD, p->event_fd, &event) == 0;
}

static bool plane_init(plane *p)
{
    u64 seeds[2];
    p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    p->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    p->reader_fd = epoll_create1(EPOLL_CLOEXEC);
    if (getrandom(seeds, sizeof seeds, 0) != sizeof seeds)
        return false;
    p->outbox.seed = seeds[1];
    p->can_gso = kernel_can_gso();
    return p->wake_fd >= 0 && p->event_fd >= 0 && p->epoll_fd >= 0 &&
           p->reader_fd >= 0 && watch_event(p) &&
           table_init(&p->table, seeds[0]) && arena_init(&p->arena) &&
           ring_init(&p->controls, RING_CONTROLS) &&
           ring_init(&p->frames, RING_FRAMES) &&
           ring_init(&p->streams, RING_STREAMS) &&
           ring_init(&p->stream_controls, RING_STREAM_CONTROLS) &&
           (p->stream_in = malloc(STREAM_IN)) != NULL &&
           watch(p->epoll_fd, p->wake_fd, tag_of(TAG_WAKE, 0, 0), ONCE);
}

plane *plane_new(int answer_bindings, double bindings_per_s, double burst,
                 int preserve_tos)
{
    plane *p = aligned_alloc(64, (sizeof *p + 63) & ~(size_t)63);
    if (p == NULL)
        return NULL;
    memset(p, 0, sizeof *p);
    p->wake_fd = p->event_fd = p->epoll_fd = p->reader_fd = -1;
    pthread_mutex_init(&p->turn, NULL);
    p->answer_bindings = answer_bindings;
    p->preserve_tos = preserve_tos;
    p->budget.per_s = bindings_per_s;
    p->budget.burst = burst;
    for (int at = 0; at < BUDGET_ROWS; at++)
        p->budget.tokens[at] = burst;
    atomic_store(&p->reader_waits, true);
    if (!plane_init(p)) {
        plane_free(p);
        return NULL;
    }
    return p;
}

static void free_table(struct table *t)
{
    for (size_t row = 0; t->rows != NULL && row <= t->mask; row++)
        for (struct entry *e = t->rows[row], *next; e != NULL; e = next) {
            next = e->next;
            free(e->owner); /* local hosts and users: their entry is first */
        }
    free(t->rows);
}

void plane_free(plane *p)
{
    if (p == NULL || plane_stop(p) != 0)
        return; /* a thread that does not end keeps its memory */
    for (int at = 0; at < 4; at++) {
        int fd = (int[]){p->wake_fd, p->event_fd, p->epoll_fd, p->reader_fd}[at];
        if (fd >= 0)
            close(fd);
    }
    if (p->arena.bytes != NULL)
        munmap(p->arena.bytes, (size_t)BUFFERS * BUFFER_STRIDE);
    free_table(&p->table);
    free(p->controls.bytes);
    free(p->frames.bytes);
    free(p->streams.bytes);
    free(p->stream_controls.bytes);
    free(p->stream_in);
    free(p->slots);
    free(p);
}

int plane_start(plane *p)
{
    sigset_t all, held;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &held);
    int error = pthread_create(&p->thread, NULL, data_thread, p);
    pthread_sigmask(SIG_SETMASK, &held, NULL);
    if (error == 0) {
        p->running = true;
        pthread_setname_np(p->thread, "mosaic-relay");
    }
    return error;
}

static struct command *new_command(enum command_kind kind, u64 number, u32 size)
{
    struct command *c = calloc(1, sizeof *c + size);
    if (c != NULL) {
        c->kind = kind;
        c->number = number;
        c->size = size;
    }
    return c;
}

int plane_stop(plane *p)
{
    if (p->stuck)
        return -1;
    if (p->running) {
        struct timespec until;
        struct command *c = new_command(STOP, 0, 0);
        if (c == NULL)
            return -1;
        push(p, c, c);
        plane_wake(p);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += STOP_WITHIN_S;
        p->stuck = pthread_timedjoin_np(p->thread, NULL, &until) != 0;
        if (p->stuck)
            return -1;
        p->running = false;
    }
    close_everything(p, take_commands(p));
    return 0;
}

int plane_event_fd(plane *p)
{
    return p->reader_fd;
}

void plane_again(plane *p)
{
    const u64 one = 1;
    (void)!write(p->event_fd, &one, sizeof one);
}

void plane_wake(plane *p)
{
    const u64 one = 1;
    if (atomic_exchange(&p->asleep, false))
        (void)!write(p->wake_fd, &one, sizeof one);
}

/* Frames come second, so that media never holds up who asks for something. */
int plane_take(plane *p, unsigned char *out, int size, int *more)
{
    read_for_reactor(p);
    int used = take_from(&p->controls, out, size / 2);
    used += take_from(&p->stream_controls, out + used, size - used);
    used += take_from(&p->frames, out + used, size - used);
    if (atomic_load(&p->streams_stall))
        plane_wake(p);
    /* Whoever speaks looks at the flag after; we look for it after setting it. */
    atomic_store(&p->reader_waits, true);
    *more = !ring_is_empty(&p->controls) || !ring_is_empty(&p->frames) ||
            !ring_is_empty(&p->stream_controls);
    if (*more)
        atomic_store(&p->reader_waits, false);
    return used;
}

int64_t plane_now(plane *p)
{
    return clock_ns(p);
}

void plane_turn_forward(plane *p, int64_t ns)
{
    atomic_fetch_add(&p->forward, ns);
}

int plane_counters(plane *p, uint64_t *out, int room)
{
    for (int at = 0; at < COUNTERS && at < room; at++)
        out[at] = atomic_load_explicit(&p->counters[at], memory_order_relaxed);
    return COUNTERS;
}

static struct address address_at(const unsigned char *bytes)
{
    struct address made;
    memcpy(&made, bytes, sizeof made);
    return made;
}

int plane_socket(const unsigned char *host, int port, int buffer_bytes)
{
    struct address at = address_at(host);
    at.port = (u16)port;
    struct sockaddr_in6 name;
    socklen_t size = to_sockaddr(&at, &name);
    int on = 1, family = at.family == 6 ? AF_INET6 : AF_INET;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* Past the system's limit where we may, else up to it. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes,
                   sizeof buffer_bytes) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
    /* No SO_REUSEADDR: two processes must not share a port silently. */
    if ((family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(fd, (const struct sockaddr *)&name, size) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

void plane_sockets(const unsigned char *host, int *ports, int count, int buffer_bytes)
{
    for (int at = 0; at < count; at++)
        ports[at] = plane_socket(host, ports[at], buffer_bytes);
}

int plane_challenge(plane *p, const unsigned char *key, const unsigned char *realm,
                    int realm_size, int proof_size, int features, int64_t now)
{
    struct terms t = {.realm_size = (u32)realm_size,
                      .proof_size = (u32)proof_size,
                      .features = (u32)features & 0xFFFFFF};
    if (realm_size < 1 || realm_size > MAX_REALM_BYTES || proof_size < 1 ||
        proof_size > MAX_PROOF_BYTES)
        return -1;
    memcpy(t.key, key, sizeof t.key);
    memcpy(t.realm, realm, t.realm_size);
    /* A little behind, so that no nonce comes from a minute that the core has
     * not reached. */
    t.ahead = now - clock_ns(p) - 1000000;
    pthread_mutex_lock(&p->turn);
    p->terms = t;
    pthread_mutex_unlock(&p->turn);
    return 0;
}

#include "calls.h"
