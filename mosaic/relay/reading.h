/* Reading sockets in batches, and their errors. */
#ifndef MOSAIC_READING_H
#define MOSAIC_READING_H

#include "listeners.h"
#include <linux/errqueue.h>
#include <sys/mman.h>

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

/* What the kernel tells of one datagram is passed on with it. */
static void note_traffic_class(plane *p, struct msghdr *h)
{
    p->tos = 0;
    if (!p->preserve_tos)
        return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        int wide;
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            p->tos = *CMSG_DATA(c);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            memcpy(&wide, CMSG_DATA(c), sizeof wide);
            p->tos = (u8)wide;
        }
    }
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
            note_traffic_class(p, h);
            if (l->wildcard)
                notice_address(p, l, &server);
            from_listener(p, l, h->msg_iov->iov_base, m[at].msg_len, &client, &server);
            be_readable_again(h);
        }
        if (got < BATCH)
            return false;
    }
    return true;
}

/* One datagram, the cheap way; whether there may be more. */
static bool read_one(plane *p, struct relay *r, struct udp_socket *s)
{
    struct arena *a = &p->arena;
    if (a->used == BUFFERS) {
        flush(p);
        a->used = 0;
    }
    u8 *payload = a->pieces[a->used].iov_base;
    struct sockaddr_in6 name;
    socklen_t room = sizeof name;
    ssize_t got = recvfrom(s->fd, payload, DATAGRAM_BYTES, MSG_DONTWAIT, (void *)&name,
                           &room);
    if (got < 0)
        return errno != EAGAIN && errno != EWOULDBLOCK;
    struct address peer = from_sockaddr(&name);
    a->used++;
    from_peer(p, r, &peer, payload, (u32)got, false);
    return false; /* else epoll tells again */
}

/* Read one of a relay's sockets; whether it must have another turn. A call has
 * one datagram at a time, and asking for many costs more than asking for one:
 * a socket where many were asked for and one came is read singly for a while. */
static bool read_relay(plane *p, struct relay *r, struct udp_socket *s)
{
    if (s->singles > 0 && !r->stream && !p->preserve_tos) {
        s->singles--;
        return read_one(p, r, s);
    }
    for (int round = 0; round < ROUNDS; round++) {
        struct mmsghdr *m;
        int got = read_batch(p, s->fd, &m);
        if (got < 0)
            return errno != EAGAIN && errno != EWOULDBLOCK;
        for (int at = 0; at < got; at++) {
            struct msghdr *h = &m[at].msg_hdr;
            struct address peer = from_sockaddr(h->msg_name);
            note_traffic_class(p, h);
            from_peer(p, r, &peer, h->msg_iov->iov_base, m[at].msg_len, false);
            be_readable_again(h);
        }
        s->singles = got == 1 ? SINGLES : 0;
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
        return e->ee_type == 3 || e->ee_type == 11;
    }
    if (e->ee_origin == SO_EE_ORIGIN_ICMP6) {
        if (e->ee_type == 2)
            *data = e->ee_info;
        return e->ee_type >= 1 && e->ee_type <= 3;
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
    count(p, ICMP_TOLD, 1);
    size = put_icmp_indication(out, r, peer, e, data);
    struct stream *s = stream_of(p, r);
    if (s != NULL) {
        stream_queue(p, s, out, size);
    } else if (r->stream) {
        if (!hand_over(p, &p->frames, RECORD_FRAME, r->number, &NOWHERE, &NOWHERE, out,
                       size))
            count(p, FRAMES_DROPPED, 1);
    } else if (r->listener != NULL) {
        queue_to_client(p, r->listener, &r->client, &r->server, out, size);
    }
}

/* Left alone, the queue would fail sends to others. */
static void read_errors(plane *p, struct relay *r, int fd)
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
        if (recvmsg(fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            return;
        struct address peer = from_sockaddr(&name);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c != NULL; c = CMSG_NXTHDR(&h, c))
            if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
                struct sock_extended_err found;
                memcpy(&found, CMSG_DATA(c), sizeof found);
                tell_icmp(p, r, &peer, &found);
            }
    }
}

#endif
