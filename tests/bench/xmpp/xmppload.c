/* xmppload: a load generator for an XMPP server on loopback (direct TLS, SCRAM-SHA-256).
 *
 *   xmppload -p PORT -P PID[,PID..] [options] login|route|single|muc|idle
 *
 * login   logins with TLS, SCRAM and resource binding, 8 at a time
 * route   chat messages between two users, a write for each batch
 * single  the same, one in flight
 * muc     101 users join a room, one writes, then changes its presence
 * idle    sessions that do nothing: memory of each
 *
 * One JSON line a result. Sessions switch on acknowledgements (XEP-0198) and carbons
 * (XEP-0280) where the server offers them, and answer each request for an
 * acknowledgement. The accounts u0, u1, ... must exist with the password pw. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "procstat.h"

#define BODY "The quick brown fox jumps over the lazy dog and then some more text follows here " \
             "to make a line of chat."
#define SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define SM "urn:xmpp:sm:3"
#define OCCUPANTS 101

enum state { HANDSHAKE, FEATURES, CHALLENGE, SUCCESS, FEATURES2, BINDING, READY, CLOSED };
enum scan { TEXT, OPEN, NAME, INSIDE, QUOTED, CLOSING, SKIP };

struct session {
    int fd, number, depth;
    SSL *ssl;
    enum state state;
    enum scan scan;
    char quote, last;
    bool acks, want_write;
    uint32_t handled; /* stanzas since acknowledgements began */
    uint64_t messages, presences, iqs, errors;
    char *in, *out;
    size_t in_len, in_room, scanned, begin, out_len, out_room;
    char jid[256], nonce[48], first[512];
    const char *awaits; /* text that an element has to hold ... */
    bool heard;         /* ... and whether one did */
};

static const char *host = "127.0.0.1", *domain = "localhost", *muc = "rooms.localhost";
static const char *user = "u", *password = "pw";
static int port = 5223, core = -1, count, batch = 50, window = 1;
static double seconds = 2;
static bool plain;
static int epoll_fd;
static SSL_CTX *ctx;
static int ready; /* sessions that reached READY */

static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static void grow(char **p, size_t *room, size_t need)
{
    if (need <= *room)
        return;
    *room = need < 4096 ? 4096 : need * 2;
    if (!(*p = realloc(*p, *room)))
        fail("no memory");
}

/* --- bytes out ------------------------------------------------------------------------- */

static void flush(struct session *s)
{
    size_t done = 0;
    bool blocked = false;
    while (done < s->out_len) {
        int n = SSL_write(s->ssl, s->out + done, (int)(s->out_len - done));
        if (n <= 0) {
            int why = SSL_get_error(s->ssl, n);
            if (why != SSL_ERROR_WANT_WRITE && why != SSL_ERROR_WANT_READ)
                fail("u%d: cannot write", s->number);
            blocked = true;
            break;
        }
        done += (size_t)n;
    }
    memmove(s->out, s->out + done, s->out_len - done);
    s->out_len -= done;
    if (blocked != s->want_write) {
        struct epoll_event e = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.ptr = s};
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &e);
        s->want_write = blocked;
    }
}

static void queue(struct session *s, const char *data, size_t n)
{
    grow(&s->out, &s->out_room, s->out_len + n);
    memcpy(s->out + s->out_len, data, n);
    s->out_len += n;
}

static void say(struct session *s, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    queue(s, text, (size_t)n);
    flush(s);
}

/* --- login ----------------------------------------------------------------------------- */

static void open_stream(struct session *s)
{
    s->depth = 0;
    say(s, "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' "
           "xmlns:stream='http://etherx.jabber.org/streams'>", domain);
}

static void base64(char *to, const void *data, size_t n)
{
    EVP_EncodeBlock((unsigned char *)to, data, (int)n);
}

static void hmac(const void *key, size_t n, const char *text, unsigned char *to)
{
    HMAC(EVP_sha256(), key, (int)n, (const unsigned char *)text, strlen(text), to, NULL);
}

