// The load below HTTP, and of WebSocket: one thread, one epoll, closed loop; every answer is checked.
//
//     stream --port P --mode download|upload|connect|websocket [--connections N] [--seconds S] [--hello NAME]
//
// What it says to `stream-upstream` is written there. `connect` makes a connection for each exchange of 64 bytes, and the
// other side ends it. --hello begins each connection with a ClientHello for NAME. Of bulk data the beginning and end of
// what each read gave are compared, and an upload's length is what the upstream counted. The result is one line of JSON,
// in which a request is a byte, a connection or a message; a wrong answer ends the run with exit code 1.
#define _GNU_SOURCE
#include <endian.h>
#include <getopt.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <strings.h>

#include "measure.h"

enum { EXCHANGE = 64, MESSAGE = 32, OPENING_MAX = 2048, HEAD_MAX = 4096 };
enum state { CONNECTING, OPENING, WORKING, COUNTED, CLOSING };
enum mode { NONE, DOWNLOAD, UPLOAD, CONNECT, WEBSOCKET };

struct connection {
    int fd, interest, done;
    enum state state;
    // Bytes of the opening that are sent, bytes of the answer that are here, bytes of bulk data.
    size_t opened, used;
    unsigned long long total;
    long long started;
    uint8_t head[HEAD_MAX];
};

static int port, connections = 16;
static enum mode mode;
static double seconds = 3;
static const char *hello;
static uint8_t opening[OPENING_MAX], frame[6 + MESSAGE];
static size_t opening_bytes;
static int epoll;
static long long requests, deadline, finished;
static uint8_t input[1 << 20];

__attribute__((noreturn)) static void wrong(const char *what) {
    fprintf(stderr, "stream: %s after %lld requests\n", what, requests);
    exit(1);
}

static void watch(struct connection *c, int interest) { watch_fd(epoll, c->fd, &c->interest, interest, c); }

// A ClientHello for `hello`, as OpenSSL writes it.
static size_t write_hello(uint8_t *into, size_t room) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    SSL_set_tlsext_host_name(ssl, hello);
    SSL_connect(ssl);
    int n = BIO_read(out, into, (int)room);
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (n <= 0) wrong("no ClientHello");
    return (size_t)n;
}

static void write_opening(void) {
    if (hello) opening_bytes = write_hello(opening, sizeof opening - 512);
    uint8_t *rest = opening + opening_bytes;
    switch (mode) {
    case DOWNLOAD: *rest = 'D', opening_bytes++; break;
    case UPLOAD: *rest = 'U', opening_bytes++; break;
    case CONNECT:
        *rest = 'E';
        memcpy(rest + 1, pattern, EXCHANGE - 1);
        opening_bytes += EXCHANGE;
        break;
    default:
        opening_bytes += (size_t)snprintf((char *)rest, 512,
            "GET /ws HTTP/1.1\r\nHost: bench.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
        frame[0] = 0x81;
        frame[1] = 0x80 | MESSAGE;
        memcpy(frame + 2, "mask", 4);
        for (size_t i = 0; i < MESSAGE; i++) frame[6 + i] = (uint8_t)pattern[i] ^ (uint8_t)"mask"[i % 4];
    }
}

static void dial(struct connection *c) {
    c->opened = c->used = 0;
    c->total = 0;
    c->interest = 0;
    c->state = CONNECTING;
    c->started = now_ns();
    c->fd = begin_connect(port);
    if (c->fd < 0) wrong(strerror(errno));
    watch(c, EPOLLOUT);
}

// What a read or write gave: bytes, 0 for "later", -1 for the connection's end.
static ssize_t moved(ssize_t n) {
    if (n > 0) return n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n < 0) wrong(strerror(errno));
    return -1;
}

static void receive_bulk(struct connection *c) {
    for (int turn = 0; turn < 8; turn++) {
        ssize_t n = moved(recv(c->fd, input, sizeof input, 0));
        if (n < 0) wrong("the end of a download that has none");
        if (n == 0) return;
        size_t size = (size_t)n, edge = size < 64 ? size : 64;
        if (!as_expected(input, edge, c->total) || !as_expected(input + size - edge, edge, c->total + size - edge)) wrong("wrong bytes");
        c->total += size;
        requests += n;
    }
}

static void send_bulk(struct connection *c) {
    for (int turn = 0; turn < 8; turn++) {
        if (now_ns() >= deadline) {
            shutdown(c->fd, SHUT_WR);
            c->state = COUNTED;
            return watch(c, EPOLLIN);
        }
        ssize_t n = moved(send(c->fd, pattern + c->total % 16, PATTERN, MSG_NOSIGNAL));
        if (n == 0) return;
        c->total += (unsigned long long)n;
    }
}

// An upload's end: the upstream says how many bytes came, the letter included.
static void take_count(struct connection *c) {
    ssize_t n = moved(recv(c->fd, c->head + c->used, HEAD_MAX - c->used, 0));
    if (n == 0) return;
    if (n > 0) {
        c->used += (size_t)n;
        return;
    }
    uint64_t told;
    memcpy(&told, c->head, sizeof told);
    if (c->used != sizeof told || be64toh(told) != c->total + 1) wrong("the upstream counted another number of bytes");
    requests += (long long)c->total;
    c->done = 1;
    finished++;
    close(c->fd);
}

