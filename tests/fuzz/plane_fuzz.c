/* Fuzzing the packet path of the native plane, without threads or sockets.
 *
 * An input is a little program: datagrams of clients and peers (whole ones
 * that are then bent, or plain noise), commands, time, and a kernel that
 * refuses. Besides the sanitizers, the stand-in for the kernel is the judge:
 * nothing leaves for a peer without a living permission, nothing for a
 * stranger, and every UDP_SEGMENT message is legal.
 *
 * With clang it is a libFuzzer target; with gcc, fuzz_driver.c mutates. -DFOCUS=0
 * looks longer at what clients send, -DFOCUS=10 at connections that are lent. */
#define PLANE_KERNEL
#include "../../mosaic/relay/plane.c"

enum {
    CLIENTS = 4,
    PEERS = 6,
    RELAY_FD = 1000000,
    LISTENER_FD = 2000000,
    OWN_LISTENER_FD = 2000001,
    DIRECT_FD = 3000000,
    HELD = 512
};

static ssize_t stream_takes(int fd, const struct msghdr *h);

static plane *the_plane;
static u64 last_stream, lent[4];
static struct address clients[CLIENTS], peers[PEERS], server;
static u64 relay_numbers[CLIENTS], other_numbers[CLIENTS], last_number, datagrams, sent_packets;
static int next_fd, mood;
enum { KNOWN = 17 };
static const unsigned char known_key[LONG_TERM_KEY] = "ann's key of md5";
static const struct address *asker = &clients[0];
static u64 number_of_fd[1 << 16];
static struct {
    int relay_fd;
    struct address peer;
} direct[1 << 16];
static void *held[HELD];
static int held_count;

static void judge(bool right, const char *rule)
{
    if (!right) {
        fprintf(stderr, "broken rule: %s\n", rule);
        abort();
    }
}

/* ---- The stand-in for the kernel ---- */

static void judge_segments(const struct msghdr *h)
{
    size_t total = 0, first = h->msg_iov[0].iov_len;
    judge(h->msg_controllen <= CONTROL_BYTES, "room for what is told");
    judge((h->msg_control == NULL) == (h->msg_controllen == 0), "no empty control");
    for (size_t at = 0; at < h->msg_iovlen; at++) {
        const volatile u8 *bytes = h->msg_iov[at].iov_base;
        size_t size = h->msg_iov[at].iov_len;
        for (size_t n = 0; n < size; n += 7)
            (void)bytes[n];
        if (size > 0)
            (void)bytes[size - 1];
        total += size;
        if (h->msg_iovlen > 1) {
            bool last = at == h->msg_iovlen - 1;
            judge(size > 0 && size <= first && (last || size == first), "equal sizes");
        }
    }
    /* One that is too long for UDP is refused by the kernel, and counted. */
    judge(h->msg_iovlen == 1 || (h->msg_iovlen <= 64 && total <= 65507), "legal run");
}

static bool watch(int epoll_fd, int fd, u64 tag, enum tell tell)
{
    (void)epoll_fd, (void)tag, (void)tell;
    return fd != LISTENER_FD; /* the world's own is put in by hand */
}

/* Numbers that say what they belong to. */
static int second_socket(int fd, const struct address *host)
{
    static int last;
    if (mood == 7)
        return -1;
    if (fd >= LISTENER_FD)
        return host->family != 0 ? OWN_LISTENER_FD : -1;
    last = (last + 1) & 0xFFFF;
    direct[last].relay_fd = fd;
    return DIRECT_FD + last;
}

static bool connect_to(int fd, const struct address *peer)
{
    direct[fd - DIRECT_FD].peer = *peer;
    return mood != 6;
}

static void judge_peer(int fd, const struct address *to)
{
    plane *p = the_plane;
    bool is_direct = fd >= DIRECT_FD;
    int relay_fd = is_direct ? direct[fd - DIRECT_FD].relay_fd : fd;
    struct relay *r = relay_by_number(p, number_of_fd[relay_fd - RELAY_FD]);
    judge(r != NULL && r->socket.fd == relay_fd, "a living relay");
    judge(!is_direct || (r->direct_to != NULL && r->direct.fd == fd &&
                         same_address(&r->direct_to->peer, to)),
          "a direct socket for its channel's peer");
    struct permission *allowed = permission_for(p, r, to);
    judge(allowed != NULL && !allowed->own_only, "a permission");
    judge(r->expires_at > p->now, "a living allocation");
}

