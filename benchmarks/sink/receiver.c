/* What deliveries are sent to: answers 200 at once and remembers enough to check them afterwards.
 *
 *   receiver PORT        listens on 127.0.0.1
 *
 *   POST any path        a delivery
 *   PUT  /reset          forget what came
 *   GET  /count          JSON: requests, ids (different pairs of path and webhook-id), incomplete (no id, no signature or
 *                        no data.sent_at), first and last (Unix time of arrival)
 *   GET  /waits          arrival minus data.sent_at in seconds, one little-endian double for each delivery
 *   GET  /samples        every 37th request as it came: its length (32 bits, little-endian), its bytes
 *
 * One thread, so that it takes no more than one core from what is measured; no parsing beyond what the report needs.
 * receiver.py is the same in Python, for machines without a C compiler.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVERY = 37, SAMPLES = 4096, LONGEST = 4 << 20 };

typedef struct { char *at; size_t length, room; } Bytes;
typedef struct { int fd; Bytes in; } Connection;
typedef struct { const char *at; size_t length; } Text;

static size_t requests, ids, incomplete, sampled;
static double first, last;
static Bytes waits, samples;
static uint64_t *seen;
static size_t seen_room;

static void append(Bytes *to, const void *what, size_t length) {
    if (to->length + length > to->room) {
        to->room = (to->length + length) * 2;
        to->at = realloc(to->at, to->room);
        if (!to->at) { perror("realloc"); exit(1); }
    }
    memcpy(to->at + to->length, what, length);
    to->length += length;
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

/* The value of a header, or an empty text. */
static Text header(const char *head, const char *end, const char *name) {
    size_t length = strlen(name);
    for (const char *line = head; line < end; ) {
        const char *next = memmem(line, end - line, "\r\n", 2);
        if (!next) next = end;
        if ((size_t)(next - line) > length && line[length] == ':' && !strncasecmp(line, name, length)) {
            const char *value = line + length + 1;
            while (value < next && *value == ' ') value++;
            return (Text){value, next - value};
        }
        line = next + 2;
    }
    return (Text){head, 0};
}

/* Whether the pair is a new one. FNV-1a in an open-addressed set; 0 marks a free place. */
static int is_new(Text path, Text id) {
    uint64_t hash = 14695981039346656037ull;
    for (size_t i = 0; i < path.length; i++) hash = (hash ^ (unsigned char)path.at[i]) * 1099511628211ull;
    hash = (hash ^ ' ') * 1099511628211ull;
    for (size_t i = 0; i < id.length; i++) hash = (hash ^ (unsigned char)id.at[i]) * 1099511628211ull;
    if (!hash) hash = 1;
    if (ids * 2 >= seen_room) {
        uint64_t *old = seen;
        size_t old_room = seen_room;
        seen_room = seen_room ? seen_room * 2 : 1 << 16;
        seen = calloc(seen_room, sizeof *seen);
        if (!seen) { perror("calloc"); exit(1); }
        for (size_t i = 0; i < old_room; i++)
            if (old[i]) {
                size_t place = old[i] & (seen_room - 1);
                while (seen[place]) place = (place + 1) & (seen_room - 1);
                seen[place] = old[i];
            }
        free(old);
    }
    size_t place = hash & (seen_room - 1);
    for (; seen[place]; place = (place + 1) & (seen_room - 1))
        if (seen[place] == hash) return 0;
    seen[place] = hash;
    return 1;
}

static void take(const char *request, const char *head, const char *body, size_t body_length) {
    static const char key[] = "\"sent_at\":";
    last = now();
    if (!requests++) first = last;
    const char *path = memchr(request, ' ', head - request);
    const char *path_end = path ? memchr(path + 1, ' ', head - path - 1) : NULL;
    Text id = header(head, body, "webhook-id"), signature = header(head, body, "webhook-signature");
    const char *sent = memmem(body, body_length, key, sizeof key - 1);
    if (!path_end || !id.length || !signature.length || !sent) {
        incomplete++;
    } else {
        ids += is_new((Text){path + 1, path_end - path - 1}, id);
        char number[32] = "";
        const char *from = sent + sizeof key - 1;
        size_t left = body + body_length - from;
        memcpy(number, from, left < sizeof number - 1 ? left : sizeof number - 1);
        double wait = last - strtod(number, NULL);
        append(&waits, &wait, sizeof wait);
    }
    if (requests % EVERY == 1 && sampled < SAMPLES) {
        uint32_t length = body + body_length - request;
        append(&samples, &length, sizeof length);
        append(&samples, request, length);
        sampled++;
    }
}

