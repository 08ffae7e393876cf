/* What leaves in one turn of the data thread. Packets of one flow (socket,
 * destination, source) keep their order; runs of one size and traffic class
 * become a single UDP_SEGMENT message, and all messages of one socket a single
 * sendmmsg. */
#ifndef MOSAIC_OUTBOX_H
#define MOSAIC_OUTBOX_H

#include "table.h"
#include <errno.h>
#include <netinet/udp.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
    MAX_PACKETS = 512,
    FLOW_ROWS = 256,
    MAX_MESSAGES = 64,
    MAX_SEGMENTS = 64,        /* the kernel's UDP_MAX_SEGMENTS */
    MAX_SEGMENT_BYTES = 1452, /* what an Ethernet path carries over IPv6 */
    MAX_RUN_BYTES = 65000,
    CONTROL_BYTES = 96, /* IPV6_PKTINFO, UDP_SEGMENT and IPV6_TCLASS */
};

#ifdef PLANE_KERNEL
/* A test stands in for the kernel. */
static int kernel_takes(int fd, struct mmsghdr *messages, unsigned count);
#else
/* How many of the messages it took, or -1. One plain packet, as voice is, has
 * the shortest way into the kernel. */
static int kernel_takes(int fd, struct mmsghdr *messages, unsigned count)
{
    const struct msghdr *h = &messages->msg_hdr;
    if (count == 1 && h->msg_iovlen == 1 && h->msg_controllen == 0)
        return sendto(fd, h->msg_iov->iov_base, h->msg_iov->iov_len,
                      MSG_DONTWAIT | MSG_NOSIGNAL, h->msg_name, h->msg_namelen) < 0
                   ? -1
                   : 1;
    return sendmmsg(fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
}
#endif

struct flow;

struct udp_socket {
    int fd;
    u16 family;
    bool gso;    /* false for good once a card or tunnel cannot */
    bool shared; /* a listener: it has many clients */
    u8 singles;  /* how often it is read for one datagram (reading.h) */
    struct flow *first, *last;
    struct udp_socket *next_dirty;
};

struct packet {
    const u8 *data;
    u32 size;
    u8 tos; /* DSCP and ECN, or 0 */
    struct packet *next;
};

struct flow {
    struct udp_socket *socket;
    struct address to;   /* family 0: where the socket is connected to */
    struct address from; /* family 0: as the socket is bound */
    struct packet *first, *last;
    struct flow *next, *next_in_row;
    u32 row;
};

struct outbox {
    struct packet packets[MAX_PACKETS];
    struct flow flows[MAX_PACKETS];
    u32 packet_count, flow_count;
    struct flow *rows[FLOW_ROWS];
    struct flow *latest;
    struct udp_socket *dirty;
    u64 seed;

    /* The messages of one sendmmsg. */
    struct mmsghdr messages[MAX_MESSAGES];
    const struct flow *sender[MAX_MESSAGES];
    u8 tos[MAX_MESSAGES];
    struct sockaddr_in6 names[MAX_MESSAGES];
    _Alignas(struct cmsghdr) u8 control[MAX_MESSAGES][CONTROL_BYTES];
    struct iovec pieces[MAX_PACKETS];
    u32 message_count, piece_count;

    u64 failed_to_peers, failed_to_clients;
};

static bool is_flow(const struct flow *f, const struct udp_socket *socket,
                    const struct address *to, const struct address *from)
{
    return f->socket == socket && same_address(&f->to, to) &&
           same_address(&f->from, from);
}

static struct flow *flow_made(struct outbox *box, struct udp_socket *socket,
                              const struct address *to, const struct address *from,
                              u32 row)
{
    struct flow *made = &box->flows[box->flow_count++];
    *made = (struct flow){.socket = socket, .to = *to, .from = *from, .row = row};
    made->next_in_row = box->rows[row];
    box->rows[row] = made;
    if (socket->first == NULL) {
        socket->first = made;
        socket->next_dirty = box->dirty;
        box->dirty = socket;
    } else {
        socket->last->next = made;
    }
    socket->last = made;
    return made;
}

static struct flow *flow_for(struct outbox *box, struct udp_socket *socket,
                             const struct address *to, const struct address *from)
{
    if (box->latest != NULL && is_flow(box->latest, socket, to, from))
        return box->latest;
    u64 seed = box->seed ^ (u64)(unsigned)socket->fd << 32;
    u32 row = (u32)(hash_bytes(to, sizeof *to, seed) >> 20) % FLOW_ROWS;
    for (struct flow *f = box->rows[row]; f != NULL; f = f->next_in_row)
        if (is_flow(f, socket, to, from))
            return f;
    return flow_made(box, socket, to, from, row);
}

/* Queue one packet; data stays as it is until the outbox is flushed. There is
 * room (outbox_is_full). */
static void outbox_add(struct outbox *box, struct udp_socket *socket,
                       const struct address *to, const struct address *from,
                       const u8 *data, u32 size, u8 tos)
{
    struct flow *f = flow_for(box, socket, to, from);
    struct packet *made = &box->packets[box->packet_count++];
    *made = (struct packet){.data = data, .size = size, .tos = tos};
    if (f->first == NULL)
        f->first = made;
    else
        f->last->next = made;
    f->last = made;
    box->latest = f;
}

static bool outbox_is_full(const struct outbox *box)
{
    return box->packet_count == MAX_PACKETS;
}

static void *add_control(struct msghdr *h, int level, int kind, size_t size)
{
    struct cmsghdr *c = (struct cmsghdr *)((u8 *)h->msg_control + h->msg_controllen);
    memset(c, 0, CMSG_SPACE(size));
    c->cmsg_level = level;
    c->cmsg_type = kind;
    c->cmsg_len = CMSG_LEN(size);
    h->msg_controllen += CMSG_SPACE(size);
    return CMSG_DATA(c);
}

/* A wildcard listener answers from the address that was reached. */
static void add_source(struct msghdr *h, const struct address *from)
{
    if (from->family == 4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, from->ip, 4);
        memcpy(add_control(h, IPPROTO_IP, IP_PKTINFO, sizeof info), &info, sizeof info);
    } else if (from->family == 6) {
        struct in6_pktinfo info = {0};
        memcpy(&info.ipi6_addr, from->ip, 16);
        memcpy(add_control(h, IPPROTO_IPV6, IPV6_PKTINFO, sizeof info), &info,
               sizeof info);
    }
}