static int kernel_takes(int fd, struct mmsghdr *messages, unsigned count)
{
    static unsigned turn;
    for (unsigned at = 0; at < count; at++) {
        struct msghdr *h = &messages[at].msg_hdr;
        bool named = fd < DIRECT_FD, known = false;
        judge(named == (h->msg_name != NULL), "a name where one is needed");
        struct address to =
            named ? from_sockaddr(h->msg_name) : direct[fd - DIRECT_FD].peer;
        judge_segments(h);
        sent_packets += h->msg_iovlen;
        for (int n = 0; n < CLIENTS; n++)
            known |= same_address(&to, &clients[n]);
        if (fd >= LISTENER_FD && fd < DIRECT_FD)
            judge(known, "a client");
        else
            judge_peer(fd, &to);
    }
    turn++;
    if (mood == 0 || turn % 3 != 0)
        return mood == 5 && count > 1 ? (int)count / 2 : (int)count;
    errno = (int[]){0, EIO, EINVAL, EAGAIN, ECONNREFUSED, EMSGSIZE, EINTR, EPERM}[mood];
    return -1;
}

/* A TCP client's socket: it takes all, some, or nothing. What begins anew is a
 * whole frame: what is cut in the middle is finished first. */
static ssize_t stream_takes(int fd, const struct msghdr *h)
{
    static unsigned turn;
    size_t total = 0;
    (void)fd;
    for (size_t at = 0; at < h->msg_iovlen; at++) {
        const volatile u8 *bytes = h->msg_iov[at].iov_base;
        size_t size = h->msg_iov[at].iov_len;
        judge(size > 0, "frames are never empty");
        (void)bytes[0];
        (void)bytes[size - 1];
        if (at > 0)
            judge(size % 4 == 0, "padded frames");
        total += size;
    }
    turn++;
    if (mood == 0 || turn % 2 == 0)
        return (ssize_t)total;
    if (mood == 1 || total < 2)
        return errno = EAGAIN, -1;
    if (mood == 2)
        return errno = EPIPE, -1;
    return (ssize_t)(1 + turn % (total - 1));
}

/* OpenSSL of such a socket: what it has begun with comes again, or is forgotten
 * with the connection. */
struct fake_tls {
    u8 begun[TLS_RECORD];
    int size;
};
static struct fake_tls fakes[CLIENTS];

static int tls_takes(void *tls, const void *from, int size)
{
    static unsigned turn;
    struct fake_tls *fake = tls;
    judge(size > 0 && size <= TLS_RECORD, "a record");
    judge(size >= fake->size && memcmp(from, fake->begun, (size_t)fake->size) == 0,
          "the same record again");
    turn++;
    if (mood == 0 || mood > 2 || turn % 2 == 0) {
        fake->size = 0;
        return size;
    }
    memcpy(fake->begun, from, (size_t)size);
    fake->size = size;
    return -1;
}

static int tls_gives(void *tls, void *to, int size)
{
    (void)tls, (void)to, (void)size;
    return -1;
}

static int tls_says(const void *tls, int result)
{
    (void)tls, (void)result;
    return mood == 2 ? 1 : TLS_WANTS_WRITE;
}

static void tls_forgets(void) {}

/* ---- The world of an input ---- */

static struct address address_v4(unsigned last, unsigned port)
{
    struct address made = {.ip = {198, 51, 100, (u8)last}, .port = (u16)port, .family = 4};
    return made;
}

static struct address address_v6(unsigned last, unsigned port)
{
    struct address made = {.ip = {0x20, 1, 13, 184}, .port = (u16)port, .family = 6};
    made.ip[15] = (u8)last;
    return made;
}

static const unsigned char *raw(const struct address *a)
{
    return (const unsigned char *)a;
}

static struct address relayed_of(int client)
{
    return address_v4(200, 50000u + (unsigned)client);
}

