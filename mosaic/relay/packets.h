/* The way of a packet: from a client to its peer, from a peer to its client,
 * or straight from one client to another. RFC 8656 sections 9, 11 and 12. */
#ifndef MOSAIC_PACKETS_H
#define MOSAIC_PACKETS_H

#include "sockets.h"

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
    outbox_add(&p->outbox, socket, to, from, data, size, p->tos);
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

/* ---- Bandwidth ---- */

/* A second's worth at once, and at least the largest datagram. */
static double burst_of(const struct byte_limit *limit)
{
    return limit->bytes_per_s > 65536 ? limit->bytes_per_s : 65536;
}

static bool limit_has(plane *p, struct byte_limit *limit, u32 size)
{
    double burst = burst_of(limit);
    if (limit->bytes_per_s <= 0)
        return true;
    if (p->now > limit->stamp) {
        limit->tokens += (double)(p->now - limit->stamp) / 1e9 * limit->bytes_per_s;
        limit->stamp = p->now;
    }
    if (limit->tokens > burst)
        limit->tokens = burst;
    return limit->tokens >= size;
}

static struct user *user_by_number(plane *p, u64 number)
{
    struct key key = key_of(BY_USER, number, 0, NULL, NULL);
    return p->user_count == 0 || number == 0 ? NULL : table_find(&p->table, &key);
}

/* Count a packet against both limits of an allocation, or against none. */
static bool is_too_fast(plane *p, struct relay *r, u32 size)
{
    struct user *user = user_by_number(p, r->user);
    if (!limit_has(p, &r->limit, size) ||
        (user != NULL && !limit_has(p, &user->limit, size))) {
        count(p, OVER_LIMIT, 1);
        return true;
    }
    r->limit.tokens -= size;
    if (user != NULL)
        user->limit.tokens -= size;
    return false;
}

/* ---- Towards the client ---- */

/* tcpclients.h */
static struct stream *stream_of(plane *p, const struct relay *r);
static void stream_queue(plane *p, struct stream *s, const u8 *data, u32 size);


/* ChannelData where the peer has a channel (RFC 8656 section 12.7), else a
 * Data indication (11.3). The head goes into the bytes before the payload; a
 * TCP or TLS client's frame is padded with zeros. */