static void exchange(struct connection *c) {
    ssize_t n = moved(recv(c->fd, c->head + c->used, HEAD_MAX - c->used, 0));
    if (n == 0) return;
    if (n > 0) {
        c->used += (size_t)n;
        return;
    }
    if (c->used != EXCHANGE || memcmp(c->head, opening + opening_bytes - EXCHANGE, EXCHANGE)) wrong("another answer");
    requests++;
    record(now_ns() - c->started);
    close(c->fd);
    if (now_ns() < deadline) return dial(c);
    c->done = 1;
    finished++;
}

static void send_message(struct connection *c) {
    c->used = 0;
    c->started = now_ns();
    // The socket's buffer is empty: the last message has been answered.
    if (send(c->fd, frame, sizeof frame, MSG_NOSIGNAL) != sizeof frame) wrong("a message could not be sent");
}

static void take_message(struct connection *c) {
    ssize_t n = moved(recv(c->fd, c->head + c->used, HEAD_MAX - c->used, 0));
    if (n < 0) wrong("the connection ended");
    c->used += (size_t)n;
    if (c->used < 2 + MESSAGE) return;
    if (c->used > 2 + MESSAGE || c->head[0] != 0x81 || c->head[1] != MESSAGE || memcmp(c->head + 2, pattern, MESSAGE)) wrong("another message");
    requests++;
    record(now_ns() - c->started);
    send_message(c);
}

static void take_handshake(struct connection *c) {
    ssize_t n = moved(recv(c->fd, c->head + c->used, HEAD_MAX - 1 - c->used, 0));
    if (n < 0) wrong("the connection ended in the handshake");
    c->used += (size_t)n;
    c->head[c->used] = 0;
    if (c->used < 4 || memcmp(c->head + c->used - 4, "\r\n\r\n", 4)) return;
    if (memcmp(c->head, "HTTP/1.1 101", 12) || !strstr((char *)c->head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) wrong("no WebSocket");
    c->state = WORKING;
    send_message(c);
}

static void step(struct connection *c, uint32_t events) {
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) wrong(strerror(error));
        c->state = OPENING;
    }
    if (c->state == OPENING && c->opened < opening_bytes) {
        ssize_t n = moved(send(c->fd, opening + c->opened, opening_bytes - c->opened, MSG_NOSIGNAL));
        c->opened += (size_t)n;
        if (c->opened < opening_bytes) return;
        if (mode != WEBSOCKET) c->state = WORKING;
        watch(c, mode == UPLOAD ? EPOLLOUT | EPOLLIN : EPOLLIN);
        return;
    }
    if (c->state == OPENING) return take_handshake(c);
    if (c->state == COUNTED) return take_count(c);
    if (mode == UPLOAD && (events & EPOLLIN)) wrong("an answer before the end of the upload");
    switch (mode) {
    case DOWNLOAD: return receive_bulk(c);
    case UPLOAD: return send_bulk(c);
    case CONNECT: return exchange(c);
    default: return take_message(c);
    }
}

static void options(int count, char **arguments) {
    static const char *const names[] = {"", "download", "upload", "connect", "websocket"};
    static const struct option known[] = {{"port", 1, 0, 'p'}, {"mode", 1, 0, 'm'}, {"connections", 1, 0, 'c'},
                                          {"seconds", 1, 0, 's'}, {"hello", 1, 0, 'h'}, {0, 0, 0, 0}};
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'm':
            for (int i = 1; i <= WEBSOCKET; i++) if (!strcmp(optarg, names[i])) mode = (enum mode)i;
            break;
        case 'c': connections = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'h': hello = optarg; break;
        default: exit(2);
        }
    }
    if (!port || connections < 1 || mode == NONE) {
        fprintf(stderr, "stream: --port and --mode are needed\n");
        exit(2);
    }
}

int main(int count, char **arguments) {
    options(count, arguments);
    signal(SIGPIPE, SIG_IGN);
    many_files();
    fill_pattern();
    write_opening();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    long long began = now_ns();
    deadline = began + (long long)(seconds * 1e9);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    for (int i = 0; i < connections; i++) dial(&all[i]);
    // Uploads and single exchanges are seen to their end; the others are cut off.
    int ends = mode == UPLOAD || mode == CONNECT;
    struct epoll_event ready[512];
    while (ends ? finished < connections : now_ns() < deadline) {
        int n = epoll_wait(epoll, ready, 512, 10);
        for (int i = 0; i < n; i++) step(ready[i].data.ptr, ready[i].events);
        if (now_ns() > deadline + 20000000000LL) wrong("connections that do not end");
    }
    double took = (double)(now_ns() - began) / 1e9;
    if (!requests) wrong("nothing came back");
    printf("{\"requests\": %lld, \"seconds\": %.4f, \"per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"bytes\": 0, "
           "\"handshakes\": 0, \"resumed\": 0}\n",
           requests, took, (double)requests / took, quantile(0.5), quantile(0.99));
    return 0;
}