static void add_traffic_class(struct msghdr *h, const struct udp_socket *s, u8 tos)
{
    int level = s->family == 6 ? IPPROTO_IPV6 : IPPROTO_IP;
    int kind = s->family == 6 ? IPV6_TCLASS : IP_TOS, value = tos;
    if (tos != 0)
        memcpy(add_control(h, level, kind, sizeof value), &value, sizeof value);
}

static void count_failed(struct outbox *box, const struct udp_socket *s, u64 packets)
{
    if (s->shared)
        box->failed_to_clients += packets;
    else
        box->failed_to_peers += packets;
}

/* An error that belongs to an earlier packet of a relay socket (IP_RECVERR)
 * is reported once, and hides nothing else. */
static bool is_of_another(const struct udp_socket *s, int error)
{
    return !s->shared && (error == ECONNREFUSED || error == EHOSTUNREACH ||
                          error == ENETUNREACH || error == EPROTO ||
                          error == EMSGSIZE || error == EACCES);
}

static bool send_one(struct udp_socket *s, const struct msghdr *h)
{
    struct mmsghdr message = {.msg_hdr = *h};
    for (int tries = 0; tries < 2; tries++) {
        if (kernel_takes(s->fd, &message, 1) == 1)
            return true;
        if (errno != EINTR && !is_of_another(s, errno))
            return false;
    }
    return false;
}

/* The kernel, or the card behind it, does not cut this run: send its packets
 * one by one. */
static void send_uncut(struct outbox *box, struct udp_socket *s, u32 which)
{
    struct msghdr *h = &box->messages[which].msg_hdr;
    struct iovec *pieces = h->msg_iov;
    size_t count = h->msg_iovlen;
    h->msg_controllen = 0;
    add_source(h, &box->sender[which]->from);
    add_traffic_class(h, s, box->tos[which]);
    if (h->msg_controllen == 0)
        h->msg_control = NULL;
    h->msg_iovlen = 1;
    for (size_t at = 0; at < count; at++) {
        h->msg_iov = &pieces[at];
        count_failed(box, s, !send_one(s, h));
    }
}