/* The salted password; PBKDF2 once for each salt. */
static const unsigned char *salted(const char *salt64, int rounds)
{
    static struct { char salt[128]; int rounds; unsigned char key[32]; } known[16];
    static int used;
    unsigned char salt[128];
    for (int i = 0; i < used; i++)
        if (known[i].rounds == rounds && !strcmp(known[i].salt, salt64))
            return known[i].key;
    int at = used < 16 ? used++ : 15;
    int n = EVP_DecodeBlock(salt, (const unsigned char *)salt64, (int)strlen(salt64));
    for (const char *p = strchr(salt64, '='); p && *p == '='; p++)
        n--;
    snprintf(known[at].salt, sizeof known[at].salt, "%s", salt64);
    known[at].rounds = rounds;
    PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, n, rounds, EVP_sha256(), 32,
                      known[at].key);
    return known[at].key;
}

static void begin_login(struct session *s)
{
    unsigned char random[15];
    char message[256], text[512];
    RAND_bytes(random, sizeof random);
    base64(s->nonce, random, sizeof random);
    snprintf(s->first, sizeof s->first, "n=%s%d,r=%s", user, s->number, s->nonce);
    int n = snprintf(message, sizeof message, "n,,%s", s->first);
    base64(text, message, (size_t)n);
    say(s, "<auth xmlns='" SASL "' mechanism='SCRAM-SHA-256'>%s</auth>", text);
    s->state = CHALLENGE;
}

static void answer_challenge(struct session *s, const char *text, size_t n)
{
    char challenge[1024], bare[512], message[2048], salt[128], out[512];
    unsigned char client[32], stored[32], signature[32];
    int rounds;
    if (n % 4 || n > 1200)
        fail("odd challenge");
    int got = EVP_DecodeBlock((unsigned char *)challenge, (const unsigned char *)text, (int)n);
    challenge[got] = 0;
    while (got && (unsigned char)challenge[got - 1] < ' ')
        challenge[--got] = 0;
    char nonce[256];
    if (sscanf(challenge, "r=%255[^,],s=%127[^,],i=%d", nonce, salt, &rounds) != 3)
        fail("challenge without r, s, i: %s", challenge);
    const unsigned char *key = salted(salt, rounds);
    hmac(key, 32, "Client Key", client);
    EVP_Digest(client, 32, stored, NULL, EVP_sha256(), NULL);
    snprintf(bare, sizeof bare, "c=biws,r=%s", nonce);
    snprintf(message, sizeof message, "%s,%s,%s", s->first, challenge, bare);
    hmac(stored, 32, message, signature);
    for (int i = 0; i < 32; i++)
        client[i] ^= signature[i];
    base64(out, client, 32);
    int len = snprintf(message, sizeof message, "%s,p=%s", bare, out);
    char encoded[4096];
    base64(encoded, message, (size_t)len);
    say(s, "<response xmlns='" SASL "'>%s</response>", encoded);
    s->state = SUCCESS;
}

static const char *find(const char *p, size_t n, const char *what)
{
    return memmem(p, n, what, strlen(what));
}

static void become_ready(struct session *s)
{
    s->state = READY;
    ready++;
}

