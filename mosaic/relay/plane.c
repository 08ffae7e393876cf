/* The native data plane: one thread that moves packets between clients and
 * peers and never asks Python. The tables are the thread's alone: commands
 * reach it through a list, and what it has to say leaves through rings.
 *
 * RFC 8656 sections 9 (permissions), 11 (indications), 12 (channels). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <linux/errqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "plane_api.h"
#include "ring.h"
#include "table.h"

#include "outbox.h"

enum {
    BUFFERS = 256,
    HEADROOM = 64, /* for a Data indication's head */
    DATAGRAM_BYTES = 65536,
    /* Buffers begin in different cache sets. */
    BUFFER_STRIDE = HEADROOM + DATAGRAM_BYTES + 128,
    BATCH = 64,
    ROUNDS = 4,
    EVENTS = 256,
    ERRORS_AT_ONCE = 16,
    KEEP_DEAD = 64,
    MAX_LISTENERS = 64,
    BUDGET_ROWS = 4096,
    RING_CONTROLS = 1 << 20,
    RING_FRAMES = 4 << 20,
    RING_STREAMS = 4 << 20,
    STOP_WITHIN_S = 5,
};
_Static_assert((int)MAX_INDICATION_HEAD <= (int)HEADROOM, "a Data indication's head fits");
_Static_assert(MAX_INDICATION_HEAD <= sizeof(struct record), "over a record too");

/* The order of native.py's names. */
enum counter {
    FROM_CLIENTS,
    FROM_CLIENTS_BYTES,
    FROM_PEERS,
    FROM_PEERS_BYTES,
    HAIRPINS,
    FROM_CLIENTS_NO_ROUTE,
    FROM_PEERS_NO_ROUTE,
    TO_CLIENTS_FAILED,
    TO_PEERS_FAILED,
    TO_PEERS_REFUSED,
    NOT_STUN,
    BINDINGS,
    BINDINGS_OVER_BUDGET,
    CONTROLS_DROPPED,
    FRAMES_DROPPED,
    ICMP_ERRORS,
    COUNTERS
};

struct permission {
    struct entry by_host;
    struct permission *next;
    i64 expires_at;
    u32 channels; /* that stand on it */
    bool own_only;
};

struct channel {
    struct entry by_number, by_peer;
    struct channel *next;
    struct permission *permission;
    struct address peer;
    i64 expires_at;
    u16 number;
};

struct listener {
    struct udp_socket socket;
    struct address bound;
    bool wildcard;
};

/* One allocation on the data path. */
struct relay {
    struct udp_socket socket;
    u64 number;
    i64 expires_at;
    struct address client, server, relayed;
    struct listener *listener; /* towards a UDP client */
    struct entry by_number, by_client, by_relayed;
    struct permission *permissions;
    struct channel *channels;
    struct relay *next_busy;
    u64 indications;
    u32 permission_count;
    u32 slot;
    bool stream, busy;
};

/* What epoll knows of a relay: where, and which one of those that were there. */
struct slot {
    struct relay *relay;
    u32 generation;
    u32 next_free;
};

enum tag { TAG_RELAY = 0, TAG_LISTENER = 1, TAG_WAKE = 2 };

enum command_kind {
    LISTEN,
    LOCAL,
    OPEN,
    EXTEND,
    PERMIT,
    BIND,
    CLOSE,
    SEND,
    SETTLE,
    STOP
};

struct command {
    struct command *next;
    enum command_kind kind;
    int fd;
    u64 number;
    i64 expires_at;
    struct address first, second, third;
    unsigned detail; /* wildcard, stream, own_only or channel */
    u32 size;
    u8 data[];
};

/* Where datagrams are read to, each with its own place. */
struct arena {
    u8 *bytes;
    u32 used;
    struct mmsghdr messages[BUFFERS];
    struct iovec pieces[BUFFERS];
    struct sockaddr_in6 names[BUFFERS];
    _Alignas(struct cmsghdr) u8 control[BUFFERS][64];
};

/* How many answers strangers get, by /24 or /56 (as wire/turn/budget.py). */
struct budget {
    double per_s, burst;
    double tokens[BUDGET_ROWS];
    i64 stamps[BUDGET_ROWS];
};

struct plane {
    /* Shared with the reactor's thread. */
    _Alignas(64) _Atomic(struct command *) commands;
    _Alignas(64) atomic_bool asleep;       /* the thread, or about to be */
    _Alignas(64) atomic_bool reader_waits; /* the reactor wants the event */
    _Atomic i64 forward;
    _Atomic u64 counters[COUNTERS];
    struct ring controls, frames, streams;
    int wake_fd, event_fd;
    bool running, stuck;
    pthread_t thread;

    /* The thread's own. */
    _Alignas(64) bool stopping;
    i64 now;
    int epoll_fd;
    struct table table;
    struct listener *listeners[MAX_LISTENERS];
    u32 listener_count;
    bool listener_busy[MAX_LISTENERS];
    struct slot *slots;
    u32 slot_count, free_slot;
    struct relay *busy;
    bool can_gso, answer_bindings, has_spoken;
    struct arena arena;
    struct outbox outbox;
    struct budget budget;
    u8 answer[MAX_PACKETS][MAX_BINDING_ANSWER];
};

