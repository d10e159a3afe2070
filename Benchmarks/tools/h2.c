// The load over HTTP/2: one thread, one epoll, closed loop on every stream; every answer is checked byte for byte.
//
//     h2 --port P [--connections N] [--streams M] [--seconds S] [--path /] [--body BYTES] [--tls] [--grpc]
//        [--slow PATH] [--idle] [--hold PATH]
//
// In the clear it speaks HTTP/2 from the first byte (prior knowledge). --grpc makes each request a unary call whose small
// message must come back with the trailer "grpc-status: 0". --slow asks each connection for PATH once and takes no byte of
// it beyond the stream's window, while the other streams work. --idle makes one request on each connection; --hold opens
// all streams with requests for PATH, whose heads are answered and whose bodies never come. Both then print "idle" and hold
// everything until standard input ends. The result is one line of JSON; a wrong answer ends the run with exit code 1. Its
// "stuck" is how many streams had waited for more than half a second at the end of the run.
#define _GNU_SOURCE
#include <getopt.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

#include "measure.h"

enum { OUTPUT = 65536, MESSAGE = 21, WINDOW = 65535 };
enum state { CONNECTING, HANDSHAKE, RUNNING };
enum kind { LOAD, SLOW, HOLD };

struct stream {
    struct connection *connection;
    long long started;
    size_t got;
    enum kind kind;
    int status, grpc_status;
};

struct connection {
    int fd, interest;
    enum state state;
    SSL *ssl;
    nghttp2_session *session;
    size_t at, waiting;
    uint8_t *output;
    struct stream slow, *streams;
};

static int port, connections = 10, streams = 100, use_tls, grpc, idle;
static double seconds = 3;
static size_t body_bytes = 128;
static const char *path = "/", *slow, *hold;
static int epoll;
static SSL_CTX *tls;
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *session_options;
static long long requests, handshakes, deadline, held, bytes;
// A gRPC message: not compressed, sixteen bytes.
static const uint8_t message[MESSAGE] = "\0\0\0\0\x10" "0123456789abcdef";

__attribute__((noreturn)) static void wrong(const char *what) {
    fprintf(stderr, "h2: %s after %lld requests\n", what, requests);
    exit(1);
}

// Says "what: detail" and ends.
__attribute__((noreturn)) static void wrong_because(const char *what, const char *detail) {
    char text[300];
    snprintf(text, sizeof text, "%s: %s", what, detail);
    wrong(text);
}

static void watch(struct connection *c, int interest) { watch_fd(epoll, c->fd, &c->interest, interest, c); }

static ssize_t give_message(nghttp2_session *session, int32_t id, uint8_t *into, size_t room, uint32_t *flags,
                            nghttp2_data_source *source, void *owner) {
    (void)session, (void)id, (void)room, (void)source, (void)owner;
    memcpy(into, message, MESSAGE);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return MESSAGE;
}

#define NV(n, v, size) {(uint8_t *)(n), (uint8_t *)(v), sizeof(n) - 1, size, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}
#define TEXT(n, v) NV(n, v, sizeof(v) - 1)

static void ask(struct stream *s) {
    const char *target = s->kind == SLOW ? slow : s->kind == HOLD ? hold : path;
    size_t size = strlen(target);
    nghttp2_nv get[] = {TEXT(":method", "GET"), NV(":scheme", use_tls ? "https" : "http", use_tls ? 5 : 4),
                        TEXT(":authority", "bench.example"), NV(":path", target, size), TEXT("user-agent", "h2"), TEXT("accept", "*/*")};
    nghttp2_nv call[] = {TEXT(":method", "POST"), NV(":scheme", use_tls ? "https" : "http", use_tls ? 5 : 4),
                         TEXT(":authority", "bench.example"), NV(":path", target, size), TEXT("user-agent", "h2"),
                         TEXT("content-type", "application/grpc"), TEXT("te", "trailers")};
    nghttp2_data_provider body = {.read_callback = give_message};
    s->got = 0;
    s->status = s->grpc_status = -1;
    s->started = now_ns();
    int32_t id = grpc ? nghttp2_submit_request(s->connection->session, NULL, call, 7, &body, s)
                      : nghttp2_submit_request(s->connection->session, NULL, get, 6, NULL, s);
    if (id < 0) wrong_because("no new stream", nghttp2_strerror(id));
}

static int take_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_bytes,
                       const uint8_t *value, size_t value_bytes, uint8_t flags, void *owner) {
    (void)value_bytes, (void)flags, (void)owner;
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s && name_bytes == 7 && !memcmp(name, ":status", 7)) s->status = atoi((const char *)value);
    if (s && name_bytes == 11 && !memcmp(name, "grpc-status", 11)) s->grpc_status = atoi((const char *)value);
    return 0;
}