/* An element while the session logs in. */
static void negotiate(struct session *s, const char *p, size_t n)
{
    if (find(p, n, "<failure"))
        fail("u%d: login refused", s->number);
    switch (s->state) {
    case FEATURES:
        if (!find(p, n, ">SCRAM-SHA-256<"))
            fail("SCRAM-SHA-256 is not offered: %.*s", (int)n, p);
        begin_login(s);
        break;
    case CHALLENGE: {
        const char *from = memchr(p, '>', n);
        const char *to = from ? memchr(from, '<', n - (size_t)(from - p)) : NULL;
        if (!to)
            fail("no challenge: %.*s", (int)n, p);
        answer_challenge(s, from + 1, (size_t)(to - from - 1));
        break;
    }
    case SUCCESS:
        s->state = FEATURES2;
        open_stream(s);
        break;
    case FEATURES2:
        s->acks = !plain && find(p, n, SM);
        s->state = BINDING;
        say(s, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
               "<resource>bench</resource></bind></iq>");
        break;
    case BINDING: {
        const char *from = find(p, n, "<jid>"), *to = find(p, n, "</jid>");
        if (!from || !to || to - from > 250)
            fail("not bound: %.*s", (int)n, p);
        snprintf(s->jid, sizeof s->jid, "%.*s", (int)(to - from - 5), from + 5);
        if (s->acks) {
            say(s, "<enable xmlns='" SM "' resume='true'/>");
            s->handled = 0;
        }
        if (!plain)
            say(s, "<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
        become_ready(s);
        break;
    }
    default:
        break;
    }
}

/* --- bytes in -------------------------------------------------------------------------- */

static void element(struct session *s, const char *p, size_t n)
{
    if (s->state < READY) {
        negotiate(s, p, n);
        return;
    }
    if (!strncmp(p, "<message", 8))
        s->messages++, s->handled++;
    else if (!strncmp(p, "<presence", 9))
        s->presences++, s->handled++;
    else if (!strncmp(p, "<iq", 3))
        s->iqs++, s->handled++;
    else if (!strncmp(p, "<r ", 3) || !strncmp(p, "<r/", 3)) {
        say(s, "<a xmlns='" SM "' h='%u'/>", s->handled);
        return;
    } else if (!strncmp(p, "<enabled", 8))
        s->handled = 0;
    else if (!strncmp(p, "<stream:error", 13))
        fail("u%d: %.*s", s->number, (int)n, p);
    if (s->awaits) {
        s->heard |= !!find(p, n, s->awaits);
        if (find(p, n, "type='error'") || find(p, n, "type=\"error\""))
            fail("u%d: %.*s", s->number, (int)n, p);
    }
}

/* Cut the stream into the elements below its root. */
static void parse(struct session *s)
{
    size_t i = s->scanned;
    for (; i < s->in_len; i++) {
        char c = s->in[i];
        switch (s->scan) {
        case TEXT: {
            char *next = memchr(s->in + i, '<', s->in_len - i);
            if (!next) {
                i = s->in_len - 1;
                break;
            }
            i = (size_t)(next - s->in);
            s->scan = OPEN;
            if (s->depth == 1)
                s->begin = i;
            break;
        }
        case OPEN:
            s->scan = c == '/' ? CLOSING : c == '?' || c == '!' ? SKIP : INSIDE;
            s->last = c;
            break;
        case INSIDE:
            if (c == '\'' || c == '"') {
                s->quote = c;
                s->scan = QUOTED;
            } else if (c == '>') {
                s->scan = TEXT;
                if (s->last != '/')
                    s->depth++;
                else if (s->depth == 1)
                    element(s, s->in + s->begin, i + 1 - s->begin);
            }
            s->last = c;
            break;
        case QUOTED: {
            char *end = memchr(s->in + i, s->quote, s->in_len - i);
            if (!end) {
                i = s->in_len - 1;
                break;
            }
            i = (size_t)(end - s->in);
            s->scan = INSIDE;
            s->last = s->quote;
            break;
        }
        case CLOSING:
            if (c == '>') {
                s->scan = TEXT;
                if (--s->depth == 1)
                    element(s, s->in + s->begin, i + 1 - s->begin);
            }
            break;
        case SKIP:
            if (c == '>')
                s->scan = TEXT;
            break;
        default:
            break;
        }
    }
    s->scanned = i;
    size_t keep = s->depth < 1 || (s->depth == 1 && s->scan == TEXT) ? s->in_len : s->begin;
    memmove(s->in, s->in + keep, s->in_len - keep);
    s->in_len -= keep;
    s->scanned -= keep;
    s->begin = 0;
}

static void shake(struct session *s)
{
    int n = SSL_connect(s->ssl);
    if (n == 1) {
        s->state = FEATURES;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &e);
        open_stream(s);
        return;
    }
    int why = SSL_get_error(s->ssl, n);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        fail("u%d: no TLS", s->number);
    struct epoll_event e = {.events = why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT,
                            .data.ptr = s};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &e);
}