static void count(plane *p, enum counter which, u64 more)
{
    u64 held = atomic_load_explicit(&p->counters[which], memory_order_relaxed);
    atomic_store_explicit(&p->counters[which], held + more, memory_order_relaxed);
}

static i64 clock_ns(plane *p)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (i64)t.tv_sec * 1000000000 + t.tv_nsec + atomic_load(&p->forward);
}

/* ---- Sending ---- */

static void flush(plane *p)
{
    struct outbox *box = &p->outbox;
    outbox_flush(box);
    if (box->failed_to_clients > 0)
        count(p, TO_CLIENTS_FAILED, box->failed_to_clients);
    if (box->failed_to_peers > 0)
        count(p, TO_PEERS_FAILED, box->failed_to_peers);
    box->failed_to_clients = box->failed_to_peers = 0;
}

static const struct address NOWHERE;

static void queue(plane *p, struct udp_socket *socket, const struct address *to,
                  const struct address *from, const u8 *data, u32 size)
{
    if (outbox_is_full(&p->outbox))
        flush(p);
    outbox_add(&p->outbox, socket, to, from, data, size);
}

/* Only wildcard listeners must be told which address answers. */
static void queue_to_client(plane *p, struct listener *l, const struct address *client,
                            const struct address *server, const u8 *data, u32 size)
{
    struct address from = l->wildcard ? host_of(server) : NOWHERE;
    queue(p, &l->socket, client, &from, data, size);
}

/* ---- Handing over to the reactor ---- */

static bool hand_over(plane *p, struct ring *r, enum record_kind kind, u64 number,
                      const struct address *client, const struct address *server,
                      const u8 *data, u32 size)
{
    struct record *made = ring_reserve(r, size);
    if (made == NULL)
        return false;
    made->kind = kind;
    made->number = number;
    made->client = *client;
    made->server = *server;
    memcpy((u8 *)(made + 1), data, size);
    ring_commit(r, made);
    p->has_spoken = true;
    return true;
}

static void hand_over_control(plane *p, const struct address *client,
                              const struct address *server, const u8 *data, u32 size)
{
    if (!hand_over(p, &p->controls, RECORD_CONTROL, 0, client, server, data, size))
        count(p, CONTROLS_DROPPED, 1);
}

static void tell_reactor(plane *p)
{
    const u64 one = 1;
    p->has_spoken = false;
    if (atomic_exchange(&p->reader_waits, false))
        if (write(p->event_fd, &one, sizeof one) < 0)
            atomic_store(&p->reader_waits, true);
}

/* ---- Towards the client ---- */

/* ChannelData where the peer has a channel (RFC 8656 section 12.7), else a
 * Data indication (11.3). The head goes into the bytes before the payload; a
 * stream client's frame is padded with zeros. */
static void to_client(plane *p, struct relay *r, const struct channel *c,
                      const struct address *peer, u8 *payload, u32 size)
{
    u32 head = CHANNEL_HEADER, total;
    if (c != NULL) {
        put16(payload - 4, c->number);
        put16(payload - 2, size);
        total = CHANNEL_HEADER + (r->stream ? padded(size) : size);
        if (r->stream)
            memset(payload + size, 0, padded(size) - size);
    } else {
        head = put_data_indication(payload, size, peer, r->number, ++r->indications);
        total = head + padded(size);
    }
    if (head == 0) {
        count(p, FROM_PEERS_NO_ROUTE, 1);
        return;
    }
    count(p, FROM_PEERS, 1);
    count(p, FROM_PEERS_BYTES, size);
    if (r->stream) {
        if (!hand_over(p, &p->frames, RECORD_FRAME, r->number, &NOWHERE, &NOWHERE,
                       payload - head, total))
            count(p, FRAMES_DROPPED, 1);
    } else if (r->listener == NULL) {
        count(p, TO_CLIENTS_FAILED, 1);
    } else {
        queue_to_client(p, r->listener, &r->client, &r->server, payload - head, total);
    }
}

static struct permission *permission_for(plane *p, const struct relay *r,
                                         const struct address *peer)
{
    struct address host = host_of(peer);
    struct key key = key_of(BY_HOST, r->number, 0, &host, NULL);
    return table_find(&p->table, &key);
}

/* A datagram for the relayed address. own: from another of our relayed
 * addresses; without it a permission for our own host does not count. */
static bool from_peer(plane *p, struct relay *r, const struct address *peer,
                      u8 *payload, u32 size, bool own)
{
    struct key key = key_of(BY_PEER, r->number, 0, peer, NULL);
    struct channel *c = table_find(&p->table, &key);
    struct permission *allowed =
        c != NULL ? c->permission : permission_for(p, r, peer);
    if (allowed == NULL || allowed->expires_at <= p->now || r->expires_at <= p->now ||
        (allowed->own_only && !own)) {
        count(p, FROM_PEERS_NO_ROUTE, 1);
        return false;
    }
    if (c != NULL && c->expires_at <= p->now)
        c = NULL;
    to_client(p, r, c, peer, payload, size);
    return true;
}

/* ---- Towards the peer ---- */

