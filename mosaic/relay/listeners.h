/* What comes to our front doors: data goes its way, strangers are answered, known
 * clients are made out, and the rest is the reactor's. */
#ifndef MOSAIC_LISTENERS_H
#define MOSAIC_LISTENERS_H

#include "packets.h"

/* An Allocate whose signature holds, for the core to judge. */
static void hand_over_known(plane *p, u64 pass, const struct address *client,
                            const struct address *server, const u8 *data, u32 size,
                            const struct plain_allocate *asked)
{
    struct record *made = ring_reserve(&p->controls, size);
    if (made == NULL) {
        count(p, CONTROLS_DROPPED, 1);
        return;
    }
    made->kind = RECORD_KNOWN;
    made->number = pass;
    made->client = *client;
    made->server = *server;
    made->unused = asked->lifetime | (asked->fingerprint ? WITH_FINGERPRINT : 0);
    memcpy((u8 *)(made + 1), data, size);
    ring_commit(&p->controls, made);
    p->has_spoken = true;
}

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
    p->tos = 0;
    if (outbox_is_full(&p->outbox))
        flush(p);
    u8 *out = p->answer[p->outbox.packet_count];
    u32 size = put_binding_answer(out, data + 8, client, fingerprint);
    count(p, BINDINGS, 1);
    queue_to_client(p, l, client, server, out, size);
}

/* 401 for a stranger: no longer than twice the request, and within the budget
 * of its prefix (wire/turn/server.py does the same for what comes to it). */
static void challenge(plane *p, struct listener *l, const u8 *data, u32 request_size,
                      const struct address *client, const struct address *server,
                      bool fingerprint)
{
    const struct terms *t = &p->terms;
    u32 room = 2 * request_size;
    bool offer = offer_size(t) + (fingerprint ? 8 : 0) <= room;
    p->tos = 0;
    if (outbox_is_full(&p->outbox))
        flush(p);
    u8 *out = p->answer[p->outbox.packet_count];
    u32 size = put_challenge(out, t, p->now + t->ahead, data, client, offer,
                             fingerprint);
    count(p, CHALLENGES, 1);
    if (size > room)
        count(p, CHALLENGES_TOO_SHORT, 1);
    else if (!budget_allows(p, client))
        count(p, CHALLENGES_OVER_BUDGET, 1);
    else
        queue_to_client(p, l, client, server, out, size);
}

static struct pass *pass_of(plane *p, const u8 *name, u32 size)
{
    return &p->passes[hash_bytes(name, size, p->table.seed) >> 16 & (PASSES - 1)];
}

/* Who asks for a relay and nothing else, if it is one of those we know. */
static u64 known_asks(plane *p, const u8 *data, u32 size, const struct address *client,
                      struct plain_allocate *asked)
{
    const struct terms *t = &p->terms;
    if (t->realm_size == 0 || !get_plain_allocate(data, size, t, asked))
        return 0;
    const struct pass *held = pass_of(p, asked->name, asked->name_size);
    return is_new_nonce(t, asked, client, p->now + t->ahead)
               ? who_signed(held, data, asked)
               : 0;
}

/* One datagram of a client (RFC 7983 for the first byte). */
static void from_listener(plane *p, struct listener *l, u8 *data, u32 size,
                          const struct address *client, const struct address *server)
{
    bool fingerprint;
    struct plain_allocate asked;
    u64 pass;
    if (size < CHANNEL_HEADER || data[0] >= 0x80 || client->family == 0) {
        count(p, NOT_STUN, 1);
    } else if (data[0] >= 0x40 || get16(data) == SEND_INDICATION) {
        struct key key = key_of(BY_CLIENT, 0, 0, client, server);
        from_client(p, table_find(&p->table, &key), data, size);
    } else if (data[0] < 20 && !stun_is_whole(data, size)) {
        count(p, NOT_STUN, 1);
    } else if (p->answer_bindings && is_plain_binding(data, size, &fingerprint)) {
        answer_binding(p, l, data, client, server, fingerprint);
    } else if (p->terms.realm_size > 0 && is_challenged(data, size, &fingerprint)) {
        challenge(p, l, data, size, client, server, fingerprint);
    } else if ((pass = known_asks(p, data, size, client, &asked)) != 0) {
        hand_over_known(p, pass, client, server, data, size, &asked);
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

#endif