static void hear(struct session *s)
{
    for (;;) {
        grow(&s->in, &s->in_room, s->in_len + (s->state == READY ? 65536 : 4096));
        int n = SSL_read(s->ssl, s->in + s->in_len, (int)(s->in_room - s->in_len));
        if (n <= 0) {
            int why = SSL_get_error(s->ssl, n);
            if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
                return;
            if (s->state == CLOSED)
                return;
            fail("u%d: the server hung up in state %d", s->number, s->state);
        }
        s->in_len += (size_t)n;
        parse(s);
    }
}

static void pump(int timeout_ms)
{
    struct epoll_event events[256];
    int n = epoll_wait(epoll_fd, events, 256, timeout_ms);
    for (int i = 0; i < n; i++) {
        struct session *s = events[i].data.ptr;
        if (s->state == HANDSHAKE)
            shake(s);
        else if (s->state != CLOSED) {
            if (events[i].events & EPOLLOUT)
                flush(s);
            hear(s);
        }
    }
}

static void quiet(double seconds, struct session *s, int n)
{
    double until = ps_now() + seconds;
    uint64_t before = 0;
    while (ps_now() < until) {
        uint64_t sum = 0;
        pump(20);
        for (int i = 0; i < n; i++)
            sum += s[i].messages + s[i].presences + s[i].iqs;
        if (sum != before)
            until = ps_now() + seconds;
        before = sum;
    }
}

static void start(struct session *s, int number)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    memset(s, 0, sizeof *s);
    s->number = number;
    inet_pton(AF_INET, host, &to.sin_addr);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&to, sizeof to))
        fail("no connection: %s", strerror(errno));
    fcntl(s->fd, F_SETFL, O_NONBLOCK);
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->ssl = SSL_new(ctx);
    SSL_set_tlsext_host_name(s->ssl, domain);
    SSL_set_fd(s->ssl, s->fd);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &e);
    shake(s);
}

static void stop(struct session *s)
{
    say(s, "</stream:stream>");
    s->state = CLOSED;
    SSL_shutdown(s->ssl);
    close(s->fd);
    SSL_free(s->ssl);
    free(s->in);
    free(s->out);
}

/* Log n sessions in, from the account number first on, in parallel. */
static void log_in(struct session *s, int first, int n, int parallel)
{
    int begun = 0, from = ready;
    double limit = ps_now() + 120;
    while (ready - from < n) {
        while (begun < n && begun - (ready - from) < parallel) {
            start(&s[begun], first + begun);
            begun++;
        }
        pump(100);
        if (ps_now() > limit)
            fail("logins take too long");
    }
}

/* --- results --------------------------------------------------------------------------- */

static double m_cpu, m_busy, m_wall;

static void meter(void)
{
    m_cpu = ps_cpu();
    m_busy = ps_core_busy(core);
    m_wall = ps_now();
}

static void report(const char *name, double work)
{
    double wall = ps_now() - m_wall, cpu = ps_cpu() - m_cpu;
    double avail = ps_core_avail(ps_core_busy(core) - m_busy, cpu, wall);
    printf("{\"name\":\"%s\",\"work\":%.0f,\"cpu\":%.4f,\"wall\":%.3f,\"per_cpu_s\":%.1f,"
           "\"util\":%.3f,\"avail\":%.3f}\n",
           name, work, cpu, wall, cpu > 0 ? work / cpu : 0, cpu / wall, avail);
    fflush(stdout);
}

static void check_time(double limit, const char *what)
{
    if (ps_now() > limit)
        fail("%s: not everything arrived", what);
}

/* --- loads ----------------------------------------------------------------------------- */