static bool is_this_machine(plane *p, const struct address *a)
{
    static const struct address loopback_v6 = {.ip = {[15] = 1}, .family = 6};
    struct address host = host_of(a);
    struct key key = key_of(LOCAL_HOST, 0, 0, &host, NULL);
    return (a->family == 4 && a->ip[0] == 127) || same_address(&host, &loopback_v6) ||
           table_find(&p->table, &key) != NULL;
}

/* A relay that talks to its own front door would loop. */
static bool is_own_listener(plane *p, const struct address *a)
{
    for (u32 at = 0; at < p->listener_count; at++) {
        const struct listener *l = p->listeners[at];
        if (same_address(&l->bound, a))
            return true;
        if (l->wildcard && l->bound.port == a->port && l->bound.family == a->family &&
            is_this_machine(p, a))
            return true;
    }
    return false;
}

/* DONT-FRAGMENT (RFC 8656 section 14): rare, so the socket is switched for
 * this one packet, after all that came before it. */
static void send_unfragmented(plane *p, struct relay *r, const struct address *peer,
                              const u8 *payload, u32 size)
{
    bool v6 = peer->family == 6;
    int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
    int option = v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER;
    int held = 0, strict = v6 ? IPV6_PMTUDISC_DO : IP_PMTUDISC_DO;
    socklen_t room = sizeof held;
    flush(p);
    getsockopt(r->socket.fd, level, option, &held, &room);
    setsockopt(r->socket.fd, level, option, &strict, sizeof strict);
    queue(p, &r->socket, peer, &NOWHERE, payload, size);
    flush(p);
    setsockopt(r->socket.fd, level, option, &held, sizeof held);
}

static void to_peer(plane *p, struct relay *r, const struct address *peer, u8 *payload,
                    u32 size, bool own_only, bool dont_fragment)
{
    struct key key = key_of(BY_RELAYED, 0, 0, peer, NULL);
    struct relay *other = table_find(&p->table, &key);
    count(p, FROM_CLIENTS, 1);
    count(p, FROM_CLIENTS_BYTES, size);
    if (other != NULL) {
        /* Both ends are clients here: straight across, by the other's rules. */
        if (from_peer(p, other, &r->relayed, payload, size, true))
            count(p, HAIRPINS, 1);
    } else if (own_only || is_own_listener(p, peer)) {
        count(p, TO_PEERS_REFUSED, 1);
    } else if (peer->family != r->relayed.family || peer->port == 0) {
        count(p, TO_PEERS_FAILED, 1);
    } else if (dont_fragment) {
        send_unfragmented(p, r, peer, payload, size);
    } else {
        queue(p, &r->socket, peer, &NOWHERE, payload, size);
    }
}

/* RFC 8656 section 12.6. The header's length counts; what follows it over UDP
 * is padding. Channels above 0x4FFF are never bound. */
static bool from_channel(plane *p, struct relay *r, u8 *data, u32 size)
{
    u32 length = get16(data + 2);
    if (length > size - CHANNEL_HEADER)
        return false;
    struct key key = key_of(BY_CHANNEL, r->number, get16(data), NULL, NULL);
    struct channel *c = table_find(&p->table, &key);
    if (c == NULL || c->expires_at <= p->now)
        return false;
    to_peer(p, r, &c->peer, data + CHANNEL_HEADER, length, c->permission->own_only,
            false);
    return true;
}

/* RFC 8656 section 11.2. */
static bool from_indication(plane *p, struct relay *r, u8 *data, u32 size)
{
    struct send_indication sent;
    if (!get_send_indication(data, size, &sent))
        return false;
    struct permission *allowed = permission_for(p, r, &sent.peer);
    if (allowed == NULL || allowed->expires_at <= p->now)
        return false;
    to_peer(p, r, &sent.peer, data + (sent.payload - data), sent.size,
            allowed->own_only, sent.dont_fragment);
    return true;
}

/* ChannelData or a Send indication of at least 4 bytes. */
static void from_client(plane *p, struct relay *r, u8 *data, u32 size)
{
    bool passed = false;
    if (r != NULL && r->expires_at > p->now)
        passed = data[0] >= 0x40 ? from_channel(p, r, data, size)
                                 : from_indication(p, r, data, size);
    if (!passed)
        count(p, FROM_CLIENTS_NO_ROUTE, 1);
}

/* ---- Listeners ---- */

static bool budget_allows(plane *p, const struct address *client)
{
    struct budget *b = &p->budget;
    u32 bytes = client->family == 6 ? 7 : 3;
    u64 row = hash_bytes(client->ip, bytes, p->table.seed) >> 16 & (BUDGET_ROWS - 1);
    double passed = (double)(p->now - b->stamps[row]) / 1e9;
    double tokens = b->tokens[row] + (passed > 0 ? passed : 0) * b->per_s;
    if (tokens > b->burst)
        tokens = b->burst;
    b->stamps[row] = p->now;
    b->tokens[row] = tokens >= 1 ? tokens - 1 : tokens;
    return tokens >= 1;
}