static void run(void)
{
    struct command *waiting = NULL;
    run_commands(the_plane, &waiting);
    for (struct command *next; waiting != NULL; waiting = next) {
        next = waiting->next; /* tickets that found no room */
        free(waiting);
    }
}

static void open_one(int client, bool stream, i64 lifetime)
{
    struct address relayed = relayed_of(client);
    plane_close(the_plane, relay_numbers[client]);
    relay_numbers[client] = ++last_number;
    next_fd = (next_fd + 1) & 0xFFFF;
    number_of_fd[next_fd] = last_number;
    plane_open(the_plane, last_number, RELAY_FD + next_fd, raw(&clients[client]),
               raw(&server), raw(&relayed), stream, the_plane->now + lifetime,
               client == 2 ? 100000 : 0, client == 1 ? 7 : 0);
    run();
}

static void set_clock(void);

/* The same, as for a client whose credentials are known. */
static void admit_one(int client, unsigned lifetime_s)
{
    struct grant g = {.client = clients[client],
                      .server = server,
                      .relayed = address_v4(200, 0),
                      .port = relayed_of(client).port,
                      .lifetime_s = lifetime_s,
                      .fingerprint = lifetime_s & 1};
    plane_close(the_plane, relay_numbers[client]);
    g.relay = relay_numbers[client] = ++last_number;
    next_fd = (next_fd + 1) & 0xFFFF;
    number_of_fd[next_fd] = last_number;
    g.fd = RELAY_FD + next_fd;
    g.expires_at = the_plane->now + (i64)lifetime_s * 1000000000;
    set_clock();
    plane_admit(the_plane, (const unsigned char *)&g, sizeof g);
    run();
}

/* A second relay of a client, as for the other family. */
static void open_other(int client)
{
    struct address relayed = address_v4(201, 50000u + (unsigned)client);
    struct address host = host_of(&peers[3]);
    plane_close(the_plane, other_numbers[client]);
    other_numbers[client] = ++last_number;
    next_fd = (next_fd + 1) & 0xFFFF;
    number_of_fd[next_fd] = last_number;
    plane_open(the_plane, last_number, RELAY_FD + next_fd, raw(&clients[client]),
               raw(&server), raw(&relayed), 0, the_plane->now + 600 * (i64)1000000000,
               0, 7);
    plane_permit(the_plane, last_number, raw(&host),
                 the_plane->now + 300 * (i64)1000000000, 0);
    plane_bind(the_plane, last_number, 0x4006, raw(&peers[3]),
               the_plane->now + 600 * (i64)1000000000);
    run();
}

static void make_world(void)
{
    the_plane = plane_new(1, 1000, 4000, 1);
    server = address_v4(1, 3478);
    for (int at = 0; at < CLIENTS; at++)
        clients[at] = address_v4(10u + (unsigned)at, 40000);
    for (int at = 0; at < PEERS; at++)
        peers[at] = at == 4 ? address_v6(9, 5000) : address_v4(20u + (unsigned)at / 2, 5000u + (unsigned)at);
    peers[5] = relayed_of(1);
    static const unsigned char key[32] = "a key of the tests, nobody's own";
    plane_challenge(the_plane, key, (const unsigned char *)"mosaic", 6, 7, 0xC00000, 0);
    plane_listen(the_plane, LISTENER_FD, raw(&server), 1);
    plane_know(the_plane, KNOWN, (const unsigned char *)"ann", 3, known_key);
    plane_tls(the_plane, (uintptr_t)tls_gives, (uintptr_t)tls_takes,
              (uintptr_t)tls_says, (uintptr_t)tls_forgets);
    the_plane->now = clock_ns(the_plane);
    run();
}

/* One listener stays; epoll refuses its number, so it is put in by hand. */
static void add_world_listener(void)
{
    static struct listener l;
    l.socket = (struct udp_socket){
        .fd = LISTENER_FD, .family = 4, .gso = true, .shared = true};
    l.streak = 0;
    l.bound = server;
    memset(l.bound.ip, 0, sizeof l.bound.ip);
    l.wildcard = true;
    while (the_plane->listener_count > 1)
        free(the_plane->listeners[--the_plane->listener_count]);
    the_plane->own_listeners = 0;
    the_plane->listeners[0] = &l;
    the_plane->listener_count = 1;
}

