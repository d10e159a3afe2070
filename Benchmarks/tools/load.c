// The load of every benchmark: one thread, one epoll, closed loop; every answer is checked byte for byte.
//
//     load --port P [--connections N] [--seconds S] [--path /a/{}] [--ids N] [--header 'K: v']... [--status 200]
//          [--body BYTES] [--tls] [--new] [--resume] [--idle] [--rate N]
//
// --new opens a connection for each request; --resume offers the last session again. --idle makes one request on each
// connection, prints "idle", and holds them all until its standard input ends. `{}` in the path becomes a number below
// --ids. --rate asks N times a second, evenly, whatever the answers take: a time counts from when the request was due.
// SIGTERM ends a run early. The result is one line of JSON; a wrong answer ends the run with exit code 1.
#define _GNU_SOURCE
#include <getopt.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <strings.h>

#include "measure.h"

enum { HEAD_MAX = 16384 };
enum state { CONNECTING, HANDSHAKE, SENDING, READING_HEAD, READING_BODY, CLOSING, HELD, PAUSED };

struct connection {
    int fd, interest;
    enum state state;
    SSL *ssl;
    SSL_SESSION *session;
    size_t sent, request_bytes, head_used;
    size_t body_left, body_at;
    long long started, due;
    char request[4096];
    char head[HEAD_MAX];
};

static int port, connections = 64, status = 200, use_tls, fresh, resume, idle;
static unsigned ids = 1;
static double seconds = 3, rate;
static volatile sig_atomic_t ended;
static size_t body_bytes = 128;
static const char *path = "/";
static char headers[2048];
static int epoll;
static SSL_CTX *tls;
static long long requests, handshakes, resumed, deadline, held, bytes;
static unsigned seed = 12345;

__attribute__((noreturn)) static void wrong(struct connection *c, const char *what) {
    fprintf(stderr, "load: %s after %lld requests", what, requests);
    if (c && c->head_used) fprintf(stderr, "; the answer began: %.*s", (int)(c->head_used < 400 ? c->head_used : 400), c->head);
    fprintf(stderr, "\n");
    exit(1);
}

static void watch(struct connection *c, int interest) {
    watch_fd(epoll, c->fd, &c->interest, interest, c);
}

static void write_request(struct connection *c) {
    char target[512];
    const char *mark = strstr(path, "{}");
    if (mark) {
        seed = seed * 1664525u + 1013904223u;
        snprintf(target, sizeof target, "%.*s%u%s", (int)(mark - path), path, (unsigned)(((unsigned long long)seed * ids) >> 32), mark + 2);
    } else {
        snprintf(target, sizeof target, "%s", path);
    }
    c->request_bytes = (size_t)snprintf(c->request, sizeof c->request,
        "GET %s HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: load\r\nAccept: */*\r\n%s%s\r\n", target, headers,
        fresh ? "Connection: close\r\n" : "");
    c->sent = c->head_used = 0;
    c->state = SENDING;
    if (!fresh) c->started = now_ns();
}

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    struct connection *c = SSL_get_app_data(ssl);
    if (c->session) SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void dial(struct connection *c) {
    c->started = now_ns();
    c->interest = 0;
    c->fd = begin_connect(port);
    if (c->fd < 0) wrong(NULL, strerror(errno));
    c->state = CONNECTING;
    if (use_tls) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_app_data(c->ssl, c);
        SSL_set_tlsext_host_name(c->ssl, "bench.example");
        if (resume && c->session) SSL_set_session(c->ssl, c->session);
    }
    watch(c, EPOLLOUT);
}