static void answer_binding(plane *p, struct listener *l, const u8 *data,
                           const struct address *client, const struct address *server,
                           bool fingerprint)
{
    if (!budget_allows(p, client)) {
        count(p, BINDINGS_OVER_BUDGET, 1);
        return;
    }
    if (outbox_is_full(&p->outbox))
        flush(p);
    u8 *out = p->answer[p->outbox.packet_count];
    u32 size = put_binding_answer(out, data + 8, client, fingerprint);
    count(p, BINDINGS, 1);
    queue_to_client(p, l, client, server, out, size);
}

/* One datagram of a client (RFC 7983 for the first byte). */
static void from_listener(plane *p, struct listener *l, u8 *data, u32 size,
                          const struct address *client, const struct address *server)
{
    bool fingerprint;
    if (size < CHANNEL_HEADER || data[0] >= 0x80 || client->family == 0) {
        count(p, NOT_STUN, 1);
    } else if (data[0] >= 0x40 || get16(data) == SEND_INDICATION) {
        struct key key = key_of(BY_CLIENT, 0, 0, client, server);
        from_client(p, table_find(&p->table, &key), data, size);
    } else if (data[0] < 20 && !stun_is_whole(data, size)) {
        count(p, NOT_STUN, 1);
    } else if (p->answer_bindings && is_plain_binding(data, size, &fingerprint)) {
        answer_binding(p, l, data, client, server, fingerprint);
    } else {
        hand_over_control(p, client, server, data, size);
    }
}

/* Which of our addresses was reached. */
static struct address reached(const struct listener *l, struct msghdr *h)
{
    struct address server = l->bound;
    if (!l->wildcard)
        return server;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(server.ip, &info.ipi_spec_dst, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(server.ip, &info.ipi6_addr, 16);
        }
    }
    return server;
}

/* ---- Reading ---- */

static bool arena_init(struct arena *a)
{
    a->bytes = mmap(NULL, (size_t)BUFFERS * BUFFER_STRIDE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (a->bytes == MAP_FAILED) {
        a->bytes = NULL;
        return false;
    }
    for (size_t at = 0; at < BUFFERS; at++) {
        a->pieces[at].iov_base = a->bytes + at * BUFFER_STRIDE + HEADROOM;
        a->pieces[at].iov_len = DATAGRAM_BYTES;
        struct msghdr *h = &a->messages[at].msg_hdr;
        h->msg_name = &a->names[at];
        h->msg_namelen = sizeof a->names[at];
        h->msg_iov = &a->pieces[at];
        h->msg_iovlen = 1;
        h->msg_control = a->control[at];
        h->msg_controllen = sizeof a->control[at];
    }
    return true;
}

/* Read up to BATCH datagrams into the next free buffers; the first of them,
 * and how many. What is still queued points into used ones. */
static int read_batch(plane *p, int fd, struct mmsghdr **first)
{
    struct arena *a = &p->arena;
    if (a->used + BATCH > BUFFERS) {
        flush(p);
        a->used = 0;
    }
    *first = &a->messages[a->used];
    int got = recvmmsg(fd, *first, BATCH, MSG_DONTWAIT, NULL);
    if (got > 0)
        a->used += (u32)got;
    return got;
}

static void be_readable_again(struct msghdr *h)
{
    h->msg_namelen = sizeof(struct sockaddr_in6);
    h->msg_controllen = sizeof((struct arena *)NULL)->control[0];
    h->msg_flags = 0;
}

/* Read what a listener has, but no more than some rounds; whether it may have
 * more. */
static bool read_listener(plane *p, struct listener *l)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct mmsghdr *m;
        int got = read_batch(p, l->socket.fd, &m);
        if (got < 0)
            return errno != EAGAIN && errno != EWOULDBLOCK;
        for (int at = 0; at < got; at++) {
            struct msghdr *h = &m[at].msg_hdr;
            struct address client = from_sockaddr(h->msg_name);
            struct address server = reached(l, h);
            from_listener(p, l, h->msg_iov->iov_base, m[at].msg_len, &client, &server);
            be_readable_again(h);
        }
        if (got < BATCH)
            return false;
    }
    return true;
}

static bool read_relay(plane *p, struct relay *r)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct mmsghdr *m;
        int got = read_batch(p, r->socket.fd, &m);
        if (got < 0)
            return errno != EAGAIN && errno != EWOULDBLOCK;
        for (int at = 0; at < got; at++) {
            struct msghdr *h = &m[at].msg_hdr;
            struct address peer = from_sockaddr(h->msg_name);
            from_peer(p, r, &peer, h->msg_iov->iov_base, m[at].msg_len, false);
            be_readable_again(h);
        }
        if (got < BATCH)
            return false;
    }
    return true;
}

/* ---- ICMP errors (RFC 8656 section 11.5) ---- */

/* Which of them a client is told about, and what of them. */
static bool is_worth_telling(const struct sock_extended_err *e, u32 *data)
{
    *data = 0;
    if (e->ee_origin == SO_EE_ORIGIN_ICMP) {
        if (e->ee_type == 3 && e->ee_code == 4)
            *data = e->ee_info;
        return e->ee_type == 3 || e->ee_type == 11 || e->ee_type == 12;
    }
    if (e->ee_origin == SO_EE_ORIGIN_ICMP6) {
        if (e->ee_type == 2)
            *data = e->ee_info;
        return e->ee_type >= 1 && e->ee_type <= 4;
    }
    return false;
}

