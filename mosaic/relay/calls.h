/* What Python calls to have something done: a command each, or at once what
 * cannot wait (plane_api.h says what they are). Part of plane.c. */
#ifndef MOSAIC_CALLS_H
#define MOSAIC_CALLS_H

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
               const unsigned char *server, const unsigned char *relayed, int transport,
               int64_t expires_at, double bytes_per_s, uint64_t user)
{
    struct command *c = new_command(OPEN, relay, 0);
    if (c == NULL)
        return -1;
    c->fd = fd;
    c->first = address_at(client);
    c->second = address_at(server);
    c->third = address_at(relayed);
    c->detail = (unsigned)transport & 0xFFFF;
    c->expires_at = expires_at;
    c->bytes_per_s = bytes_per_s;
    c->user = user;
    return submit(p, c);
}

uint64_t plane_know(plane *p, uint64_t number, const unsigned char *name, int size,
                    const unsigned char *key)
{
    u64 before = 0;
    if (size < 1 || size > MAX_USERNAME)
        return number;
    pthread_mutex_lock(&p->turn);
    struct pass *held = pass_of(p, name, (u32)size);
    before = held->number;
    held->number = number;
    held->key = hmac_begin(key, LONG_TERM_KEY);
    held->size = (u32)size;
    memcpy(held->name, name, (size_t)size);
    pthread_mutex_unlock(&p->turn);
    return before;
}

int plane_admit(plane *p, const unsigned char *grants, int size)
{
    struct command *c = new_command(ADMIT, 0, (u32)size);
    if (c == NULL)
        return -1;
    memcpy(c->data, grants, (size_t)size);
    push(p, c, c);
    if (pthread_mutex_trylock(&p->turn) != 0) {
        plane_wake(p);
        return 0;
    }
    p->now = clock_ns(p);
    run_commands(p, &p->waiting);
    flush_streams(p);
    if (p->has_spoken)
        tell_reactor(p);
    pthread_mutex_unlock(&p->turn);
    return 0;
}

int plane_move(plane *p, uint64_t relay, const unsigned char *client,
               const unsigned char *server, int transport)
{
    struct command *c = new_command(MOVE, relay, 0);
    if (c == NULL)
        return -1;
    c->first = address_at(client);
    c->second = address_at(server);
    c->detail = (unsigned)transport & 0xFFFF;
    return submit(p, c);
}

int plane_limit(plane *p, uint64_t relay, double bytes_per_s)
{
    struct command *c = new_command(LIMIT, relay, 0);
    if (c == NULL)
        return -1;
    c->bytes_per_s = bytes_per_s;
    return submit(p, c);
}

int plane_limit_user(plane *p, uint64_t user, double bytes_per_s)
{
    struct command *c = new_command(LIMIT_USER, user, 0);
    if (c == NULL)
        return -1;
    c->bytes_per_s = bytes_per_s;
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

void plane_tls(plane *p, uintptr_t read, uintptr_t write, uintptr_t why,
               uintptr_t forget)
{
    pthread_mutex_lock(&p->turn);
    p->tls = (struct tls_calls){(int (*)(void *, void *, int))read,
                                (int (*)(void *, const void *, int))write,
                                (int (*)(const void *, int))why,
                                (void (*)(void))forget};
    pthread_mutex_unlock(&p->turn);
}

int plane_adopt(plane *p, uint64_t stream, int fd, const unsigned char *client,
                const unsigned char *server, int transport, void *tls,
                const unsigned char *data, int size, int queue_bytes, int64_t queue_ns)
{
    struct command *c = new_command(ADOPT, stream, (u32)size);
    if (c == NULL)
        return -1;
    c->fd = fd;
    c->first = address_at(client);
    c->second = address_at(server);
    c->detail = (unsigned)transport & 0xFFFF;
    c->tls = tls;
    c->user = (u64)queue_bytes;
    c->expires_at = queue_ns;
    memcpy(c->data, data, (size_t)size);
    return submit(p, c);
}

int plane_leave(plane *p, uint64_t stream)
{
    struct command *c = new_command(LEAVE, stream, 0);
    return c == NULL ? -1 : submit(p, c);
}

int plane_send_stream(plane *p, uint64_t stream, const unsigned char *data, int size)
{
    struct command *c = new_command(SEND_STREAM, stream, (u32)size);
    if (c == NULL)
        return -1;
    memcpy(c->data, data, (size_t)size);
    return submit(p, c);
}

/* Everything that was asked before is done first: what was to be sent is sent,
 * or is among what is given back. */
int plane_give_back(plane *p, uint64_t stream, unsigned char *unread,
                    int unread_room, unsigned char *unsent, int unsent_room,
                    int *unsent_size)
{
    int size = -1;
    *unsent_size = 0;
    pthread_mutex_lock(&p->turn);
    p->now = clock_ns(p);
    run_commands(p, &p->waiting);
    flush_streams(p);
    struct stream *s = stream_by_number(p, stream);
    if (s != NULL && !s->gone && s->partial_size <= (u32)unread_room &&
        s->queued <= (u32)unsent_room) {
        size = (int)s->partial_size;
        if (size > 0)
            memcpy(unread, s->partial, (size_t)size);
        u32 skip = s->sent;
        for (struct frame *f = s->first; f != NULL; f = f->next, skip = 0) {
            memcpy(unsent + *unsent_size, f->data + skip, f->size - skip);
            *unsent_size += (int)(f->size - skip);
        }
    }
    if (s != NULL)
        leave(p, s);
    if (p->has_spoken)
        tell_reactor(p);
    pthread_mutex_unlock(&p->turn);
    return size;
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

int plane_stream_run(plane *p, uint64_t relay, const unsigned char *data, int size,
                     int *dropped)
{
    u32 at = 0, found, total;
    while ((found = data_message(data + at, (u32)size - at, &total)) > 0) {
        *dropped += plane_stream(p, relay, data + at, (int)found) != 0;
        at += total;
    }
    if (at > 0)
        send_streams(p);
    return (int)at;
}

#endif
