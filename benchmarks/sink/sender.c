/* Many POSTs of one kind over connections that stay open, each with one request on its way at a time.
 *
 *   sender PORT CONNECTIONS COUNT RATE SECONDS < request
 *
 * RATE: requests a second, sent on time whether or not those before are answered; 0: each connection as fast as it can.
 * SECONDS: gives up after so long. The request on standard input is whole, head and body; in it 17 times @ becomes the
 * time of sending (Unix seconds; with a RATE the time when it was due, so that no waiting is hidden) and 8 times # a
 * number of its own. Prints JSON: answered, statuses, began and ended (Unix time), cpu (seconds), p50, p95, p99 (ms).
 * sender.py is the same in Python, for machines without a C compiler.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST = 1 << 20, ANSWER = 1 << 16 };

typedef struct { int fd; double sent; size_t length; char in[ANSWER + 1]; } Connection;

static char request[LONGEST + 1];
static size_t length;
static char *sent_at, *number;
static long statuses[1000];
static double *waits;
static long answered, started;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void fail(const char *why) {
    fprintf(stderr, "sender: %s\n", why);
    exit(1);
}

static void post(Connection *one, double due) {
    char text[32];
    one->sent = due;
    if (sent_at) { snprintf(text, sizeof text, "%017.6f", due); memcpy(sent_at, text, 17); }
    if (number) { snprintf(text, sizeof text, "%08ld", started % 100000000); memcpy(number, text, 8); }
    started++;
    for (size_t done = 0; done < length; ) {
        ssize_t count = send(one->fd, request + done, length - done, MSG_NOSIGNAL);
        if (count > 0) { done += count; continue; }
        if (errno != EAGAIN || poll(&(struct pollfd){one->fd, POLLOUT, 0}, 1, 10000) != 1) fail("a connection was lost");
    }
}

/* Whether the answer is whole. */
static int receive(Connection *one) {
    ssize_t count = recv(one->fd, one->in + one->length, ANSWER - one->length, 0);
    if (count < 0 && errno == EAGAIN) return 0;
    if (count <= 0) fail("a connection was closed, or an answer is too long");
    one->length += count;
    one->in[one->length] = 0;
    char *blank = strstr(one->in, "\r\n\r\n"), *given = strcasestr(one->in, "\r\ncontent-length:");
    if (!blank) return 0;
    if (!given || given > blank) fail("an answer without a Content-Length");
    if (one->length < blank + 4 - one->in + strtoul(given + 17, NULL, 10)) return 0;
    int status = atoi(one->in + 9);
    statuses[status >= 0 && status < 1000 ? status : 0]++;
    waits[answered++] = now() - one->sent;
    one->length = 0;
    return 1;
}

static int ascending(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return difference < 0 ? -1 : difference > 0;
}

static void report(double began, double ended) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    qsort(waits, answered, sizeof *waits, ascending);
    printf("{\"answered\":%ld,\"began\":%.6f,\"ended\":%.6f,\"cpu\":%.6f,\"statuses\":{", answered, began, ended, cpu);
    for (int status = 0, others = 0; status < 1000; status++)
        if (statuses[status]) printf("%s\"%d\":%ld", others++ ? "," : "", status, statuses[status]);
    printf("},\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f}\n", waits[answered / 2] * 1e3, waits[answered * 95 / 100] * 1e3,
           waits[answered * 99 / 100] * 1e3);
}

int main(int many, char **arguments) {
    if (many != 6) fail("usage: sender PORT CONNECTIONS COUNT RATE SECONDS < request");
    int port = atoi(arguments[1]), connections = atoi(arguments[2]), yes = 1, events = epoll_create1(0);
    long count = atol(arguments[3]);
    double rate = atof(arguments[4]);
    alarm(atoi(arguments[5]));
    length = fread(request, 1, LONGEST, stdin);
    sent_at = memmem(request, length, "@@@@@@@@@@@@@@@@@", 17);
    number = memmem(request, length, "########", 8);
    if (!length || count < 1 || connections < 1) fail("nothing to send");
    waits = calloc(count, sizeof *waits);
    Connection *all = calloc(connections, sizeof *all), **idle = calloc(connections, sizeof *idle);
    if (!waits || !all || !idle) fail("no memory");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int idling = 0, oldest = 0, clock = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    for (int i = 0; i < connections; i++) {
        all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(all[i].fd, (struct sockaddr *)&address, sizeof address)) fail("nobody listens");
        setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        epoll_ctl(events, EPOLL_CTL_ADD, all[i].fd, &event);
        idle[idling++] = &all[i];
    }
    double began = now();
    if (rate > 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
        long every = 1e9 / rate;
        struct itimerspec ticks = {{every / 1000000000, every % 1000000000}, {0, 1}};
        timerfd_settime(clock, 0, &ticks, NULL);
        epoll_ctl(events, EPOLL_CTL_ADD, clock, &event);
    }
    while (answered < count) {
        while (idling && started < count) {
            double due = rate > 0 ? began + started / rate : now();
            if (due > now()) break;
            /* The one that has rested longest: a server may close a connection that rests too long. */
            post(idle[oldest], due);
            oldest = (oldest + 1) % connections;
            idling--;
        }
        struct epoll_event ready[256];
        int found = epoll_wait(events, ready, 256, -1);
        for (int i = 0; i < found; i++) {
            Connection *one = ready[i].data.ptr;
            uint64_t ticks;
            if (!one) { if (read(clock, &ticks, sizeof ticks) < 0 && errno != EAGAIN) fail("the clock"); }
            else if (receive(one)) idle[(oldest + idling++) % connections] = one;
        }
    }
    report(began, now());
    return 0;
}