static void run_login(void)
{
    int n = count ? count : 300, next = 0, parallel = 8, done = 0;
    struct session warm, *s = calloc((size_t)n, sizeof *s);
    log_in(&warm, 0, 1, 1); /* the first one may load things */
    stop(&warm);
    double limit = ps_now() + 90;
    meter();
    int from = ready;
    bool *over = calloc((size_t)n, 1);
    while (done < n) {
        while (next < n && next - done < parallel) {
            start(&s[next], 1 + next);
            next++;
        }
        pump(100);
        for (int i = 0; i < next; i++)
            if (!over[i] && s[i].state == READY) {
                stop(&s[i]);
                over[i] = true;
                done++;
            }
        check_time(limit, "login");
    }
    report("login", ready - from);
}

static char *stanzas(const char *to, int n, const char *more, size_t *len)
{
    char *text = malloc((size_t)n * 512 + 256), *p = text;
    for (int i = 0; i < n; i++)
        p += sprintf(p, "<message to='%s' type='chat' id='m%d'><body>" BODY "</body></message>",
                     to, i);
    p += sprintf(p, "%s", more);
    *len = (size_t)(p - text);
    return text;
}

/* Messages for so many seconds, and until all have arrived: how many. Four batches are
 * under way at most, so that queues stay short. */
static uint64_t send_batches(struct session *a, struct session *b, double duration, int size)
{
    size_t len;
    char *text = stanzas(b->jid, size, a->acks && size > 1 ? "<r xmlns='" SM "'/>" : "", &len);
    uint64_t from = b->messages, sent = 0;
    double until = ps_now() + duration, limit = until + 60;
    uint64_t ahead = size > 1 ? 4 * (uint64_t)size : 1;
    for (bool more = true; more || b->messages - from < sent;) {
        more = more && ps_now() < until;
        while (more && sent + (uint64_t)size - (b->messages - from) <= ahead &&
               a->out_len < 1 << 16) {
            queue(a, text, len);
            flush(a);
            sent += (uint64_t)size;
        }
        pump(100);
        check_time(limit, "route");
    }
    free(text);
    return sent;
}

static void run_route(bool single)
{
    struct session *s = calloc(2, sizeof *s);
    log_in(s, 1, 2, 1);
    for (int i = 0; i < 2; i++)
        say(&s[i], "<presence/>");
    quiet(0.4, s, 2);
    int size = single ? 1 : batch;
    send_batches(&s[0], &s[1], 0.3, size); /* warm */
    meter();
    uint64_t sent = send_batches(&s[0], &s[1], seconds, size);
    report(single ? "single" : "batch", (double)sent);
}

/* One session sends for so many seconds to a room that tells all of it. */
static void repeat(struct session *s, const char *kind, const char *name, const char *room)
{
    bool message = kind[0] == 'm';
    uint64_t from = 0, own = message ? s[0].messages : s[0].presences, sent = 0, work = 0;
    double until = ps_now() + seconds, limit = until + 60;
    for (int i = 0; i < OCCUPANTS; i++)
        from += message ? s[i].messages : s[i].presences;
    meter();
    for (bool more = true; more || work < sent * OCCUPANTS;) {
        more = more && ps_now() < until;
        while (more && sent - ((message ? s[0].messages : s[0].presences) - own) <
                           (uint64_t)window) {
            if (message)
                say(&s[0], "<message to='%s' type='groupchat' id='g%d'><body>" BODY
                           "</body></message>", room, (int)sent);
            else
                say(&s[0], "<presence to='%s/n0'><show>%s</show><status>s%d</status></presence>",
                    room, sent % 2 ? "away" : "dnd", (int)sent);
            sent++;
        }
        pump(100);
        work = 0;
        for (int i = 0; i < OCCUPANTS; i++)
            work += message ? s[i].messages : s[i].presences;
        work -= from;
        check_time(limit, name);
    }
    report(name, (double)work);
}