static int take_frame(nghttp2_session *session, const nghttp2_frame *frame, void *owner) {
    (void)owner;
    if (frame->hd.type == NGHTTP2_GOAWAY) wrong_because("the proxy says goodbye", nghttp2_http2_strerror(frame->goaway.error_code));
    struct stream *s = frame->hd.type == NGHTTP2_HEADERS ? nghttp2_session_get_stream_user_data(session, frame->hd.stream_id) : NULL;
    if (!s || s->kind != HOLD || frame->headers.cat != NGHTTP2_HCAT_RESPONSE) return 0;
    if (s->status != 200) wrong("another status");
    held++;
    return 0;
}

static int take_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *owner) {
    (void)flags;
    struct connection *c = owner;
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (!s || s->kind == HOLD) wrong("bytes that nobody asked for");
    if (s->status != 200) wrong("another status");
    if (grpc && s->kind == LOAD ? s->got + n > MESSAGE || memcmp(data, message + s->got, n) : !as_expected(data, n, s->got)) wrong("a wrong body");
    s->got += n;
    bytes += (long long)n;
    if (s->kind == SLOW) {
        // The bytes count as taken for the connection, so that its other streams go on, and never for this stream.
        nghttp2_session_consume_connection(session, n);
        if (s->got > WINDOW) wrong("more bytes than the window of the slow stream");
        if (s->got == n) {
            for (int i = 0; i < streams; i++) ask(&c->streams[i]);
        }
    } else {
        nghttp2_session_consume(session, id, n);
    }
    return 0;
}

static int end_stream(nghttp2_session *session, int32_t id, uint32_t code, void *owner) {
    (void)owner;
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (!s) wrong("a stream of its own");
    if (code) wrong_because("a stream was reset", nghttp2_http2_strerror(code));
    if (s->kind != LOAD) wrong("the end of a stream that does not end");
    if (s->status != 200) wrong("another status");
    if (s->got != (grpc ? MESSAGE : body_bytes)) wrong("another length");
    if (grpc && s->grpc_status != 0) wrong("another grpc-status");
    requests++;
    record(now_ns() - s->started);
    if (idle) {
        held++;
        return 0;
    }
    ask(s);
    return 0;
}

static void begin_session(struct connection *c) {
    c->state = RUNNING;
    c->output = malloc(OUTPUT);
    if (nghttp2_session_client_new2(&c->session, callbacks, c, session_options)) wrong("no session");
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW}};
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, 16 << 20);
    c->streams = calloc((size_t)streams, sizeof *c->streams);
    for (int i = 0; i < streams; i++) c->streams[i] = (struct stream){.connection = c, .kind = hold ? HOLD : LOAD};
    c->slow = (struct stream){.connection = c, .kind = SLOW};
    if (slow) {
        // The others begin when the slow one has its first bytes.
        ask(&c->slow);
    } else {
        for (int i = 0; i < streams; i++) ask(&c->streams[i]);
    }
}

static void dial(struct connection *c) {
    c->fd = begin_connect(port);
    if (c->fd < 0) wrong(strerror(errno));
    if (use_tls) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_tlsext_host_name(c->ssl, "bench.example");
    }
    watch(c, EPOLLOUT);
}

// What a read or write gave: bytes moved, or 0 for "later".
static ssize_t moved(struct connection *c, ssize_t n) {
    if (n > 0) return n;
    if (c->ssl) {
        int error = SSL_get_error(c->ssl, (int)n);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    wrong("the connection ended");
}

static void drain(struct connection *c) {
    for (;;) {
        while (c->waiting < OUTPUT / 2) {
            const uint8_t *data;
            ssize_t n = nghttp2_session_mem_send(c->session, &data);
            if (n < 0) wrong_because("cannot send", nghttp2_strerror((int)n));
            if (n == 0) break;
            memcpy(c->output + c->waiting, data, (size_t)n);
            c->waiting += (size_t)n;
        }
        if (!c->waiting) return watch(c, EPOLLIN);
        while (c->at < c->waiting) {
            size_t left = c->waiting - c->at;
            ssize_t n = moved(c, c->ssl ? SSL_write(c->ssl, c->output + c->at, (int)left)
                                        : send(c->fd, c->output + c->at, left, MSG_NOSIGNAL));
            if (n == 0) return watch(c, EPOLLIN | EPOLLOUT);
            c->at += (size_t)n;
        }
        c->at = c->waiting = 0;
    }
}

static void step(struct connection *c) {
    static uint8_t input[262144];
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) wrong(strerror(error));
        if (c->ssl) SSL_set_connect_state(c->ssl);
        c->state = HANDSHAKE;
        if (!c->ssl) begin_session(c);
    }
    if (c->state == HANDSHAKE) {
        int n = SSL_do_handshake(c->ssl);
        if (n != 1) {
            moved(c, n);
            return watch(c, SSL_want_write(c->ssl) ? EPOLLOUT : EPOLLIN);
        }
        const unsigned char *chosen;
        unsigned size;
        SSL_get0_alpn_selected(c->ssl, &chosen, &size);
        if (size != 2 || memcmp(chosen, "h2", 2)) wrong("the proxy does not choose h2");
        handshakes++;
        begin_session(c);
    }
    for (;;) {
        ssize_t n = moved(c, c->ssl ? SSL_read(c->ssl, input, sizeof input) : recv(c->fd, input, sizeof input, 0));
        if (n == 0) break;
        ssize_t taken = nghttp2_session_mem_recv(c->session, input, (size_t)n);
        if (taken < 0) wrong_because("not HTTP/2", nghttp2_strerror((int)taken));
        // A plain socket that gave less than asked for has no more now.
        if (!c->ssl && (size_t)n < sizeof input) break;
    }
    drain(c);
}