static void begin(void)
{
    if (the_plane == NULL)
        make_world();
    add_world_listener();
    mood = 0;
    the_plane->listeners[0]->socket.gso = true;
    for (int at = 0; at < CLIENTS; at++) {
        if (lent[at] != 0)
            plane_leave(the_plane, lent[at]);
        lent[at] = 0;
        plane_close(the_plane, other_numbers[at]);
        open_one(at, at == 3, 600 * (i64)1000000000);
        for (int n = 0; n < PEERS; n++) {
            struct address host = host_of(&peers[n]);
            plane_permit(the_plane, relay_numbers[at], raw(&host),
                         the_plane->now + 300 * (i64)1000000000, n == 5);
        }
        plane_bind(the_plane, relay_numbers[at], 0x4000 + at, raw(&peers[at]),
                   the_plane->now + 600 * (i64)1000000000);
    }
    run();
}

static void let_go(void)
{
    flush(the_plane);
    while (held_count > 0)
        free(held[--held_count]);
}

/* ---- An input's steps ---- */

struct input {
    const u8 *at, *end;
};

static unsigned next(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static unsigned next16(struct input *in)
{
    unsigned high = next(in);
    return high << 8 | next(in);
}

/* A datagram in memory of its own, with the room around that the plane has. */
static u8 *datagram(const u8 *bytes, u32 size)
{
    if (held_count == HELD)
        let_go();
    u8 *made = malloc(HEADROOM + size + 3);
    memset(made, 0xAA, HEADROOM);
    memcpy(made + HEADROOM, bytes, size);
    held[held_count++] = made;
    datagrams++;
    return made + HEADROOM;
}

static u32 put_attribute(u8 *out, u16 code, const void *value, u32 size)
{
    put16(out, code);
    put16(out + 2, size);
    memcpy(out + 4, value, size);
    memset(out + 4 + size, 0, padded(size) - size);
    return 4 + padded(size);
}

/* An Allocate of somebody who is known. */
static u32 put_known(u8 *out, unsigned detail)
{
    static const u8 noise[40] = {1, 2, 3}, udp[4] = {IPPROTO_UDP};
    struct hmac_key key = hmac_begin(known_key, sizeof known_key);
    u8 nonce[28], proof[SHA1_BYTES], crc[4];
    i64 now = the_plane->now + the_plane->terms.ahead;
    u32 size = STUN_HEADER;
    put16(out, ALLOCATE_REQUEST);
    put32(out + 4, MAGIC_COOKIE);
    memset(out + 8, (int)detail, 12);
    size += put_attribute(out + size, ATTR_REQUESTED_TRANSPORT, udp, 4);
    if (detail & 4)
        size += put_attribute(out + size, ATTR_LIFETIME, noise, 4);
    size += put_attribute(out + size, ATTR_USERNAME, (const u8 *)"ann", 3);
    size += put_attribute(out + size, ATTR_REALM, (const u8 *)"mosaic", 6);
    size += put_attribute(out + size, ATTR_NONCE, nonce,
                          put_nonce(nonce, &the_plane->terms, now, asker, detail & 8));
    if (detail & 16)
        size += put_attribute(out + size, ATTR_SOFTWARE, noise, detail % 40);
    put16(out + 2, size - STUN_HEADER + INTEGRITY_BYTES);
    hmac_sha1(&key, out, size, proof);
    size += put_attribute(out + size, ATTR_MESSAGE_INTEGRITY, proof, sizeof proof);
    if (detail & 32) {
        put16(out + 2, size - STUN_HEADER + 8);
        put32(crc, crc32_of(out, size) ^ FINGERPRINT_XOR);
        size += put_attribute(out + size, ATTR_FINGERPRINT, crc, 4);
    }
    return size;
}

/* A message that is right, for its attributes to be bent. */
static u32 put_message(struct input *in, unsigned kind, u8 *out)
{
    static const u8 noise[1500] = {1, 2, 3};
    u32 size = STUN_HEADER, length = next16(in) % 1300;
    unsigned detail = next(in);
    if (kind == 0) {
        put16(out, 0x4000 + detail % 8);
        put16(out + 2, length);
        memcpy(out + 4, noise, length);
        return 4 + length + (detail & 8 ? 3 : 0);
    }
    if (kind == 2 && detail % 4 == 3)
        return put_known(out, detail);
    put16(out, kind == 1 ? SEND_INDICATION : detail & 1 ? 0x0003 : BINDING_REQUEST);
    put32(out + 4, MAGIC_COOKIE);
    memset(out + 8, (int)detail, 12);
    if (kind == 1) {
        size += put_xor_address(out + size, ATTR_XOR_PEER_ADDRESS,
                                &peers[detail % PEERS], out + 8);
        if (detail & 16)
            size += put_attribute(out + size, ATTR_DONT_FRAGMENT, noise, 0);
        if (detail & 32)
            size += put_attribute(out + size, 0x0006, noise, 9);
        size += put_attribute(out + size, ATTR_DATA, noise, length);
    }
    if (detail & 64)
        size += put_attribute(out + size, 0x8022, noise, length % 40);
    put16(out + 2, size - STUN_HEADER + (detail & 128 ? 8 : 0));
    if (detail & 128) {
        u8 crc[4];
        put32(crc, crc32_of(out, size) ^ FINGERPRINT_XOR);
        size += put_attribute(out + size, ATTR_FINGERPRINT, crc, 4);
    }
    return size;
}

static u32 make_bytes(struct input *in, u8 *out)
{
    unsigned kind = next(in) % 4;
    u32 size = 0;
    if (kind == 3) {
        size = next(in);
        for (u32 at = 0; at < size; at++)
            out[at] = (u8)next(in);
        return size;
    }
    size = put_message(in, kind, out);
    for (unsigned bends = next(in) % 4; bends > 0; bends--) {
        unsigned at = next(in);
        out[at % size] ^= (u8)next(in);
    }
    if (next(in) % 8 == 0)
        size -= next(in) % size;
    return size;
}

static void step_client(struct input *in)
{
    static u8 bytes[4096];
    unsigned who = next(in) % CLIENTS, repeat = 1 + next(in) % 12;
    asker = &clients[who];
    u32 size = make_bytes(in, bytes);
    the_plane->tos = bytes[size / 2] & 3; /* as a datagram's own */
    for (; repeat > 0; repeat--) {
        struct address l = server;
        u32 listeners = the_plane->listener_count;
        notice_address(the_plane, the_plane->listeners[0], &l);
        from_listener(the_plane, the_plane->listeners[listeners - 1],
                      datagram(bytes, size), size, &clients[who], &l);
    }
}

static void step_peer(struct input *in)
{
    static const u8 bytes[66000];
    unsigned who = next(in) % CLIENTS, which = next(in) % PEERS;
    unsigned repeat = 1 + next(in) % 12;
    u32 size = next(in) & 1 ? next16(in) % 65508 : next(in);
    struct relay *r = relay_by_number(the_plane, relay_numbers[who]);
    for (; r != NULL && repeat > 0; repeat--)
        from_peer(the_plane, r, &peers[which], datagram(bytes, size), size, false);
}

static void step_stream(struct input *in)
{
    static u8 bytes[4096];
    u32 size = make_bytes(in, bytes);
    the_plane->tos = 0; /* a stream has none */
    if (size >= 4) /* the splitter cuts whole messages */
        plane_stream(the_plane, relay_numbers[next(in) % CLIENTS], bytes, (int)size);
    datagrams++;
    let_go();
    read_streams(the_plane);
}

/* What looks at the clock itself finds this run's time, or nearly. */
static void set_clock(void)
{
    plane_turn_forward(the_plane, the_plane->now - clock_ns(the_plane));
}

/* A read of a stream, cut by the plane: channels and padding, and what is none. */
static void step_run(struct input *in)
{
    static u8 bytes[3 * 4096 + 16];
    u32 size = 0;
    int dropped = 0;
    for (unsigned many = next(in) % 4; many > 0; many--) {
        size += make_bytes(in, bytes + size);
        while (size % 4 != 0)
            bytes[size++] = 0;
    }
    u32 cut = size > 0 ? next(in) % 8 : 0;
    size -= cut < size ? cut : size;
    let_go();
    set_clock();
    /* as large as it is, so that a byte too far is found */
    u8 *exact = malloc(size + (size == 0));
    memcpy(exact, bytes, size);
    int taken = plane_stream_run(the_plane, relay_numbers[next(in) % CLIENTS], exact,
                                 (int)size, &dropped);
    judge(taken >= 0 && (u32)taken <= size, "takes what there is");
    free(exact);
    datagrams++;
    let_go();
}

/* A TCP client with a relay, lent, or given back. */
static void step_lend(struct input *in)
{
    static unsigned char unread[192 << 10], unsent[192 << 10];
    static u8 bytes[4096];
    plane *p = the_plane;
    unsigned who = next(in) % CLIENTS;
    int waits = 0;
    let_go();
    set_clock();
    if (lent[who] != 0 && next(in) & 1) {
        int size = plane_give_back(p, lent[who], unread, sizeof unread, unsent,
                                   sizeof unsent, &waits);
        judge(size < (int)sizeof unread && waits < (int)sizeof unsent, "what there is");
        lent[who] = 0;
    } else if (lent[who] != 0) {
        plane_leave(p, lent[who]);
        lent[who] = 0;
    } else {
        u32 size = make_bytes(in, bytes);
        struct address relayed = relayed_of((int)who);
        plane_close(p, relay_numbers[who]);
        relay_numbers[who] = ++last_number;
        next_fd = (next_fd + 1) & 0xFFFF;
        number_of_fd[next_fd] = last_number;
        plane_open(p, last_number, RELAY_FD + next_fd, raw(&clients[who]), raw(&server),
                   raw(&relayed), 0x8001, p->now + 600 * (i64)1000000000, 0, 7);
        for (int n = 0; n < PEERS; n++) {
            struct address host = host_of(&peers[n]);
            plane_permit(p, last_number, raw(&host), p->now + 300 * (i64)1000000000,
                         n == 5);
        }
        plane_bind(p, last_number, 0x4000 + (int)who, raw(&peers[who]),
                   p->now + 600 * (i64)1000000000);
        lent[who] = ++last_stream;
        fakes[who].size = 0;
        plane_adopt(p, last_stream, 3000000, raw(&clients[who]), raw(&server), 0x8001,
                    who & 1 ? &fakes[who] : NULL, bytes, 0, 20000, 2 * (i64)1000000000);
        run();
        /* epoll refuses its number: it is told to have gone, and lives here. */
        struct stream *s = stream_by_number(p, last_stream);
        s->gone = s->broken = false;
        memcpy(p->stream_in, bytes, size);
        take_in(p, s, size);
    }
    run();
}

/* What a lent client sends, as read from its socket; events; answers. */
static void step_lent(struct input *in)
{
    plane *p = the_plane;
    struct stream *s = stream_by_number(p, lent[next(in) % CLIENTS]);
    unsigned what = next(in) % 8;
    let_go();
    if (s == NULL)
        return;
    if (what == 0) {
        plane_send_stream(p, s->number, p->stream_in, 20 + 4 * (int)(next(in) % 9));
        run();
    } else if (what == 1 && s->blocked) {
        s->blocked = false;
        drop_old_frames(p, s);
        be_dirty(p, s);
    } else if (what == 2) {
        go_on(p);
    } else if (!s->stalled && !s->gone) {
        static u8 bytes[4 * 4096];
        u32 size = 0, held = s->partial_size;
        for (unsigned many = next(in) % 4; many > 0; many--) {
            size += make_bytes(in, bytes + size);
            while (size % 4 != 0)
                bytes[size++] = 0;
        }
        u32 less = next(in) % 8;
        size -= less < size ? less : size;
        if (held > 0)
            memcpy(p->stream_in, s->partial, held);
        memcpy(p->stream_in + held, bytes, size);
        datagrams++;
        take_in(p, s, held + size);
        judge(s->gone || s->stalled || s->partial_size < STREAM_IN - STREAM_READ,
              "room for what comes");
    }
    flush(p);
    flush_streams(p);
    p->arena.used = 0;
}

static void step_command(struct input *in)
{
    plane *p = the_plane;
    unsigned kind = next(in) % 10, client = next(in) % CLIENTS;
    struct address peer = peers[next(in) % PEERS], host = host_of(&peer);
    i64 until = p->now + (i64)(next(in)) * 10000000000 - 100000000000;
    let_go(); /* commands run on an empty outbox */
    if (kind == 0)
        plane_permit(p, relay_numbers[client], raw(&host), until, next(in) & 1);
    else if (kind == 1)
        plane_bind(p, relay_numbers[client], 0x4000 + (int)next(in) % 8, raw(&peer),
                   until);
    else if (kind == 2)
        plane_extend(p, relay_numbers[client], until);
    else if (kind == 3)
        plane_close(p, relay_numbers[client]);
    else if (kind == 4) {
        unsigned how = next(in);
        if ((how & 3) == 2)
            admit_one((int)client, how * 10);
        else
            open_one((int)client, how & 1, 600 * (i64)1000000000);
    } else if (kind == 5)
        open_other((int)client);
    else if (kind == 6)
        plane_move(p, relay_numbers[client], raw(&clients[next(in) % CLIENTS]),
                   raw(&server), next(in) % 3);
    else if (kind == 7)
        plane_limit(p, relay_numbers[client], next(in) * 1000.0);
    else if (kind == 8)
        plane_limit_user(p, next(in) % 3 * 7, next(in) % 4 * 50000.0);
    else
        plane_send(p, raw(&clients[client]), raw(&server), raw(&peer), 20);
    run();
}

static void step_icmp(struct input *in)
{
    struct sock_extended_err e = {.ee_origin = (u8)(next(in) % 4)};
    struct relay *r = relay_by_number(the_plane, relay_numbers[next(in) % CLIENTS]);
    e.ee_type = (u8)next(in);
    e.ee_code = (u8)next(in);
    e.ee_info = next16(in);
    if (r != NULL)
        tell_icmp(the_plane, r, &peers[next(in) % PEERS], &e);
}

static void step_take(void)
{
    static unsigned char out[512 << 10];
    int more;
    let_go();
    set_clock();
    int used = plane_take(the_plane, out, sizeof out, &more);
    for (int at = 0; at < used;) {
        struct record found;
        memcpy(&found, out + at, sizeof found);
        judge(found.size >= sizeof found + found.length, "a whole record");
        judge(found.kind != RECORD_KNOWN || found.number == KNOWN, "a known number");
        at += (int)found.size;
    }
}

static void step_many_permissions(struct input *in)
{
    unsigned client = next(in) % CLIENTS, base = next(in);
    let_go();
    for (unsigned n = 0; n < 80; n++) {
        struct address host = address_v4(base + n, 0);
        host.ip[2] = 99;
        plane_permit(the_plane, relay_numbers[client], raw(&host),
                     the_plane->now + (i64)(n % 3) * 1000000000, 0);
    }
    run();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {data, data + size};
    begin();
    for (int steps = 0; in.at < in.end && steps < 64; steps++) {
        unsigned what = next(&in);
#ifdef FOCUS /* every other step is of this kind, to look long at one thing */
        what = what & 16 ? FOCUS : what;
#endif
        what %= 16;
        if (what < 6)
            step_client(&in);
        else if (what < 9)
            step_peer(&in);
        else if (what < 10)
            (next(&in) & 1 ? step_run : step_stream)(&in);
        else if (what == 10)
            (next(&in) & 7 ? step_lent : step_lend)(&in);
        else if (what < 12)
            step_command(&in);
        else if (what == 12)
            step_icmp(&in);
        else if (what == 13) {
            let_go(); /* a batch has one time */
            the_plane->now += (i64)next(&in) * 5000000000;
        } else if (what == 14)
            mood = (int)next(&in) % 8;
        else if (next(&in) & 1)
            step_many_permissions(&in);
        else
            step_take();
    }
    let_go();
    step_take();
    return 0;
}

void fuzz_counts(unsigned long long *in, unsigned long long *out);

void fuzz_counts(unsigned long long *in, unsigned long long *out)
{
    *in = datagrams;
    *out = sent_packets;
}