/* A Data indication with ICMP instead of DATA. */
static u32 put_icmp_indication(u8 *out, const struct relay *r,
                               const struct address *peer,
                               const struct sock_extended_err *e, u32 data)
{
    u8 *end = out + STUN_HEADER;
    put16(out, DATA_INDICATION);
    put32(out + 4, MAGIC_COOKIE);
    put32(out + 8, (u32)r->number);
    put32(out + 12, (u32)(r->indications >> 32));
    put32(out + 16, (u32)r->indications);
    end += put_xor_address(end, ATTR_XOR_PEER_ADDRESS, peer, out + 8);
    put16(end, 0x8004); /* ICMP (section 18.13): 16 bits unused, 7 type, 9 code */
    put16(end + 2, 8);
    put16(end + 4, 0);
    put16(end + 6, (unsigned)e->ee_type << 9 | e->ee_code);
    put32(end + 8, data);
    end += 12;
    put16(out + 2, (unsigned)(end - out) - STUN_HEADER);
    return (u32)(end - out);
}

static void tell_icmp(plane *p, struct relay *r, const struct address *peer,
                      const struct sock_extended_err *e)
{
    u32 data, size;
    u8 *out;
    struct permission *allowed = permission_for(p, r, peer);
    if (allowed == NULL || allowed->expires_at <= p->now || r->expires_at <= p->now ||
        !is_worth_telling(e, &data))
        return;
    if (outbox_is_full(&p->outbox))
        flush(p);
    out = p->answer[p->outbox.packet_count];
    r->indications++;
    size = put_icmp_indication(out, r, peer, e, data);
    if (r->stream) {
        if (!hand_over(p, &p->frames, RECORD_FRAME, r->number, &NOWHERE, &NOWHERE, out,
                       size))
            count(p, FRAMES_DROPPED, 1);
    } else if (r->listener != NULL) {
        queue_to_client(p, r->listener, &r->client, &r->server, out, size);
    }
}

/* Left alone, the queue would fail sends to others. */
static void read_errors(plane *p, struct relay *r)
{
    for (int tries = 0; tries < ERRORS_AT_ONCE; tries++) {
        u8 byte;
        _Alignas(struct cmsghdr) u8 control[256];
        struct sockaddr_in6 name = {0};
        struct iovec piece = {.iov_base = &byte, .iov_len = 1};
        struct msghdr h = {.msg_name = &name,
                           .msg_namelen = sizeof name,
                           .msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        if (recvmsg(r->socket.fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            return;
        struct address peer = from_sockaddr(&name);
        count(p, ICMP_ERRORS, 1);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c != NULL; c = CMSG_NXTHDR(&h, c))
            if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
                struct sock_extended_err found;
                memcpy(&found, CMSG_DATA(c), sizeof found);
                tell_icmp(p, r, &peer, &found);
            }
    }
}

/* ---- Commands ---- */

static u64 tag_of(enum tag tag, u32 generation, u32 index)
{
    return (u64)tag << 62 | (u64)(generation & 0x3FFFFFFF) << 32 | index;
}

static bool watch(plane *p, int fd, u64 tag)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = tag};
    return epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static struct relay *relay_by_number(plane *p, u64 number)
{
    struct key key = key_of(BY_NUMBER, number, 0, NULL, NULL);
    return table_find(&p->table, &key);
}

static struct listener *listener_for(plane *p, const struct address *server)
{
    struct listener *found = NULL;
    for (u32 at = 0; at < p->listener_count; at++) {
        struct listener *l = p->listeners[at];
        if (same_address(&l->bound, server))
            return l;
        if (l->wildcard && l->bound.port == server->port &&
            l->bound.family == server->family)
            found = l;
    }
    return found;
}

static void add_listener(plane *p, const struct command *c)
{
    struct listener *l = calloc(1, sizeof *l);
    if (l == NULL || p->listener_count == MAX_LISTENERS ||
        !watch(p, c->fd, tag_of(TAG_LISTENER, 0, p->listener_count))) {
        free(l);
        close(c->fd);
        return;
    }
    l->socket = (struct udp_socket){.fd = c->fd, .gso = p->can_gso, .shared = true};
    l->bound = c->first;
    l->wildcard = c->detail;
    /* It may have had something before we watched. */
    p->listener_busy[p->listener_count] = true;
    p->listeners[p->listener_count++] = l;
}

static void add_local_host(plane *p, const struct address *host)
{
    struct key key = key_of(LOCAL_HOST, 0, 0, host, NULL);
    struct entry *made;
    if (table_find(&p->table, &key) == NULL && (made = calloc(1, sizeof *made)) != NULL)
        table_add(&p->table, made, key, made);
}

static bool take_slot(plane *p, struct relay *r)
{
    if (p->free_slot == 0) {
        u32 more = p->slot_count == 0 ? 64 : p->slot_count * 2;
        struct slot *grown = realloc(p->slots, more * sizeof *grown);
        if (grown == NULL)
            return false;
        for (u32 at = p->slot_count; at < more; at++)
            grown[at] = (struct slot){.next_free = at + 1 < more ? at + 2 : 0};
        p->free_slot = p->slot_count + 1; /* counted from 1; 0 is none */
        p->slots = grown;
        p->slot_count = more;
    }
    r->slot = p->free_slot - 1;
    p->free_slot = p->slots[r->slot].next_free;
    p->slots[r->slot].relay = r;
    return true;
}

