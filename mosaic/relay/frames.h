/* What leaves for TCP and TLS clients whose connection the data thread has
 * (tcpclients.h). It waits in a queue that is bounded in bytes and in age; past that
 * whole frames are dropped, oldest first, but never one that has begun to leave
 * (RFC 8656 section 12.5: there is no way to find the next message). */
#ifndef MOSAIC_FRAMES_H
#define MOSAIC_FRAMES_H

#include "state.h"
#include <netinet/tcp.h>
#include <sys/epoll.h>

#ifdef PLANE_KERNEL
static ssize_t stream_takes(int fd, const struct msghdr *h);
#else
static ssize_t stream_takes(int fd, const struct msghdr *h)
{
    return sendmsg(fd, h, MSG_DONTWAIT | MSG_NOSIGNAL);
}
#endif

/* SSL_get_error(3) */
enum { TLS_WANTS_READ = 2, TLS_WANTS_WRITE = 3 };

static struct stream *stream_by_number(plane *p, u64 number)
{
    struct key key = key_of(BY_STREAM_NUMBER, number, 0, NULL, NULL);
    return p->stream_count == 0 ? NULL : table_find(&p->table, &key);
}

static struct stream *stream_of(plane *p, const struct relay *r)
{
    struct key key = key_of(BY_STREAM, r->transport, 0, &r->client, &r->server);
    return p->stream_count == 0 || !r->stream ? NULL : table_find(&p->table, &key);
}

static void stream_wants(plane *p, const struct stream *s)
{
    bool writes = s->reads_after_write || (s->blocked && !s->writes_after_read);
    struct epoll_event event = {
        .events = (s->stalled ? 0 : EPOLLIN) | (writes ? EPOLLOUT : 0),
        .data.u64 = (u64)TAG_STREAM << TAG_SHIFT | s->number};
    epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, s->fd, &event);
}

/* ---- What leaves ---- */

/* The last frame that has begun to leave, which is finished first; NULL: none. */
static struct frame *last_begun(const struct stream *s)
{
    struct frame *found = NULL;
    i64 begun = (i64)s->sent + s->pending;
    for (struct frame *f = s->first; f != NULL && begun > 0; f = f->next) {
        begun -= f->size;
        found = f;
    }
    return found;
}

static struct frame *first_whole(const struct stream *s)
{
    struct frame *begun = last_begun(s);
    return begun != NULL ? begun->next : s->first;
}

/* The first that has not: there is one. */
static void drop_frame(plane *p, struct stream *s)
{
    struct frame *begun = last_begun(s);
    struct frame **at = begun != NULL ? &begun->next : &s->first;
    struct frame *gone = *at;
    *at = gone->next;
    if (s->last == gone)
        s->last = begun;
    s->queued -= gone->size;
    free(gone);
    count(p, STREAM_FRAMES_DROPPED, 1);
}

static void drop_old_frames(plane *p, struct stream *s)
{
    struct frame *oldest;
    while ((oldest = first_whole(s)) != NULL && p->now - oldest->since > s->queue_ns)
        drop_frame(p, s);
}

static void be_dirty(plane *p, struct stream *s)
{
    if (!s->dirty) {
        s->dirty = true;
        s->next_dirty = p->dirty_streams;
        p->dirty_streams = s;
    }
}

/* One whole frame; it leaves with the others of this turn. */
static void stream_queue(plane *p, struct stream *s, const u8 *data, u32 size)
{
    struct frame *made = s->gone ? NULL : malloc(sizeof *made + size);
    if (made == NULL) {
        count(p, STREAM_FRAMES_DROPPED, 1);
        return;
    }
    made->next = NULL;
    made->since = p->now;
    made->size = size;
    memcpy(made->data, data, size);
    if (s->last != NULL)
        s->last->next = made;
    else
        s->first = made;
    s->last = made;
    s->queued += size;
    while (s->queued > s->queue_bytes && first_whole(s) != made)
        drop_frame(p, s);
    be_dirty(p, s);
}

/* So many bytes have left. */
static void stream_sent(struct stream *s, size_t size)
{
    while (size > 0) {
        struct frame *f = s->first;
        size_t left = f->size - s->sent;
        if (size < left) {
            s->sent += (u32)size;
            return;
        }
        size -= left;
        s->sent = 0;
        s->queued -= f->size;
        s->first = f->next;
        if (s->first == NULL)
            s->last = NULL;
        free(f);
    }
}

static void stream_gone(plane *p, struct stream *s, bool broken);

/* Some frames, over TCP; whether all of them have left. */
static bool write_frames(plane *p, struct stream *s)
{
    struct iovec pieces[STREAM_PIECES];
    struct msghdr h = {.msg_iov = pieces};
    u32 skip = s->sent;
    size_t total = 0;
    for (struct frame *f = s->first; f != NULL && h.msg_iovlen < STREAM_PIECES;
         f = f->next, skip = 0) {
        pieces[h.msg_iovlen].iov_base = f->data + skip;
        pieces[h.msg_iovlen++].iov_len = f->size - skip;
        total += f->size - skip;
    }
    ssize_t sent = stream_takes(s->fd, &h);
    if (sent >= 0)
        stream_sent(s, (size_t)sent);
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        stream_gone(p, s, false);
    return sent == (ssize_t)total;
}

/* What the next record holds: what OpenSSL has begun with, once more; or whole
 * frames up to TLS_JOINED; or of a longer one as much as there is room for. */
static u32 fill_record(plane *p, const struct stream *s)
{
    u32 used = 0, skip = s->sent;
    for (struct frame *f = s->first; f != NULL; f = f->next, skip = 0) {
        u32 size = f->size - skip;
        if (s->pending > 0) {
            if (used == s->pending)
                break;
            if (size > s->pending - used)
                size = s->pending - used;
        } else if (used > 0 && used + size > TLS_JOINED) {
            break;
        } else if (size > TLS_RECORD) {
            size = TLS_RECORD;
        }
        memcpy(p->record + used, f->data + skip, size);
        used += size;
    }
    return used;
}

/* The frames of one record; whether they have left. */
static bool write_record(plane *p, struct stream *s)
{
    u32 size = fill_record(p, s);
    p->tls.forget();
    int sent = p->tls.write(s->tls, p->record, (int)size);
    if (sent > 0) {
        s->pending = 0;
        stream_sent(s, (size_t)sent);
        return true;
    }
    int why = p->tls.why(s->tls, sent);
    if (why != TLS_WANTS_WRITE && why != TLS_WANTS_READ) {
        stream_gone(p, s, false);
        return false;
    }
    s->pending = size;
    s->writes_after_read = why == TLS_WANTS_READ;
    return false;
}

static void write_stream(plane *p, struct stream *s)
{
    if (s->blocked)
        drop_old_frames(p, s);
    while (!s->blocked && !s->gone && s->first != NULL) {
        bool all = s->tls != NULL ? write_record(p, s) : write_frames(p, s);
        if (!all && !s->gone) {
            s->blocked = true;
            stream_wants(p, s);
        }
    }
}

static void flush_streams(plane *p)
{
    struct stream *s = p->dirty_streams, *next;
    p->dirty_streams = NULL;
    for (; s != NULL; s = next) {
        next = s->next_dirty;
        s->dirty = false;
        write_stream(p, s);
    }
}

#endif
