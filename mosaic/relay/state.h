/* What the plane keeps: allocations with their permissions and channels,
 * listeners, buffers, and what both threads share. */
#ifndef MOSAIC_STATE_H
#define MOSAIC_STATE_H

#include "admission.h"
#include "outbox.h"
#include "plane_api.h"
#include "ring.h"
#include "table.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum {
    BUFFERS = 256,
    HEADROOM = 64, /* for a Data indication's head */
    DATAGRAM_BYTES = 65536,
    /* Buffers begin in different cache sets. */
    BUFFER_STRIDE = HEADROOM + DATAGRAM_BYTES + 128,
    BATCH = 64,
    SINGLES = 8,
    ROUNDS = 4,
    EVENTS = 256,
    ERRORS_AT_ONCE = 16,
    KEEP_DEAD = 64,
    MAX_LISTENERS = 64,
    BUDGET_ROWS = 4096,
    RING_CONTROLS = 1 << 20,
    RING_FRAMES = 4 << 20,
    RING_STREAMS = 4 << 20,
#ifdef PLANE_KERNEL
    RING_STREAM_CONTROLS = 1 << 13, /* a test fills it */
#else
    RING_STREAM_CONTROLS = 1 << 18,
#endif
    STREAM_READ = 1 << 16,
    TLS_RECORD = 1 << 14, /* the most that one record holds (RFC 8446 section 5.1) */
    TLS_JOINED = 1 << 12, /* of several frames: the first one waits for the last */
    STREAM_IN = STREAM_READ + (1 << 17), /* what was left of reads that stalled */
    STREAM_PIECES = 64,
    STOP_WITHIN_S = 5,
};
enum { MAX_ANSWER = 128 };
_Static_assert((int)MAX_BINDING_ANSWER <= (int)MAX_ANSWER &&
                   (int)MAX_CHALLENGE <= (int)MAX_ANSWER &&
                   (int)MAX_ALLOCATED <= (int)MAX_ANSWER,
               "one buffer for all");
_Static_assert((int)MAX_INDICATION_HEAD <= (int)HEADROOM, "a Data indication's head fits");
_Static_assert(MAX_INDICATION_HEAD <= sizeof(struct record), "over a record too");

/* The order of thread.py's names. */
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
    OVER_LIMIT,
    ICMP_TOLD,
    NOT_STUN,
    BINDINGS,
    BINDINGS_OVER_BUDGET,
    CHALLENGES,
    CHALLENGES_OVER_BUDGET,
    CHALLENGES_TOO_SHORT,
    CONTROLS_DROPPED,
    FRAMES_DROPPED,
    STREAM_FRAMES_DROPPED,
    COUNTERS
};

/* How fast an allocation or a user may be (as limit.py); no rate, no limit. */
struct byte_limit {
    double bytes_per_s, tokens;
    i64 stamp;
};

struct user {
    struct entry by_number;
    struct byte_limit limit;
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
    int sent; /* until it is worth a socket of its own (sockets.h) */
    /* Where the peer is, as long as `way_at` is the plane's `ways`. */
    struct relay *other;
    u64 way_at;
    bool is_ours;
};

struct listener {
    struct udp_socket socket;
    struct address bound;
    bool wildcard;
    /* A wildcard: the address that datagrams reach, how many in a row. */
    struct address favourite;
    int streak;
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
    struct channel *latest;    /* which the packet before was for */
    struct udp_socket direct;  /* connected to a peer (sockets.h) */
    struct channel *direct_to; /* NULL: there is none */
    struct relay *next_busy;
    struct relay *other; /* the client's relay of the other family */
    struct byte_limit limit;
    u64 user;
    u64 indications;
    u32 permission_count;
    u32 slot;
    int watched_by; /* an epoll descriptor */
    u16 transport;
    bool stream, padded;
    u8 busy; /* which sockets have something: MAIN, DIRECT */
};

/* What epoll knows of a relay: where, and which one of those that were there. */
struct slot {
    struct relay *relay;
    u32 generation;
    u32 next_free;
};

/* A whole frame for a TCP client. */
struct frame {
    struct frame *next;
    i64 since;
    u32 size;
    u8 data[];
};

/* A TCP or TLS client whose connection the thread has (tcpclients.h). */
struct stream {
    struct entry by_number, by_ends;
    u64 number;
    int fd;
    void *tls; /* OpenSSL's object, which stands on fd; NULL for TCP */
    u16 transport;
    bool dirty, blocked, stalled, gone, broken;
    bool writes_after_read, reads_after_write; /* what TLS may ask for */
    struct address client, server;
    struct stream *next_dirty, *next_stalled;
    struct frame *first, *last;
    u32 queued, sent; /* bytes in frames; of the first one */
    u32 pending;      /* of those, the record that OpenSSL has begun to send */
    u32 queue_bytes;
    i64 queue_ns;
    u8 *partial;
    u32 partial_size;
};

/* OpenSSL's, as the process has loaded it. */
struct tls_calls {
    int (*read)(void *tls, void *to, int size);
    int (*write)(void *tls, const void *from, int size);
    int (*why)(const void *tls, int result);
    void (*forget)(void);
};

/* What an event is about: the highest three bits of its data. */
enum tag { TAG_RELAY, TAG_LISTENER, TAG_WAKE, TAG_DIRECT, TAG_STREAM };
enum { TAG_SHIFT = 61 };
enum relay_socket { MAIN = 1, DIRECT = 2 };

enum command_kind {
    LISTEN,
    LOCAL,
    OPEN,
    ADMIT,
    EXTEND,
    MOVE,
    LIMIT,
    PERMIT,
    BIND,
    CLOSE,
    LIMIT_USER,
    SEND,
    ADOPT,
    LEAVE,
    SEND_STREAM,
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
    void *tls;
    unsigned detail; /* wildcard, transport, own_only or channel */
    double bytes_per_s;
    u64 user;
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
    atomic_bool relays_wait;               /* it came while the thread was at work */
    _Atomic i64 forward;
    _Atomic u64 counters[COUNTERS];
    struct ring controls, frames, streams, stream_controls;
    atomic_bool streams_stall; /* some wait for room in stream_controls */
    int wake_fd, event_fd;
    bool running, stuck;
    pthread_t thread;
    pthread_mutex_t turn; /* held by who touches what is below */

    struct command *waiting; /* taken, and could not be done yet */
    _Alignas(64) bool stopping;
    i64 now;
    int epoll_fd;
    int reader_fd; /* an epoll of the relays of stream clients and the event */
    struct table table;
    struct listener *listeners[MAX_LISTENERS];
    u32 listener_count;
    bool listener_busy[MAX_LISTENERS];
    struct slot *slots;
    u32 slot_count, free_slot;
    struct relay *busy;
    u32 stream_count;
    struct stream *dirty_streams, *stalled;
    u8 *stream_in;
    struct tls_calls tls;
    u8 record[TLS_RECORD];
    u32 user_count;
    u32 direct_count, own_listeners;
    u64 ways; /* another number whenever a peer may be elsewhere */
    u8 tos;   /* of the datagram at hand, where it is preserved */
    bool can_gso, answer_bindings, preserve_tos, has_spoken;
    struct arena arena;
    struct outbox outbox;
    struct budget budget;
    struct terms terms;
    struct pass passes[PASSES];
    u8 answer[MAX_PACKETS][MAX_ANSWER];
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

#endif
