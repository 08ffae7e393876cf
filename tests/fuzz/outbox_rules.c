/* The rules of sending, against a stand-in for the kernel that refuses as real
 * ones do. Prints "all rules hold", or aborts at the first that is broken. */
#define PLANE_KERNEL
#include "../../mosaic/relay/outbox.h"
#include <stdio.h>
#include <stdlib.h>

static struct outbox box;
static u8 bytes[2048];
static struct {
    unsigned segments[256], sizes[256], classes[256], calls;
    unsigned count;
    int error;         /* what it fails with */
    unsigned from, to; /* in which calls */
    bool only_runs;    /* fail messages that want segmentation, always */
} kernel;

static void hold(bool right, const char *rule)
{
    if (!right) {
        fprintf(stderr, "broken rule: %s\n", rule);
        abort();
    }
}

static unsigned class_of(struct msghdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c))
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
            return *(const int *)CMSG_DATA(c);
    return 0;
}

static int kernel_takes(int fd, struct mmsghdr *messages, unsigned count)
{
    unsigned call = kernel.calls++;
    (void)fd;
    hold(kernel.calls < 1000, "never tries for ever");
    for (unsigned at = 0; at < count; at++) {
        struct msghdr *h = &messages[at].msg_hdr;
        bool refused = kernel.only_runs ? h->msg_iovlen > 1
                                        : call >= kernel.from && call < kernel.to;
        if (refused && kernel.error != 0) {
            if (at > 0)
                return (int)at; /* the error is kept back */
            errno = kernel.error;
            return -1;
        }
        kernel.segments[kernel.count] = (unsigned)h->msg_iovlen;
        kernel.classes[kernel.count] = class_of(h);
        kernel.sizes[kernel.count++] = (unsigned)h->msg_iov[0].iov_len;
    }
    return (int)count;
}

static void begin(int error, unsigned from, unsigned to, bool only_runs)
{
    memset(&kernel, 0, sizeof kernel);
    box.failed_to_clients = box.failed_to_peers = 0;
    kernel.error = error;
    kernel.from = from;
    kernel.to = to;
    kernel.only_runs = only_runs;
}

static struct address peer(unsigned last)
{
    struct address made = {.ip = {192, 0, 2, (u8)last}, .port = 9, .family = 4};
    return made;
}

static u8 tos;

static void add(struct udp_socket *s, unsigned to, u32 size)
{
    static const struct address nowhere;
    struct address a = peer(to);
    outbox_add(&box, s, &a, &nowhere, bytes, size, tos);
}

static void runs_are_cut_where_sizes_change(void)
{
    struct udp_socket s = {.fd = 1, .gso = true};
    const u32 sizes[] = {100, 100, 50, 100, 200, 200, 0, 0, 1453, 1453};
    const unsigned expected[] = {3, 1, 2, 1, 1, 1, 1};
    begin(0, 0, 0, false);
    for (unsigned at = 0; at < 10; at++)
        add(&s, 1, sizes[at]);
    outbox_flush(&box);
    hold(kernel.count == 7, "seven messages");
    for (unsigned at = 0; at < 7; at++)
        hold(kernel.segments[at] == expected[at], "only the last is shorter, none empty");
}

static void runs_are_cut_where_the_class_changes(void)
{
    struct udp_socket s = {.fd = 1, .family = 4, .gso = true};
    const u8 classes[] = {0, 0, 184, 184, 185, 0};
    const unsigned segments[] = {2, 2, 1, 1}, told[] = {0, 184, 185, 0};
    begin(0, 0, 0, false);
    for (unsigned at = 0; at < 6; at++) {
        tos = classes[at];
        add(&s, 1, 100);
    }
    tos = 0;
    outbox_flush(&box);
    hold(kernel.count == 4, "four runs");
    for (unsigned at = 0; at < 4; at++)
        hold(kernel.segments[at] == segments[at] && kernel.classes[at] == told[at],
             "one class in a run, and it is told");
    begin(EINVAL, 0, 0, true);
    tos = 46 << 2;
    for (unsigned at = 0; at < 3; at++)
        add(&s, 1, 100);
    tos = 0;
    outbox_flush(&box);
    hold(kernel.count == 3 && kernel.classes[2] == 184, "also where it is not cut");
}