static void leave_slot(plane *p, const struct relay *r)
{
    struct slot *s = &p->slots[r->slot];
    s->relay = NULL;
    s->generation++;
    s->next_free = p->free_slot;
    p->free_slot = r->slot + 1;
}

static void be_busy(plane *p, struct relay *r)
{
    if (!r->busy) {
        r->busy = true;
        r->next_busy = p->busy;
        p->busy = r;
    }
}

static void want_errors(int fd, bool v6)
{
    int on = 1;
    setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, &on,
               sizeof on);
}

static void add_relay(plane *p, const struct command *c)
{
    struct relay *r = calloc(1, sizeof *r);
    if (r == NULL || !take_slot(p, r)) {
        free(r);
        close(c->fd);
        return;
    }
    r->socket = (struct udp_socket){.fd = c->fd, .gso = p->can_gso};
    r->number = c->number;
    r->expires_at = c->expires_at;
    r->client = c->first;
    r->server = c->second;
    r->relayed = c->third;
    r->stream = c->detail;
    r->listener = r->stream ? NULL : listener_for(p, &r->server);
    table_add(&p->table, &r->by_number, key_of(BY_NUMBER, r->number, 0, NULL, NULL), r);
    table_add(&p->table, &r->by_relayed, key_of(BY_RELAYED, 0, 0, &r->relayed, NULL),
              r);
    if (!r->stream)
        table_add(&p->table, &r->by_client,
                  key_of(BY_CLIENT, 0, 0, &r->client, &r->server), r);
    want_errors(c->fd, r->relayed.family == 6);
    watch(p, c->fd, tag_of(TAG_RELAY, p->slots[r->slot].generation, r->slot));
    be_busy(p, r);
}

static void drop_channel(plane *p, struct relay *r, struct channel *c)
{
    struct channel **at = &r->channels;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    table_remove(&p->table, &c->by_number);
    table_remove(&p->table, &c->by_peer);
    c->permission->channels--;
    free(c);
}

static void drop_permission(plane *p, struct relay *r, struct permission **at)
{
    struct permission *gone = *at;
    *at = gone->next;
    table_remove(&p->table, &gone->by_host);
    r->permission_count--;
    free(gone);
}

/* Channels keep the permission that they stand on. */
static void forget_dead(plane *p, struct relay *r)
{
    for (struct channel *c = r->channels, *next; c != NULL; c = next) {
        next = c->next;
        if (c->expires_at <= p->now)
            drop_channel(p, r, c);
    }
    for (struct permission **at = &r->permissions; *at != NULL;) {
        if ((*at)->expires_at <= p->now && (*at)->channels == 0)
            drop_permission(p, r, at);
        else
            at = &(*at)->next;
    }
}

static void drop_relay(plane *p, struct relay *r)
{
    struct relay **at = &p->busy;
    while (*at != NULL && *at != r)
        at = &(*at)->next_busy;
    if (*at != NULL)
        *at = r->next_busy;
    while (r->channels != NULL)
        drop_channel(p, r, r->channels);
    while (r->permissions != NULL)
        drop_permission(p, r, &r->permissions);
    table_remove(&p->table, &r->by_number);
    table_remove(&p->table, &r->by_relayed);
    if (!r->stream)
        table_remove(&p->table, &r->by_client);
    /* Out of epoll first: the number may be another socket's at once. */
    epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, r->socket.fd, NULL);
    close(r->socket.fd);
    leave_slot(p, r);
    free(r);
}

static void permit(plane *p, struct relay *r, const struct command *c)
{
    struct permission *held = permission_for(p, r, &c->first);
    if (held == NULL) {
        if (r->permission_count >= KEEP_DEAD)
            forget_dead(p, r);
        if ((held = calloc(1, sizeof *held)) == NULL)
            return;
        table_add(&p->table, &held->by_host,
                  key_of(BY_HOST, r->number, 0, &c->first, NULL), held);
        held->next = r->permissions;
        r->permissions = held;
        r->permission_count++;
    }
    held->expires_at = c->expires_at;
    held->own_only = c->detail;
}

static void bind_channel(plane *p, struct relay *r, const struct command *c)
{
    struct key number = key_of(BY_CHANNEL, r->number, c->detail, NULL, NULL);
    struct key peer = key_of(BY_PEER, r->number, 0, &c->first, NULL);
    struct channel *held = table_find(&p->table, &number);
    if (held == NULL || !same_address(&held->peer, &c->first)) {
        struct permission *allowed = permission_for(p, r, &c->first);
        struct channel *other;
        if (allowed == NULL)
            return;
        if (held != NULL)
            drop_channel(p, r, held);
        if ((other = table_find(&p->table, &peer)) != NULL)
            drop_channel(p, r, other);
        if ((held = calloc(1, sizeof *held)) == NULL)
            return;
        held->number = (u16)c->detail;
        held->peer = c->first;
        held->permission = allowed;
        allowed->channels++;
        table_add(&p->table, &held->by_number, number, held);
        table_add(&p->table, &held->by_peer, peer, held);
        held->next = r->channels;
        r->channels = held;
    }
    held->expires_at = c->expires_at;
}