static void options(int count, char **arguments) {
    static const struct option known[] = {
        {"port", 1, 0, 'p'}, {"connections", 1, 0, 'c'}, {"streams", 1, 0, 'm'}, {"seconds", 1, 0, 's'}, {"path", 1, 0, 'P'},
        {"body", 1, 0, 'b'}, {"tls", 0, 0, 't'}, {"grpc", 0, 0, 'g'}, {"slow", 1, 0, 'S'}, {"idle", 0, 0, 'I'},
        {"hold", 1, 0, 'h'}, {0, 0, 0, 0}};
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'c': connections = atoi(optarg); break;
        case 'm': streams = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'P': path = optarg; break;
        case 'b': body_bytes = (size_t)atoll(optarg); break;
        case 't': use_tls = 1; break;
        case 'g': grpc = 1; break;
        case 'S': slow = optarg; break;
        case 'I': idle = 1; break;
        case 'h': hold = optarg; break;
        default: exit(2);
        }
    }
    if (!port || connections < 1 || streams < 1) {
        fprintf(stderr, "h2: --port is needed\n");
        exit(2);
    }
    if (idle) streams = 1;
}

static void prepare(void) {
    signal(SIGPIPE, SIG_IGN);
    many_files();
    fill_pattern();
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, take_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, take_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, take_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, end_stream);
    nghttp2_option_new(&session_options);
    nghttp2_option_set_no_auto_window_update(session_options, 1);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!use_tls) return;
    tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set1_groups_list(tls, "X25519");
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_alpn_protos(tls, (const unsigned char *)"\x02h2", 3);
}

// Holds what is open until standard input ends; whatever the proxy closed in the meantime is a fault.
static void hold_all(struct connection *all) {
    printf("idle\n");
    fflush(stdout);
    char line[16];
    while (read(0, line, sizeof line) > 0) {}
    for (int i = 0; i < connections; i++) step(&all[i]);
}

// Streams that wait and wait are in no percentile of the answered ones; nor are those whose turn has not come, because the
// slow one of their connection got nothing at all.
static long long stuck_streams(const struct connection *all) {
    long long at = now_ns(), found = 0;
    for (int i = 0; i < connections; i++) {
        for (int k = 0; k < streams; k++) {
            found += !all[i].streams || at - all[i].streams[k].started > 500000000LL;
        }
    }
    return found;
}

int main(int count, char **arguments) {
    options(count, arguments);
    prepare();
    long long began = now_ns(), wanted = hold ? (long long)connections * streams : connections;
    deadline = began + (long long)(seconds * 1e9);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    // Connections that are held are opened a few at a time: what is measured is holding them, not a flood of connects.
    int holding = idle || hold, dialled = 0;
    struct epoll_event ready[512];
    while (holding ? held < wanted : now_ns() < deadline) {
        while (dialled < connections && (!holding || dialled - held / streams < 64)) dial(&all[dialled++]);
        int n = epoll_wait(epoll, ready, 512, 10);
        for (int i = 0; i < n; i++) step(ready[i].data.ptr);
        if (holding && now_ns() > began + 60000000000LL) wrong("not everything was answered within 60 s");
    }
    double took = (double)(now_ns() - began) / 1e9;
    if (!holding && !slow && !requests) wrong("nothing was answered");
    if (holding) hold_all(all);
    printf("{\"requests\": %lld, \"seconds\": %.4f, \"per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"bytes\": %lld, "
           "\"handshakes\": %lld, \"resumed\": 0, \"stuck\": %lld}\n",
           requests, took, (double)requests / took, quantile(0.5), quantile(0.99), bytes, handshakes,
           holding ? 0 : stuck_streams(all));
    return 0;
}