static void hang_up(struct connection *c) {
    if (c->ssl) {
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    close(c->fd);
}

// What a read or write gave: bytes moved, 0 for "later", -1 for the connection's end.
static ssize_t moved(struct connection *c, ssize_t n, int writing) {
    if (n > 0) return n;
    if (c->ssl) {
        int error = SSL_get_error(c->ssl, (int)n);
        if (error == SSL_ERROR_WANT_READ) return watch(c, EPOLLIN), 0;
        if (error == SSL_ERROR_WANT_WRITE) return watch(c, EPOLLOUT), 0;
        ERR_clear_error();
        return -1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return watch(c, writing ? EPOLLOUT : EPOLLIN), 0;
    return -1;
}

static void body(struct connection *c, const char *data, size_t n) {
    if (n > c->body_left) wrong(c, "more bytes than the answer has");
    if (c->body_at + n > PATTERN || memcmp(data, pattern + c->body_at, n)) {
        // Answers that a plugin makes itself are checked by their status only.
        if (status == 200) wrong(c, "a wrong body");
    }
    c->body_at += n;
    c->body_left -= n;
    bytes += (long long)n;
}

// Takes `n` new bytes of an answer; 1 when it is complete.
static int take(struct connection *c, const char *data, size_t n) {
    if (c->state == READING_HEAD) {
        if (c->head_used + n >= HEAD_MAX && c->head_used >= HEAD_MAX - 1) wrong(c, "an endless head");
        size_t room = HEAD_MAX - 1 - c->head_used, part = n < room ? n : room;
        size_t from = c->head_used > 3 ? c->head_used - 3 : 0, before = c->head_used;
        memcpy(c->head + c->head_used, data, part);
        c->head_used += part;
        char *end = memmem(c->head + from, c->head_used - from, "\r\n\r\n", 4);
        if (!end) return part < n ? (wrong(c, "an endless head"), 0) : 0;
        size_t head = (size_t)(end + 4 - c->head), used = head - before;
        c->head_used = head;
        c->head[head - 1] = 0;
        if (head < 12 || atoi(c->head + 9) != status) wrong(c, "another status");
        char *length = strcasestr(c->head, "\r\ncontent-length:");
        if (!length) wrong(c, "no length");
        c->body_left = (size_t)strtoull(length + 17, NULL, 10);
        if (status == 200 && c->body_left != body_bytes) wrong(c, "another length");
        c->body_at = 0;
        c->state = READING_BODY;
        data += used;
        n -= used;
    }
    if (n) body(c, data, n);
    return c->body_left == 0;
}

// Asks when it is due, on a connection that waits for it.
static void ask(struct connection *c) {
    write_request(c);
    c->started = c->due;
    c->due += (long long)(1e9 * connections / rate);
}

static void end(int signal) {
    (void)signal;
    ended = 1;
}

static void answered(struct connection *c) {
    long long at = now_ns();
    requests++;
    record(at - c->started);
    if (fresh) {
        c->state = CLOSING;
        return;
    }
    if (idle) {
        c->state = HELD;
        held++;
        watch(c, EPOLLIN);
        return;
    }
    if (rate > 0) {
        c->state = PAUSED;
        watch(c, EPOLLIN);
        return;
    }
    write_request(c);
}

static void step(struct connection *c) {
    static char scratch[262144];
    for (;;) {
        switch (c->state) {
        case CONNECTING: {
            int error = 0;
            socklen_t size = sizeof error;
            getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
            if (error) wrong(NULL, strerror(error));
            if (c->ssl) SSL_set_connect_state(c->ssl);
            c->state = c->ssl ? HANDSHAKE : SENDING;
            if (!c->ssl) write_request(c);
            break;
        }
        case HANDSHAKE: {
            int n = SSL_do_handshake(c->ssl);
            if (n != 1) {
                if (moved(c, n, 0) < 0) wrong(NULL, "a handshake failed");
                return;
            }
            handshakes++;
            resumed += SSL_session_reused(c->ssl);
            write_request(c);
            break;
        }
        case SENDING: {
            size_t left = c->request_bytes - c->sent;
            ssize_t n = c->ssl ? SSL_write(c->ssl, c->request + c->sent, (int)left)
                               : send(c->fd, c->request + c->sent, left, MSG_NOSIGNAL);
            n = moved(c, n, 1);
            if (n < 0) wrong(NULL, "the connection ended while sending");
            if (n == 0) return;
            c->sent += (size_t)n;
            if (c->sent == c->request_bytes) {
                c->state = READING_HEAD;
                watch(c, EPOLLIN);
                // The answer cannot be there yet.
                if (!c->ssl) return;
            }
            break;
        }
        case READING_HEAD:
        case READING_BODY: {
            ssize_t n = c->ssl ? SSL_read(c->ssl, scratch, sizeof scratch) : recv(c->fd, scratch, sizeof scratch, 0);
            n = moved(c, n, 0);
            if (n < 0) wrong(c, "the connection ended inside an answer");
            if (n == 0) return;
            if (take(c, scratch, (size_t)n)) answered(c);
            if (c->state == HELD || c->state == PAUSED) return;
            break;
        }
        case CLOSING: {
            // With "Connection: close" the server says the last word; that is part of the contract.
            ssize_t n = c->ssl ? SSL_read(c->ssl, scratch, sizeof scratch) : recv(c->fd, scratch, sizeof scratch, 0);
            n = moved(c, n, 0);
            if (n == 0) return;
            if (n > 0) wrong(c, "bytes after the last answer");
            hang_up(c);
            if (now_ns() >= deadline) {
                held++;
                return;
            }
            dial(c);
            return;
        }
        case PAUSED:
            wrong(c, "a connection was closed between two requests");
            return;
        case HELD: {
            ssize_t n = c->ssl ? SSL_read(c->ssl, scratch, sizeof scratch) : recv(c->fd, scratch, sizeof scratch, 0);
            if (moved(c, n, 0) < 0) wrong(NULL, "an idle connection was closed");
            return;
        }
        }
    }
}

static void options(int count, char **arguments) {
    static const struct option known[] = {
        {"port", 1, 0, 'p'}, {"connections", 1, 0, 'c'}, {"seconds", 1, 0, 's'}, {"path", 1, 0, 'P'}, {"ids", 1, 0, 'i'},
        {"header", 1, 0, 'h'}, {"status", 1, 0, 'S'}, {"body", 1, 0, 'b'}, {"tls", 0, 0, 't'}, {"new", 0, 0, 'n'},
        {"resume", 0, 0, 'r'}, {"idle", 0, 0, 'I'}, {"rate", 1, 0, 'R'}, {0, 0, 0, 0}};
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'c': connections = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'P': path = optarg; break;
        case 'i': ids = (unsigned)atoi(optarg); break;
        case 'h': {
            size_t used = strlen(headers);
            snprintf(headers + used, sizeof headers - used, "%s\r\n", optarg);
            break;
        }
        case 'S': status = atoi(optarg); break;
        case 'b': body_bytes = (size_t)atoll(optarg); break;
        case 't': use_tls = 1; break;
        case 'n': fresh = 1; break;
        case 'r': resume = 1; break;
        case 'I': idle = 1; break;
        case 'R': rate = atof(optarg); break;
        default: exit(2);
        }
    }
    if (!port || connections < 1 || !ids) {
        fprintf(stderr, "load: --port is needed\n");
        exit(2);
    }
}

