/* What the reactor asks for: it takes effect in the data thread, in order. */
#ifndef MOSAIC_COMMANDS_H
#define MOSAIC_COMMANDS_H

#include "packets.h"
#include "tcpclients.h"

/* ---- Commands ---- */

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

static void add_local_host(plane *p, const struct address *host)
{
    struct key key = key_of(LOCAL_HOST, 0, 0, host, NULL);
    struct entry *made;
    if (table_find(&p->table, &key) == NULL && (made = calloc(1, sizeof *made)) != NULL)
        table_add(&p->table, made, key, made);
    p->ways++;
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

static void set_limit(plane *p, struct byte_limit *limit, double bytes_per_s)
{
    bool fresh = limit->bytes_per_s <= 0;
    limit->bytes_per_s = bytes_per_s;
    if (fresh) {
        limit->tokens = burst_of(limit);
        limit->stamp = p->now;
    }
}

static void limit_user(plane *p, const struct command *c)
{
    struct user *user = user_by_number(p, c->number);
    if (user == NULL && c->bytes_per_s > 0) {
        if ((user = calloc(1, sizeof *user)) == NULL)
            return;
        p->user_count++;
        table_add(&p->table, &user->by_number,
                  key_of(BY_USER, c->number, 0, NULL, NULL), user);
    }
    if (user != NULL && c->bytes_per_s <= 0) {
        table_remove(&p->table, &user->by_number);
        p->user_count--;
        free(user);
    } else if (user != NULL) {
        set_limit(p, &user->limit, c->bytes_per_s);
    }
}

/* The client's packets find this relay, or its other one beside it. */
static void meet(plane *p, struct relay *r)
{
    struct key key = key_of(BY_CLIENT, r->transport, 0, &r->client, &r->server);
    struct relay *first = table_find(&p->table, &key);
    if (first == NULL) {
        table_add(&p->table, &r->by_client, key, r);
    } else if (first->other == NULL) {
        first->other = r;
        r->other = first;
    }
}

/* They find it no more, only its other one. */
static void part(plane *p, struct relay *r)
{
    struct relay *other = r->other;
    bool was_found = r->by_client.owner != NULL;
    table_remove(&p->table, &r->by_client);
    r->other = NULL;
    if (other != NULL) {
        other->other = NULL;
        if (was_found)
            meet(p, other);
    }
}

static void unwatch(const struct relay *r)
{
    epoll_ctl(r->watched_by, EPOLL_CTL_DEL, r->socket.fd, NULL);
}

/* The thread reads the relay of a UDP client, and of a TCP client that it has;
 * the reactor, who has to write what comes of it, that of another stream's. */
static void watch_relay(plane *p, struct relay *r)
{
    bool here = !r->stream || stream_of(p, r) != NULL;
    r->watched_by = here ? p->epoll_fd : p->reader_fd;
    watch(r->watched_by, r->socket.fd,
          tag_of(TAG_RELAY, p->slots[r->slot].generation, r->slot),
          r->stream ? ONCE : AGAIN);
}

/* Where the client is (RFC 8016 lets it go elsewhere). */
static void be_at(plane *p, struct relay *r, const struct command *c)
{
    r->client = c->first;
    r->server = c->second;
    r->transport = (u16)c->detail;
    r->stream = c->detail != 0;
    r->padded = c->detail & 0x8000;
    r->listener = r->stream ? NULL : listener_for(p, &r->server);
    meet(p, r);
}

static void add_relay(plane *p, const struct command *c)
{
    struct relay *r = calloc(1, sizeof *r);
    if (r == NULL || !take_slot(p, r)) {
        free(r);
        close(c->fd);
        return;
    }
    r->socket = (struct udp_socket){
        .fd = c->fd, .family = c->third.family, .gso = p->can_gso};
    r->number = c->number;
    r->expires_at = c->expires_at;
    r->relayed = c->third;
    r->user = c->user;
    set_limit(p, &r->limit, c->bytes_per_s);
    table_add(&p->table, &r->by_number, key_of(BY_NUMBER, r->number, 0, NULL, NULL), r);
    table_add(&p->table, &r->by_relayed, key_of(BY_RELAYED, 0, 0, &r->relayed, NULL),
              r);
    be_at(p, r, c);
    p->ways++;
    want_errors(c->fd, r->relayed.family == 6);
    if (p->preserve_tos)
        want_traffic_class(c->fd, r->relayed.family == 6);
    watch_relay(p, r);
}

/* A client has been lent, or given back: its relays are read where it is. */
static void watch_relays_of(plane *p, const struct address *client,
                            const struct address *server, unsigned transport)
{
    struct key key = key_of(BY_CLIENT, transport, 0, client, server);
    struct relay *r = table_find(&p->table, &key);
    struct relay *both[2] = {r, r != NULL ? r->other : NULL};
    for (int at = 0; at < 2; at++)
        if (both[at] != NULL) {
            unwatch(both[at]);
            watch_relay(p, both[at]);
        }
}

static void adopt(plane *p, struct command *c)
{
    struct stream *s = add_stream(p, c);
    if (s == NULL)
        return;
    watch_relays_of(p, &s->client, &s->server, s->transport);
    if (c->size > 0 && c->size <= STREAM_IN) {
        memcpy(p->stream_in, c->data, c->size);
        take_in(p, s, c->size);
    }
}

static void leave(plane *p, struct stream *s)
{
    struct address client = s->client, server = s->server;
    unsigned transport = s->transport;
    drop_stream(p, s);
    watch_relays_of(p, &client, &server, transport);
}

static void drop_channel(plane *p, struct relay *r, struct channel *c)
{
    struct channel **at = &r->channels;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    if (r->direct_to == c)
        close_direct(p, r);
    if (r->latest == c)
        r->latest = NULL;
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
    part(p, r);
    p->ways++;
    /* Out of epoll first: the number may be another socket's at once. */
    unwatch(r);
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
}

/* Open what the core has granted, and say so to the clients. */
static void admit(plane *p, struct command *c)
{
    for (u32 at = 0; at < c->size; at += sizeof(struct grant)) {
        struct grant g;
        memcpy(&g, c->data + at, sizeof g);
        g.relayed.port = (u16)g.port;
        struct command open = {.kind = OPEN,
                               .fd = g.fd,
                               .number = g.relay,
                               .expires_at = g.expires_at,
                               .first = g.client,
                               .second = g.server,
                               .third = g.relayed,
                               .bytes_per_s = g.bytes_per_s,
                               .user = g.user};
        struct listener *l = listener_for(p, &g.server);
        add_relay(p, &open);
        if (l == NULL) {
            count(p, TO_CLIENTS_FAILED, 1);
            continue;
        }
        if (outbox_is_full(&p->outbox))
            flush(p);
        u8 *out = p->answer[p->outbox.packet_count];
        queue_to_client(p, l, &g.client, &g.server, out, put_allocated(out, &g));
    }
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
    else if (c->kind == LIMIT)
        set_limit(p, &r->limit, c->bytes_per_s);
    else if (c->kind == MOVE) {
        part(p, r);
        close_direct(p, r);
        unwatch(r);
        be_at(p, r, c);
        watch_relay(p, r);
    } else if (c->kind == PERMIT)
        permit(p, r, c);
    else if (c->kind == BIND)
        bind_channel(p, r, c);
    else
        drop_relay(p, r);
}

static void run_for_stream(plane *p, struct command *c)
{
    struct stream *s = stream_by_number(p, c->number);
    if (s == NULL)
        count(p, TO_CLIENTS_FAILED, c->kind == SEND_STREAM);
    else if (c->kind == LEAVE)
        leave(p, s);
    else
        stream_queue(p, s, c->data, c->size);
}

/* False: it cannot be done yet. */
static bool run_command(plane *p, struct command *c)
{
    switch (c->kind) {
    case LISTEN:
        add_listener_on(p, c->fd, &c->first, c->detail);
        return true;
    case LOCAL:
        add_local_host(p, &c->first);
        return true;
    case OPEN:
        add_relay(p, c);
        return true;
    case ADMIT:
        admit(p, c);
        return true;
    case SEND:
        send_answer(p, c);
        return true;
    case LIMIT_USER:
        limit_user(p, c);
        return true;
    case ADOPT:
        adopt(p, c);
        return true;
    case LEAVE:
    case SEND_STREAM:
        run_for_stream(p, c);
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
    struct command **end = waiting, *done = NULL;
    while (*end != NULL)
        end = &(*end)->next;
    *end = take_commands(p);
    while (*waiting != NULL && run_command(p, *waiting)) {
        struct command *c = *waiting;
        *waiting = c->next;
        c->next = done;
        done = c;
    }
    /* Answers are sent from their commands' memory. */
    flush(p);
    for (struct command *next; done != NULL; done = next) {
        next = done->next;
        free(done);
    }
}

#endif
