/* Sockets of the plane: how they are watched, and second ones on a port.
 *
 * The kernel looks up a route and a source address for every datagram of an
 * unconnected socket, and reports the address that was reached for every one
 * of a wildcard. So a channel that is busy gets a socket that is connected to
 * its peer, and an address that is reached often a listener of its own. The
 * kernel gives a datagram to the socket that fits best; what is queued
 * elsewhere is still read there, and every datagram is judged by the address
 * that it came from, whichever socket had it. */
#ifndef MOSAIC_SOCKETS_H
#define MOSAIC_SOCKETS_H

#include "state.h"
#include <sys/epoll.h>
#include <sys/resource.h>

#ifdef PLANE_KERNEL
enum { DIRECT_AFTER = 3, LISTENER_AFTER = 5 };
#else
enum {
    DIRECT_AFTER = 128,   /* packets of a channel */
    LISTENER_AFTER = 256, /* datagrams in a row for one address */
};
#endif

enum {
    MAX_OWN_LISTENERS = 16,
    SHARE_OF_DESCRIPTORS = 8, /* of which direct sockets may take one */
};

static u64 tag_of(enum tag tag, u32 generation, u32 index)
{
    return (u64)tag << TAG_SHIFT | (u64)(generation & 0x1FFFFFFF) << 32 | index;
}

/* ONCE: told of when something comes. AGAIN: as long as something is left, for
 * sockets that are read for one datagram (reading.h). */
enum tell { ONCE = EPOLLIN | EPOLLET, AGAIN = EPOLLIN };

static void switch_on(int fd, int level, int option)
{
    const int on = 1;
    setsockopt(fd, level, option, &on, sizeof on);
}

static void want_errors(int fd, bool v6)
{
    switch_on(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR);
}

static void want_traffic_class(int fd, bool v6)
{
    switch_on(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVTCLASS : IP_RECVTOS);
}