static void send_answer(plane *p, struct command *c)
{
    struct listener *l = listener_for(p, &c->second);
    if (l == NULL) {
        count(p, TO_CLIENTS_FAILED, 1);
        return;
    }
    queue_to_client(p, l, &c->first, &c->second, c->data, c->size);
    flush(p); /* before the command's memory goes */
}

/* A ticket must not get lost: it waits for room. */
static bool settle(plane *p, u64 ticket)
{
    return hand_over(p, &p->controls, RECORD_SETTLED, ticket, &NOWHERE, &NOWHERE,
                     (const u8 *)"", 0);
}

static void run_for_relay(plane *p, struct command *c)
{
    struct relay *r = relay_by_number(p, c->number);
    if (r == NULL)
        return;
    if (c->kind == EXTEND)
        r->expires_at = c->expires_at;
    else if (c->kind == PERMIT)
        permit(p, r, c);
    else if (c->kind == BIND)
        bind_channel(p, r, c);
    else
        drop_relay(p, r);
}

/* False: it cannot be done yet. */
static bool run_command(plane *p, struct command *c)
{
    switch (c->kind) {
    case LISTEN:
        add_listener(p, c);
        return true;
    case LOCAL:
        add_local_host(p, &c->first);
        return true;
    case OPEN:
        add_relay(p, c);
        return true;
    case SEND:
        send_answer(p, c);
        return true;
    case SETTLE:
        return settle(p, c->number);
    case STOP:
        p->stopping = true;
        return true;
    default:
        run_for_relay(p, c);
        return true;
    }
}

static void push(plane *p, struct command *first, struct command *last)
{
    last->next = atomic_load_explicit(&p->commands, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&p->commands, &last->next, first))
        ;
}