static void run_muc(void)
{
    struct session *s = calloc(OCCUPANTS, sizeof *s);
    char room[128];
    unsigned char random[4];
    RAND_bytes(random, sizeof random);
    snprintf(room, sizeof room, "bench%02x%02x%02x%02x@%s", random[0], random[1], random[2],
             random[3], muc);
    log_in(s, 100, OCCUPANTS, 8);
    quiet(0.4, s, OCCUPANTS);
    uint64_t before = 0, now = 0, wanted = OCCUPANTS * OCCUPANTS;
    for (int i = 0; i < OCCUPANTS; i++)
        before += s[i].presences;
    double limit = ps_now() + 60;
    meter();
    for (int i = 0; i < OCCUPANTS; i++) {
        s[i].awaits = "110";
        say(&s[i], "<presence to='%s/n%d'><x xmlns='http://jabber.org/protocol/muc'>"
                   "<history maxstanzas='0'/></x></presence>", room, i);
        while (!s[i].heard) {
            pump(100);
            check_time(limit, "join");
        }
        s[i].awaits = NULL;
    }
    /* the i-th joiner is told of everybody and itself, and everybody of it */
    while (now < wanted) {
        pump(100);
        now = 0;
        for (int i = 0; i < OCCUPANTS; i++)
            now += s[i].presences;
        now -= before;
        check_time(limit, "join presences");
    }
    report("muc_join", now);
    quiet(0.4, s, OCCUPANTS);
    repeat(s, "message", "muc_message", room);
    quiet(0.2, s, OCCUPANTS);
    repeat(s, "presence", "muc_presence", room);
}

static void run_idle(void)
{
    int n = count ? count : 1000;
    struct session *s = calloc((size_t)n, sizeof *s);
    sleep(1);
    long before = ps_rss_kb();
    meter();
    log_in(s, 0, n, 10);
    report("idle_login", n);
    for (int i = 0; i < n; i++) {
        say(&s[i], "<presence/>");
        pump(0);
    }
    quiet(3, s, n);
    printf("{\"name\":\"idle\",\"kb\":%.2f,\"base_mb\":%.1f}\n",
           (double)(ps_rss_kb() - before) / n, (double)before / 1024);
}

static void usage(void)
{
    fprintf(stderr, "usage: xmppload -p PORT -P PID[,PID] [-H HOST] [-d DOMAIN] [-m MUC] "
                    "[-u USER] [-w PASSWORD] [-c CORE] [-n COUNT] [-b BATCH] [-s SECONDS] [-W WINDOW] [-x] "
                    "login|route|single|muc|idle\n"
                    "-x: neither acknowledgements nor carbons\n");
    exit(2);
}

int main(int argc, char **argv)
{
    for (int o; (o = getopt(argc, argv, "p:P:H:d:m:u:w:c:n:b:s:W:x")) != -1;)
        switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'P': ps_set_pids(optarg); break;
        case 'H': host = optarg; break;
        case 'd': domain = optarg; break;
        case 'm': muc = optarg; break;
        case 'u': user = optarg; break;
        case 'w': password = optarg; break;
        case 'c': core = atoi(optarg); break;
        case 'n': count = atoi(optarg); break;
        case 'b': batch = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'W': window = atoi(optarg); break;
        case 'x': plain = true; break;
        default: usage();
        }
    if (optind != argc - 1 || strncmp(host, "127.", 4))
        usage();
    signal(SIGPIPE, SIG_IGN);
    alarm(150);
    epoll_fd = epoll_create1(0);
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL); /* loopback, self-signed */
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x0bxmpp-client", 12);
    const char *load = argv[optind];
    if (!strcmp(load, "login"))
        run_login();
    else if (!strcmp(load, "route") || !strcmp(load, "single"))
        run_route(load[0] == 's');
    else if (!strcmp(load, "muc"))
        run_muc();
    else if (!strcmp(load, "idle"))
        run_idle();
    else
        usage();
    return 0;
}