#ifdef PLANE_KERNEL
/* A test stands in for the kernel. */
static bool watch(int epoll_fd, int fd, u64 tag, enum tell tell);
static int second_socket(int fd, const struct address *host);
static bool connect_to(int fd, const struct address *peer);
#else
static bool watch(int epoll_fd, int fd, u64 tag, enum tell tell)
{
    struct epoll_event event = {.events = tell, .data.u64 = tag};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void copy_buffer_size(int to, int from)
{
    int size = 0; /* the kernel tells twice what it was asked for */
    socklen_t room = sizeof size;
    getsockopt(from, SOL_SOCKET, SO_RCVBUF, &size, &room);
    size /= 2;
    if (setsockopt(to, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        setsockopt(to, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static void share_port(int fd, int on)
{
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
}

/* Another socket on the port of a bound one, or -1. The port may be shared for
 * this moment only. host: family 0 for the one's own. */
static int second_socket(int fd, const struct address *host)
{
    struct sockaddr_in6 name = {0};
    socklen_t room = sizeof name;
    if (getsockname(fd, (void *)&name, &room) != 0)
        return -1;
    bool v6 = name.sin6_family == AF_INET6;
    int made = socket(name.sin6_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0)
        return -1;
    if (host->family == 6)
        memcpy(&name.sin6_addr, host->ip, 16);
    else if (host->family == 4)
        memcpy(&((struct sockaddr_in *)&name)->sin_addr, host->ip, 4);
    if (v6)
        switch_on(made, IPPROTO_IPV6, IPV6_V6ONLY);
    copy_buffer_size(made, fd);
    share_port(fd, 1);
    share_port(made, 1);
    bool bound = bind(made, (void *)&name, room) == 0;
    share_port(fd, 0);
    share_port(made, 0);
    if (!bound) {
        close(made);
        return -1;
    }
    return made;
}

static bool connect_to(int fd, const struct address *peer)
{
    struct sockaddr_in6 name;
    socklen_t size = to_sockaddr(peer, &name);
    return connect(fd, (void *)&name, size) == 0;
}
#endif

/* ---- Direct sockets ---- */

static void be_busy(plane *p, struct relay *r, enum relay_socket which)
{
    if (r->busy == 0) {
        r->next_busy = p->busy;
        p->busy = r;
    }
    r->busy |= which;
}

static bool has_room_for_direct(const plane *p)
{
    struct rlimit descriptors;
    return getrlimit(RLIMIT_NOFILE, &descriptors) == 0 &&
           p->direct_count < descriptors.rlim_cur / SHARE_OF_DESCRIPTORS;
}

/* Nothing is queued in the outbox for this relay. What cannot be had is asked
 * for again after as many packets. */
static void open_direct(plane *p, struct relay *r, struct channel *c)
{
    static const struct address same;
    bool v6 = c->peer.family == 6;
    c->sent = 0;
    if (r->direct_to != NULL || r->stream || !has_room_for_direct(p))
        return;
    int fd = second_socket(r->socket.fd, &same);
    if (fd < 0)
        return;
    want_errors(fd, v6);
    if (p->preserve_tos)
        want_traffic_class(fd, v6);
    u64 tag = tag_of(TAG_DIRECT, p->slots[r->slot].generation, r->slot);
    if (!connect_to(fd, &c->peer) || !watch(p->epoll_fd, fd, tag, AGAIN)) {
        close(fd);
        return;
    }
    r->direct = (struct udp_socket){
        .fd = fd, .family = r->socket.family, .gso = r->socket.gso};
    r->direct_to = c;
    p->direct_count++;
    be_busy(p, r, DIRECT);
}

/* Nothing is queued in the outbox for it. */
static void close_direct(plane *p, struct relay *r)
{
    if (r->direct_to == NULL)
        return;
    epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, r->direct.fd, NULL);
    close(r->direct.fd);
    r->direct_to = NULL;
    p->direct_count--;
}

/* ---- Listeners ---- */

static struct listener *add_listener_on(plane *p, int fd, const struct address *bound,
                                        bool wildcard)
{
    struct listener *l = calloc(1, sizeof *l);
    if (l == NULL || p->listener_count == MAX_LISTENERS ||
        !watch(p->epoll_fd, fd, tag_of(TAG_LISTENER, 0, p->listener_count), ONCE)) {
        free(l);
        close(fd);
        return NULL;
    }
    l->socket = (struct udp_socket){
        .fd = fd, .family = bound->family, .gso = p->can_gso, .shared = true};
    l->bound = *bound;
    l->wildcard = wildcard;
    if (p->preserve_tos)
        want_traffic_class(fd, bound->family == 6);
    /* It may have had something before we watched. */
    p->listener_busy[p->listener_count] = true;
    p->listeners[p->listener_count++] = l;
    p->ways++;
    return l;
}

/* A listener for the address that this wildcard's datagrams reach. The clients
 * who are known there are answered by it from now on. */
static void open_own_listener(plane *p, struct listener *wildcard)
{
    struct address bound = wildcard->favourite;
    int fd = second_socket(wildcard->socket.fd, &bound);
    if (fd < 0)
        return;
    struct listener *l = add_listener_on(p, fd, &bound, false);
    p->own_listeners++;
    for (u32 at = 0; l != NULL && at < p->slot_count; at++) {
        struct relay *r = p->slots[at].relay;
        if (r != NULL && r->listener == wildcard && same_address(&r->server, &bound))
            r->listener = l;
    }
}

/* Scoped addresses (fe80::/10) stay with the wildcard, who needs no interface. */
static void notice_address(plane *p, struct listener *wildcard,
                           const struct address *server)
{
    if (!same_address(&wildcard->favourite, server)) {
        wildcard->favourite = *server;
        wildcard->streak = 0;
    }
    bool scoped = server->family == 6 && server->ip[0] == 0xFE && server->ip[1] >> 6 == 2;
    if (++wildcard->streak == LISTENER_AFTER && !scoped &&
        p->own_listeners < MAX_OWN_LISTENERS)
        open_own_listener(p, wildcard);
}

#endif