static void forget(void) {
    requests = ids = incomplete = sampled = waits.length = samples.length = 0;
    first = last = 0;
    if (seen) memset(seen, 0, seen_room * sizeof *seen);
}

static void answer(Bytes *out, const void *body, size_t length) {
    char head[64];
    append(out, head, snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length));
    append(out, body, length);
}

static void handle(Bytes *out, const char *request, const char *head, const char *body, size_t body_length) {
    if (!strncmp(request, "POST ", 5)) {
        take(request, head, body, body_length);
        answer(out, "", 0);
    } else if (!strncmp(request, "PUT /reset ", 11)) {
        forget();
        answer(out, "", 0);
    } else if (!strncmp(request, "GET /waits ", 11)) {
        answer(out, waits.at, waits.length);
    } else if (!strncmp(request, "GET /samples ", 13)) {
        answer(out, samples.at, samples.length);
    } else {
        char report[256];
        answer(out, report, snprintf(report, sizeof report,
            "{\"requests\":%zu,\"ids\":%zu,\"incomplete\":%zu,\"first\":%.6f,\"last\":%.6f}",
            requests, ids, incomplete, first, last));
    }
}

static int send_all(int fd, const Bytes *out) {
    for (size_t done = 0; done < out->length; ) {
        ssize_t count = send(fd, out->at + done, out->length - done, MSG_NOSIGNAL);
        if (count > 0) { done += count; continue; }
        if (count < 0 && errno == EAGAIN && poll(&(struct pollfd){fd, POLLOUT, 0}, 1, 5000) == 1) continue;
        return 0;
    }
    return 1;
}

/* Everything that has come whole. Returns whether the connection goes on. */
static int work(Connection *one) {
    static Bytes out;
    size_t done = 0;
    out.length = 0;
    while (done < one->in.length) {
        char *request = one->in.at + done, *end = one->in.at + one->in.length;
        char *blank = memmem(request, end - request, "\r\n\r\n", 4);
        if (!blank) break;
        char *head = memmem(request, blank + 2 - request, "\r\n", 2), *body = blank + 4;
        head += 2;
        if (header(head, body, "transfer-encoding").length) {
            static const char refusal[] = "HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            append(&out, refusal, sizeof refusal - 1);
            send_all(one->fd, &out);
            return 0;
        }
        Text given = header(head, body, "content-length");
        size_t length = given.length ? strtoul(given.at, NULL, 10) : 0;
        if (length > LONGEST) return 0;
        if ((size_t)(end - body) < length) break;
        handle(&out, request, head, body, length);
        done = body + length - one->in.at;
    }
    memmove(one->in.at, one->in.at + done, one->in.length - done);
    one->in.length -= done;
    return one->in.length <= 2 * LONGEST && send_all(one->fd, &out);
}

int main(int many, char **arguments) {
    static char buffer[1 << 16];
    int yes = 1, events = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (many != 2) { fprintf(stderr, "usage: receiver PORT\n"); return 2; }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
        perror("receiver");
        return 1;
    }
    epoll_ctl(events, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
    for (;;) {
        struct epoll_event ready[256];
        int count = epoll_wait(events, ready, 256, -1);
        for (int i = 0; i < count; i++) {
            Connection *one = ready[i].data.ptr;
            if (!one) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0) continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                if (!(one = calloc(1, sizeof *one))) { perror("calloc"); return 1; }
                one->fd = fd;
                epoll_ctl(events, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = one});
                continue;
            }
            ssize_t length = recv(one->fd, buffer, sizeof buffer, 0);
            if (length < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            if (length > 0) append(&one->in, buffer, length);
            if (length <= 0 || !work(one)) {
                close(one->fd);
                free(one->in.at);
                free(one);
            }
        }
    }
}