static void a_run_has_at_most_64_segments(void)
{
    struct udp_socket s = {.fd = 1, .gso = true};
    begin(0, 0, 0, false);
    for (unsigned at = 0; at < 130; at++)
        add(&s, 1, 20);
    outbox_flush(&box);
    hold(kernel.count == 3 && kernel.segments[0] == 64 && kernel.segments[2] == 2,
         "64, 64, 2");
}

static void flows_keep_their_order_and_share_a_call(void)
{
    struct udp_socket s = {.fd = 1, .gso = true, .shared = true};
    begin(0, 0, 0, false);
    for (unsigned at = 0; at < 6; at++)
        add(&s, at % 2, 100 + at / 2);
    outbox_flush(&box);
    hold(kernel.calls == 1 && kernel.count == 6, "one call, growing sizes never merge");
    hold(kernel.sizes[0] == 100 && kernel.sizes[1] == 101 && kernel.sizes[3] == 100,
         "one flow after the other, each in order");
}

static void eio_turns_segmentation_off_and_sends_again(void)
{
    struct udp_socket s = {.fd = 1, .gso = true};
    begin(EIO, 0, 0, true);
    for (unsigned at = 0; at < 8; at++)
        add(&s, 1, 100);
    outbox_flush(&box);
    hold(kernel.count == 8 && box.failed_to_peers == 0, "all eight, one by one");
    hold(!s.gso, "off for good");
    add(&s, 1, 100);
    add(&s, 1, 100);
    outbox_flush(&box);
    hold(kernel.count == 10 && kernel.segments[9] == 1, "not tried again");
}

static void one_small_path_does_not_turn_it_off(void)
{
    struct udp_socket s = {.fd = 1, .gso = true, .shared = true};
    begin(EMSGSIZE, 0, 0, true);
    add(&s, 1, 100);
    add(&s, 1, 100);
    outbox_flush(&box);
    hold(kernel.count == 2 && s.gso, "sent, and still on for the others");
}

static void a_bad_destination_stops_nobody(void)
{
    struct udp_socket s = {.fd = 1, .shared = true};
    begin(EPERM, 0, 1, false);
    for (unsigned at = 0; at < 5; at++)
        add(&s, at, 100);
    outbox_flush(&box);
    hold(kernel.count == 4 && box.failed_to_clients == 1, "four of five");
}

static void a_full_buffer_drops_and_counts(void)
{
    struct udp_socket s = {.fd = 1, .shared = true};
    begin(EAGAIN, 0, 900, false);
    for (unsigned at = 0; at < 100; at++)
        add(&s, at, 100);
    outbox_flush(&box);
    hold(kernel.count == 0 && box.failed_to_clients == 100, "dropped and counted");
}

static void an_error_of_another_packet_is_tried_once_more(void)
{
    struct udp_socket s = {.fd = 1};
    begin(ECONNREFUSED, 0, 1, false);
    add(&s, 1, 100);
    outbox_flush(&box);
    hold(kernel.count == 1 && box.failed_to_peers == 0, "sent at the second try");
    begin(ECONNREFUSED, 0, 900, false);
    add(&s, 1, 100);
    outbox_flush(&box);
    hold(box.failed_to_peers == 1 && kernel.calls < 5, "then given up");
}

int main(void)
{
    runs_are_cut_where_sizes_change();
    runs_are_cut_where_the_class_changes();
    a_run_has_at_most_64_segments();
    flows_keep_their_order_and_share_a_call();
    eio_turns_segmentation_off_and_sends_again();
    one_small_path_does_not_turn_it_off();
    a_bad_destination_stops_nobody();
    a_full_buffer_drops_and_counts();
    an_error_of_another_packet_is_tried_once_more();
    puts("all rules hold");
    return 0;
}
