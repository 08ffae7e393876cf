/* What Python sees of the native plane. CFFI reads this file too, so it holds
 * plain declarations only.
 *
 * Addresses are 20 bytes: the IP address in 16 (IPv4 in the first four, zeros
 * after), the port and the family (4 or 6) as two native 16-bit numbers.
 * Times are nanoseconds on the plane's clock (plane_now). Unless said, int
 * functions return 0, or -1 when memory or room ran out. */
typedef struct plane plane;

/* preserve_tos: packets leave with the DSCP and ECN that they came with. */
plane *plane_new(int answer_bindings, double bindings_per_s, double burst,
                 int preserve_tos);
void plane_free(plane *p);

/* 0 or an errno. The thread blocks every signal and calls nothing of Python. */
int plane_start(plane *p);
/* Joins the thread and closes every socket; -1 if it did not end in time. */
int plane_stop(plane *p);

/* Readable when plane_take has something. */
int plane_event_fd(plane *p);
/* Reads the relays of stream clients, then puts whole records (see thread.py)
 * into out; bytes used. more: whether there are others, and no event will tell. */
int plane_take(plane *p, unsigned char *out, int size, int *more);
/* Makes the descriptor readable. */
void plane_again(plane *p);

int64_t plane_now(plane *p);
/* For tests: time that passes at once. */
void plane_turn_forward(plane *p, int64_t ns);
/* Copies the counters, in the order of plane.c; returns how many there are. */
int plane_counters(plane *p, uint64_t *out, int room);

/* A non-blocking UDP socket that is bound to a host (an address without port) and
 * a port, with that much room to receive: its descriptor, or an errno below 0.
 * IPv6 ones take IPv6 alone. */
int plane_socket(const unsigned char *host, int port, int buffer_bytes);
/* The same on each of these ports, which become descriptors or errors. */
void plane_sockets(const unsigned char *host, int *ports, int count, int buffer_bytes);

/* From now on challenge requests without credentials. key: 32 random bytes.
 * realm: 1-12 bytes. proof_size: bytes of the nonce's hash, 1-7. now: the
 * core's clock, from which the nonce's minute is taken. -1: a size is wrong. */
int plane_challenge(plane *p, const unsigned char *key, const unsigned char *realm,
                    int realm_size, int proof_size, int features, int64_t now);

/* Commands: they take effect in their order. The plane owns fd from then on. */
int plane_listen(plane *p, int fd, const unsigned char *bound, int wildcard);
int plane_local_host(plane *p, const unsigned char *host);
int plane_open(plane *p, uint64_t relay, int fd, const unsigned char *client,
               const unsigned char *server, const unsigned char *relayed, int transport,
               int64_t expires_at, double bytes_per_s, uint64_t user);
/* An Allocate that is signed with this key (16 bytes), for this username, comes
 * as a record of `number` from now on. The number that is known no longer: an
 * older one's, this one where the name is too long, or 0. Not a command. */
uint64_t plane_know(plane *p, uint64_t number, const unsigned char *name, int size,
                    const unsigned char *key);
/* Opens relays and answers their clients: grants of admission.h, one after the
 * other. It takes effect at once if the thread sleeps. */
int plane_admit(plane *p, const unsigned char *grants, int size);
/* transport: 0 for UDP through a listener of the plane, others by number below
 * 0x4000; with 0x8000 if its frames are padded (TCP and TLS). */
int plane_move(plane *p, uint64_t relay, const unsigned char *client,
               const unsigned char *server, int transport);
int plane_limit(plane *p, uint64_t relay, double bytes_per_s);
int plane_limit_user(plane *p, uint64_t user, double bytes_per_s);
int plane_extend(plane *p, uint64_t relay, int64_t expires_at);
int plane_permit(plane *p, uint64_t relay, const unsigned char *host,
                 int64_t expires_at, int own_only);
int plane_bind(plane *p, uint64_t relay, int channel, const unsigned char *peer,
               int64_t expires_at);
int plane_close(plane *p, uint64_t relay);
int plane_send(plane *p, const unsigned char *client, const unsigned char *server,
               const unsigned char *data, int size);
/* OpenSSL's SSL_read, SSL_write, SSL_get_error and ERR_clear_error, before the
 * first connection with TLS is adopted. Not a command. */
void plane_tls(plane *p, uintptr_t read, uintptr_t write, uintptr_t why,
               uintptr_t forget);
/* The connection of a TCP client is the thread's from now on, with what was
 * read of it and is no whole message (below 64 KiB). stream: a number below
 * 2^60 that is never used again. tls: its SSL, standing on fd, which lives until
 * the thread has let go of it; or NULL. queue_ns: how old a waiting frame gets. */
int plane_adopt(plane *p, uint64_t stream, int fd, const unsigned char *client,
                const unsigned char *server, int transport, void *tls,
                const unsigned char *data, int size, int queue_bytes,
                int64_t queue_ns);
/* The thread closes its descriptor, whatever waits. */
int plane_leave(plane *p, uint64_t stream);
int plane_send_stream(plane *p, uint64_t stream, const unsigned char *data, int size);
/* Not a command: at once, the connection is the caller's again, with what was
 * read and not used, and what could not be sent yet. The bytes unread, or -1 if
 * the connection has gone or there is no room. */
int plane_give_back(plane *p, uint64_t stream, unsigned char *unread,
                    int unread_room, unsigned char *unsent, int unsent_room,
                    int *unsent_size);
int plane_settle(plane *p, uint64_t ticket);
/* Let the thread look at the commands, if it sleeps. */
void plane_wake(plane *p);

/* One ChannelData message or Send indication of a stream client (relay 0: it
 * has no allocation). -1: no room, dropped and counted. */
int plane_stream(plane *p, uint64_t relay, const unsigned char *data, int size);
/* Every whole ChannelData message (padded) and Send indication that data begins
 * with: they leave at once. The bytes that were taken; dropped grows by the
 * messages that found no room. */
int plane_stream_run(plane *p, uint64_t relay, const unsigned char *data, int size,
                     int *dropped);