static bool is_refused_gso(int error)
{
    return error == EIO || error == EINVAL || error == EOPNOTSUPP || error == EMSGSIZE;
}

/* One message that the kernel did not take. EAGAIN, ENOBUFS and the like:
 * dropped and counted, never tried for ever. */
static void message_failed(struct outbox *box, struct udp_socket *s, u32 which,
                           int error)
{
    const struct msghdr *h = &box->messages[which].msg_hdr;
    if (h->msg_iovlen > 1 && is_refused_gso(error)) {
        /* EINVAL and EMSGSIZE are one path's (a small MTU), not the socket's. */
        if (error == EIO || error == EOPNOTSUPP)
            s->gso = false;
        send_uncut(box, s, which);
    } else if (!is_of_another(s, error) || !send_one(s, h)) {
        count_failed(box, s, h->msg_iovlen);
    }
}

/* sendmmsg stops at the first message that fails and keeps its error for
 * itself; the next call begins with that one and tells. */
static void transmit(struct outbox *box, struct udp_socket *s)
{
    u32 done = 0;
    while (done < box->message_count) {
        int sent = kernel_takes(s->fd, &box->messages[done], box->message_count - done);
        if (sent > 0) {
            done += (u32)sent;
        } else if (errno != EINTR) {
            message_failed(box, s, done++, errno);
        }
    }
    box->message_count = box->piece_count = 0;
}

/* How many packets from p on go as one: all of one class, and of one size but
 * a shorter last, none empty (an empty tail would vanish). */
static u32 run_length(const struct udp_socket *s, const struct packet *p, u32 *total)
{
    u32 count = 1, size = p->size;
    u8 tos = p->tos;
    *total = size;
    if (!s->gso || size == 0 || size > MAX_SEGMENT_BYTES)
        return 1;
    while ((p = p->next) != NULL && count < MAX_SEGMENTS && p->size > 0 &&
           p->size <= size && p->tos == tos && *total + p->size <= MAX_RUN_BYTES) {
        count++;
        *total += p->size;
        if (p->size < size)
            break;
    }
    return count;
}

/* Make one message of the next run of a flow; what is left after it. */
static struct packet *put_run(struct outbox *box, const struct flow *f,
                              struct packet *p)
{
    u32 at = box->message_count++, total;
    u32 count = run_length(f->socket, p, &total);
    struct msghdr *h = &box->messages[at].msg_hdr;
    u16 segment = (u16)p->size;
    *h = (struct msghdr){.msg_control = box->control[at],
                         .msg_iov = &box->pieces[box->piece_count],
                         .msg_iovlen = count};
    if (f->to.family != 0) {
        h->msg_name = &box->names[at];
        h->msg_namelen = to_sockaddr(&f->to, &box->names[at]);
    }
    box->sender[at] = f;
    box->tos[at] = p->tos;
    for (u32 n = 0; n < count; n++, p = p->next)
        box->pieces[box->piece_count++] =
            (struct iovec){.iov_base = (void *)p->data, .iov_len = p->size};
    add_source(h, &f->from);
    if (count > 1)
        memcpy(add_control(h, SOL_UDP, UDP_SEGMENT, sizeof segment), &segment,
               sizeof segment);
    add_traffic_class(h, f->socket, box->tos[at]);
    if (h->msg_controllen == 0)
        h->msg_control = NULL;
    return p;
}

static void flush_socket(struct outbox *box, struct udp_socket *s)
{
    for (struct flow *f = s->first; f != NULL; f = f->next)
        for (struct packet *p = f->first; p != NULL;) {
            if (box->message_count == MAX_MESSAGES)
                transmit(box, s);
            p = put_run(box, f, p);
        }
    transmit(box, s);
    s->first = s->last = NULL;
}

static void outbox_flush(struct outbox *box)
{
    struct udp_socket *s = box->dirty, *next;
    for (; s != NULL; s = next) {
        next = s->next_dirty;
        s->next_dirty = NULL;
        flush_socket(box, s);
    }
    for (u32 at = 0; at < box->flow_count; at++)
        box->rows[box->flows[at].row] = NULL;
    box->packet_count = box->flow_count = 0;
    box->latest = NULL;
    box->dirty = NULL;
}

#endif