static void to_client(plane *p, struct relay *r, const struct channel *c,
                      const struct address *peer, u8 *payload, u32 size)
{
    u32 head = CHANNEL_HEADER, total;
    if (c != NULL) {
        put16(payload - 4, c->number);
        put16(payload - 2, size);
        total = CHANNEL_HEADER + (r->padded ? padded(size) : size);
        if (r->padded)
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
    struct stream *s = r->stream ? stream_of(p, r) : NULL;
    if (s != NULL) {
        stream_queue(p, s, payload - head, total);
    } else if (r->stream) {
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

/* Most relays have one channel: the one of the packet before. */
static struct channel *channel_of(plane *p, struct relay *r, const struct address *peer)
{
    if (r->latest != NULL && same_address(&r->latest->peer, peer))
        return r->latest;
    struct key key = key_of(BY_PEER, r->number, 0, peer, NULL);
    struct channel *found = table_find(&p->table, &key);
    return found == NULL ? NULL : (r->latest = found);
}

static struct channel *channel_numbered(plane *p, struct relay *r, u16 number)
{
    if (r->latest != NULL && r->latest->number == number)
        return r->latest;
    struct key key = key_of(BY_CHANNEL, r->number, number, NULL, NULL);
    struct channel *found = table_find(&p->table, &key);
    return found == NULL ? NULL : (r->latest = found);
}

/* A datagram for the relayed address. own: from another of our relayed
 * addresses; without it a permission for our own host does not count. */
static bool from_peer(plane *p, struct relay *r, const struct address *peer,
                      u8 *payload, u32 size, bool own)
{
    struct channel *c = channel_of(p, r, peer);
    struct permission *allowed =
        c != NULL ? c->permission : permission_for(p, r, peer);
    if (allowed == NULL || allowed->expires_at <= p->now || r->expires_at <= p->now ||
        (allowed->own_only && !own)) {
        count(p, FROM_PEERS_NO_ROUTE, 1);
        return false;
    }
    if (is_too_fast(p, r, size))
        return false;
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
    /* DF whatever we know of the path: the client is told what comes back. */
    int held = 0, strict = v6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE;
    socklen_t room = sizeof held;
    flush(p);
    getsockopt(r->socket.fd, level, option, &held, &room);
    setsockopt(r->socket.fd, level, option, &strict, sizeof strict);
    queue(p, &r->socket, peer, &NOWHERE, payload, size);
    flush(p);
    setsockopt(r->socket.fd, level, option, &held, sizeof held);
}

static struct relay *relay_at(plane *p, const struct address *peer)
{
    struct key key = key_of(BY_RELAYED, 0, 0, peer, NULL);
    return table_find(&p->table, &key);
}

/* Both ends are clients here: straight across, by the other's rules. */
static void hairpin(plane *p, struct relay *r, struct relay *other, u8 *payload,
                    u32 size)
{
    if (from_peer(p, other, &r->relayed, payload, size, true))
        count(p, HAIRPINS, 1);
}

static bool may_leave(plane *p, struct relay *r, u32 size)
{
    if (is_too_fast(p, r, size))
        return false;
    count(p, FROM_CLIENTS, 1);
    count(p, FROM_CLIENTS_BYTES, size);
    return true;
}

static bool is_reachable(plane *p, const struct relay *r, const struct address *peer,
                         bool refused)
{
    if (refused)
        count(p, TO_PEERS_REFUSED, 1);
    else if (peer->family != r->relayed.family || peer->port == 0)
        count(p, TO_PEERS_FAILED, 1);
    else
        return true;
    return false;
}

static void by_permission(plane *p, struct relay *r, const struct address *peer,
                          u8 *payload, u32 size, bool own_only, bool dont_fragment)
{
    struct relay *other = relay_at(p, peer);
    if (!may_leave(p, r, size))
        return;
    if (other != NULL)
        hairpin(p, r, other, payload, size);
    else if (!is_reachable(p, r, peer, own_only || is_own_listener(p, peer)))
        return;
    else if (dont_fragment)
        send_unfragmented(p, r, peer, payload, size);
    else
        queue(p, &r->socket, peer, &NOWHERE, payload, size);
}

/* The same, with what is remembered of the way there. */
static void by_channel(plane *p, struct relay *r, struct channel *c, u8 *payload,
                       u32 size)
{
    if (c->way_at != p->ways) {
        c->way_at = p->ways;
        c->other = relay_at(p, &c->peer);
        c->is_ours = is_own_listener(p, &c->peer);
    }
    if (!may_leave(p, r, size))
        return;
    if (c->other != NULL) {
        hairpin(p, r, c->other, payload, size);
    } else if (is_reachable(p, r, &c->peer, c->permission->own_only || c->is_ours)) {
        if (r->direct_to != c && ++c->sent > DIRECT_AFTER) {
            flush(p); /* what came before leaves before */
            open_direct(p, r, c);
        }
        if (r->direct_to == c)
            queue(p, &r->direct, &NOWHERE, &NOWHERE, payload, size);
        else
            queue(p, &r->socket, &c->peer, &NOWHERE, payload, size);
    }
}

/* RFC 8656 section 12.6. The header's length counts; what follows it over UDP
 * is padding. Channels above 0x4FFF are never bound. */
static bool from_channel(plane *p, struct relay *r, u8 *data, u32 size)
{
    u32 length = get16(data + 2);
    if (length > size - CHANNEL_HEADER)
        return false;
    struct channel *c = channel_numbered(p, r, (u16)get16(data));
    if (c == NULL || c->expires_at <= p->now)
        return false;
    by_channel(p, r, c, data + CHANNEL_HEADER, length);
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
    by_permission(p, r, &sent.peer, data + (sent.payload - data), sent.size,
                  allowed->own_only, sent.dont_fragment);
    return true;
}

static bool from_client_by(plane *p, struct relay *r, u8 *data, u32 size)
{
    if (r->expires_at <= p->now)
        return false;
    return data[0] >= 0x40 ? from_channel(p, r, data, size)
                           : from_indication(p, r, data, size);
}

/* ChannelData or a Send indication of at least 4 bytes. A client with relays of
 * both families sends by the one that has the channel or the permission. */
static void from_client(plane *p, struct relay *r, u8 *data, u32 size)
{
    bool passed = r != NULL && from_client_by(p, r, data, size);
    if (!passed && r != NULL && r->other != NULL)
        passed = from_client_by(p, r->other, data, size);
    if (!passed)
        count(p, FROM_CLIENTS_NO_ROUTE, 1);
}

#endif