/* The newest command is first in the list: turn it round. */
static struct command *take_commands(plane *p)
{
    struct command *newest = atomic_exchange(&p->commands, NULL), *oldest = NULL;
    while (newest != NULL) {
        struct command *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void run_commands(plane *p, struct command **waiting)
{
    struct command **end = waiting;
    while (*end != NULL)
        end = &(*end)->next;
    *end = take_commands(p);
    while (*waiting != NULL) {
        struct command *c = *waiting;
        if (!run_command(p, c))
            return;
        *waiting = c->next;
        free(c);
    }
}

/* ---- The thread ---- */

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

static void handle_event(plane *p, const struct epoll_event *event)
{
    u64 tag = event->data.u64;
    u32 index = (u32)tag;
    if (tag >> 62 == TAG_WAKE) {
        u64 many;
        if (read(p->wake_fd, &many, sizeof many) < 0)
            return;
    } else if (tag >> 62 == TAG_LISTENER) {
        p->listener_busy[index] = true;
    } else if (index < p->slot_count) {
        struct relay *r = p->slots[index].relay;
        if (r == NULL || tag_of(TAG_RELAY, p->slots[index].generation, index) != tag)
            return; /* it was another's */
        if (event->events & EPOLLERR)
            read_errors(p, r);
        be_busy(p, r);
    }
}

/* Listeners and relays take turns, each with a bounded share. */
static void read_sockets(plane *p)
{
    for (u32 at = 0; at < p->listener_count; at++)
        if (p->listener_busy[at])
            p->listener_busy[at] = read_listener(p, p->listeners[at]);
    read_busy(p);
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
    if (atomic_load(&p->commands) != NULL || !ring_is_empty(&p->streams))
        patience = 0;
    int got = epoll_wait(p->epoll_fd, events, EVENTS, patience);
    atomic_store(&p->asleep, false);
    return got;
}

static void turn(plane *p, struct command **waiting)
{
    struct epoll_event events[EVENTS];
    /* A ticket that finds no room waits a moment, and nothing spins. */
    if (*waiting != NULL)
        usleep(500);
    int got = wait_for_events(p, events, has_work(p, *waiting));
    p->now = clock_ns(p);
    run_commands(p, waiting);
    for (int at = 0; at < got; at++)
        handle_event(p, &events[at]);
    read_streams(p);
    read_sockets(p);
    if (p->has_spoken)
        tell_reactor(p);
}

static void close_everything(plane *p, struct command *waiting)
{
    for (struct command *c = waiting, *next; c != NULL; c = next) {
        next = c->next;
        if (c->kind == LISTEN || c->kind == OPEN)
            close(c->fd);
        free(c);
    }
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
    struct command *waiting = NULL;
    p->now = clock_ns(p);
    while (!p->stopping)
        turn(p, &waiting);
    close_everything(p, waiting);
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

static bool plane_init(plane *p)
{
    u64 seeds[2];
    p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    p->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (getrandom(seeds, sizeof seeds, 0) != sizeof seeds)
        return false;
    p->outbox.seed = seeds[1];
    p->can_gso = kernel_can_gso();
    return p->wake_fd >= 0 && p->event_fd >= 0 && p->epoll_fd >= 0 &&
           table_init(&p->table, seeds[0]) && arena_init(&p->arena) &&
           ring_init(&p->controls, RING_CONTROLS) &&
           ring_init(&p->frames, RING_FRAMES) &&
           ring_init(&p->streams, RING_STREAMS) &&
           watch(p, p->wake_fd, tag_of(TAG_WAKE, 0, 0));
}

plane *plane_new(int answer_bindings, double bindings_per_s, double burst)
{
    plane *p = aligned_alloc(64, (sizeof *p + 63) & ~(size_t)63);
    if (p == NULL)
        return NULL;
    memset(p, 0, sizeof *p);
    p->wake_fd = p->event_fd = p->epoll_fd = -1;
    p->answer_bindings = answer_bindings;
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
            free(e); /* only local hosts are left */
        }
    free(t->rows);
}

void plane_free(plane *p)
{
    if (p == NULL || plane_stop(p) != 0)
        return; /* a thread that does not end keeps its memory */
    for (int at = 0; at < 3; at++) {
        int fd = (int[]){p->wake_fd, p->event_fd, p->epoll_fd}[at];
        if (fd >= 0)
            close(fd);
    }
    if (p->arena.bytes != NULL)
        munmap(p->arena.bytes, (size_t)BUFFERS * BUFFER_STRIDE);
    free_table(&p->table);
    free(p->controls.bytes);
    free(p->frames.bytes);
    free(p->streams.bytes);
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
    return p->event_fd;
}

void plane_wake(plane *p)
{
    const u64 one = 1;
    if (atomic_exchange(&p->asleep, false))
        (void)!write(p->wake_fd, &one, sizeof one);
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

/* Frames come second, so that media never holds up who asks for something. */
int plane_take(plane *p, unsigned char *out, int size)
{
    u64 many;
    (void)!read(p->event_fd, &many, sizeof many);
    int used = take_from(&p->controls, out, size / 2);
    used += take_from(&p->frames, out + used, size - used);
    if (used == 0) {
        atomic_store(&p->reader_waits, true);
        if (!ring_is_empty(&p->controls) || !ring_is_empty(&p->frames))
            return plane_take(p, out, size);
    }
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

static int submit(plane *p, struct command *c)
{
    push(p, c, c);
    return 0;
}

int plane_listen(plane *p, int fd, const unsigned char *bound, int wildcard)
{
    struct command *c = new_command(LISTEN, 0, 0);
    if (c == NULL)
        return -1;
    c->fd = fd;
    c->first = address_at(bound);
    c->detail = wildcard != 0;
    return submit(p, c);
}

int plane_local_host(plane *p, const unsigned char *host)
{
    struct command *c = new_command(LOCAL, 0, 0);
    if (c == NULL)
        return -1;
    c->first = address_at(host);
    return submit(p, c);
}

int plane_open(plane *p, uint64_t relay, int fd, const unsigned char *client,
               const unsigned char *server, const unsigned char *relayed, int stream,
               int64_t expires_at)
{
    struct command *c = new_command(OPEN, relay, 0);
    if (c == NULL)
        return -1;
    c->fd = fd;
    c->first = address_at(client);
    c->second = address_at(server);
    c->third = address_at(relayed);
    c->detail = stream != 0;
    c->expires_at = expires_at;
    return submit(p, c);
}

int plane_extend(plane *p, uint64_t relay, int64_t expires_at)
{
    struct command *c = new_command(EXTEND, relay, 0);
    if (c == NULL)
        return -1;
    c->expires_at = expires_at;
    return submit(p, c);
}

int plane_permit(plane *p, uint64_t relay, const unsigned char *host,
                 int64_t expires_at, int own_only)
{
    struct command *c = new_command(PERMIT, relay, 0);
    if (c == NULL)
        return -1;
    c->first = address_at(host);
    c->expires_at = expires_at;
    c->detail = own_only != 0;
    return submit(p, c);
}

int plane_bind(plane *p, uint64_t relay, int channel, const unsigned char *peer,
               int64_t expires_at)
{
    struct command *c = new_command(BIND, relay, 0);
    if (c == NULL)
        return -1;
    c->first = address_at(peer);
    c->expires_at = expires_at;
    c->detail = (unsigned)channel & 0xFFFF;
    return submit(p, c);
}

int plane_close(plane *p, uint64_t relay)
{
    struct command *c = new_command(CLOSE, relay, 0);
    return c == NULL ? -1 : submit(p, c);
}

int plane_send(plane *p, const unsigned char *client, const unsigned char *server,
               const unsigned char *data, int size)
{
    struct command *c = new_command(SEND, 0, (u32)size);
    if (c == NULL)
        return -1;
    c->first = address_at(client);
    c->second = address_at(server);
    memcpy(c->data, data, (size_t)size);
    return submit(p, c);
}

int plane_settle(plane *p, uint64_t ticket)
{
    struct command *c = new_command(SETTLE, ticket, 0);
    return c == NULL ? -1 : submit(p, c);
}

int plane_stream(plane *p, uint64_t relay, const unsigned char *data, int size)
{
    struct record *made = ring_reserve(&p->streams, (u32)size);
    if (made == NULL)
        return -1;
    made->kind = RECORD_DATA;
    made->number = relay;
    memcpy((u8 *)(made + 1), data, (size_t)size);
    ring_commit(&p->streams, made);
    return 0;
}