int main(int count, char **arguments) {
    options(count, arguments);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, end);
    many_files();
    fill_pattern();
    if (use_tls) {
        tls = SSL_CTX_new(TLS_client_method());
        // One cipher for all, so that proxies are compared and not their tastes.
        SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
        SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256");
        SSL_CTX_set1_groups_list(tls, "X25519");
        SSL_CTX_set_session_cache_mode(tls, resume ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
        if (resume) SSL_CTX_sess_set_new_cb(tls, keep_session);
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    long long began = now_ns();
    deadline = began + (long long)(seconds * 1e9);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    // Idle connections are opened a few at a time: what is measured is holding them, not a flood of connects.
    int dialled = 0, batch = idle ? 64 : connections;
    struct epoll_event ready[512];
    for (;;) {
        while (dialled < connections && dialled - held < batch) {
            struct connection *c = &all[dialled++];
            c->due = now_ns() + (long long)(rate > 0 ? 1e9 * dialled / rate : 0);
            dial(c);
        }
        if (ended) deadline = now_ns();
        if (idle ? held == connections : fresh ? held == connections : now_ns() >= deadline) break;
        int n = epoll_wait(epoll, ready, 512, rate > 0 ? 1 : 10);
        for (int i = 0; i < n; i++) step(ready[i].data.ptr);
        for (int i = 0; rate > 0 && i < dialled; i++) {
            if (all[i].state != PAUSED || all[i].due > now_ns()) continue;
            ask(&all[i]);
            step(&all[i]);
        }
        if (idle && now_ns() > began + 60000000000LL) wrong(NULL, "not all connections were answered within 60 s");
        if (fresh && now_ns() > deadline + 5000000000LL) wrong(NULL, "connections that the server does not close");
    }
    double took = (double)(now_ns() - began) / 1e9;
    if (idle) {
        printf("idle\n");
        fflush(stdout);
        char line[16];
        while (read(0, line, sizeof line) > 0) {}
    }
    printf("{\"requests\": %lld, \"seconds\": %.4f, \"per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"bytes\": %lld, "
           "\"handshakes\": %lld, \"resumed\": %lld}\n",
           requests, took, (double)requests / took, quantile(0.5), quantile(0.99), bytes, handshakes, resumed);
    return 0;
}
