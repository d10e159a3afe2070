// The upstream of the benchmarks over HTTP/2 in the clear (prior knowledge): one thread, one epoll, libnghttp2.
//
//     h2-upstream PORT
//
// Paths are answered as `upstream` answers them. A request of the type application/grpc gets its own message back, and
// the trailer "grpc-status: 0".
#define _GNU_SOURCE
#include <nghttp2/nghttp2.h>
#include <signal.h>

#include "measure.h"

enum { INPUT = 65536, OUTPUT = 65536, MESSAGE_MAX = 64, STREAMS_MAX = 1000 };

struct stream {
    struct stream *next_spare;
    size_t body, sent, message_bytes;
    int grpc, hold;
    char message[MESSAGE_MAX];
};

struct connection {
    int fd, interest, epoll;
    nghttp2_session *session;
    // What the session said and the socket has not taken yet.
    size_t at, waiting;
    uint8_t output[OUTPUT];
    struct stream *spare, streams[STREAMS_MAX];
};

#define HEADER(n, v) {(uint8_t *)(n), (uint8_t *)(v), sizeof(n) - 1, sizeof(v) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}

static void finish(struct connection *c) {
    nghttp2_session_del(c->session);
    close(c->fd);
    free(c);
}

static int begin_stream(nghttp2_session *session, const nghttp2_frame *frame, void *owner) {
    struct connection *c = owner;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    struct stream *s = c->spare;
    if (!s) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    c->spare = s->next_spare;
    s->body = 128;
    s->sent = s->message_bytes = 0;
    s->grpc = s->hold = 0;
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
    return 0;
}

static int is(const uint8_t *data, size_t n, const char *text) { return n == strlen(text) && !memcmp(data, text, n); }

static int ends(const uint8_t *data, size_t n, const char *text) {
    size_t size = strlen(text);
    return n >= size && !memcmp(data + n - size, text, size);
}

static int take_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_bytes,
                       const uint8_t *value, size_t value_bytes, uint8_t flags, void *owner) {
    (void)flags, (void)owner;
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s) return 0;
    if (is(name, name_bytes, ":path")) {
        if (ends(value, value_bytes, "/1m")) s->body = 1 << 20;
        if (ends(value, value_bytes, "/100m")) s->body = 100 << 20;
        s->hold = ends(value, value_bytes, "/hold");
    } else if (is(name, name_bytes, "content-type")) {
        s->grpc = value_bytes >= 16 && !memcmp(value, "application/grpc", 16);
    }
    return 0;
}

static int take_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *owner) {
    (void)flags, (void)owner;
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (s && s->message_bytes + n <= MESSAGE_MAX) {
        memcpy(s->message + s->message_bytes, data, n);
        s->message_bytes += n;
    }
    return 0;
}

static ssize_t give_body(nghttp2_session *session, int32_t id, uint8_t *into, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *owner) {
    (void)owner;
    struct stream *s = source->ptr;
    if (s->hold) return NGHTTP2_ERR_DEFERRED;
    size_t left = s->body - s->sent, n = left < room ? left : room;
    memcpy(into, s->grpc ? s->message + s->sent : pattern + s->sent % 16, n);
    s->sent += n;
    if (s->sent == s->body) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->grpc) {
            static const nghttp2_nv trailers[] = {HEADER("grpc-status", "0")};
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            nghttp2_submit_trailer(session, id, trailers, 1);
        }
    }
    return (ssize_t)n;
}

static int answer(nghttp2_session *session, const nghttp2_frame *frame, void *owner) {
    (void)owner;
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)) return 0;
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s) return 0;
    static const nghttp2_nv grpc[] = {HEADER(":status", "200"), HEADER("content-type", "application/grpc")};
    static const nghttp2_nv small[] = {HEADER(":status", "200"), HEADER("content-type", "text/plain"), HEADER("content-length", "128")};
    static const nghttp2_nv other[] = {HEADER(":status", "200"), HEADER("content-type", "text/plain")};
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = give_body};
    if (s->grpc) {
        s->body = s->message_bytes;
        return nghttp2_submit_response(session, frame->hd.stream_id, grpc, 2, &body);
    }
    int is_small = s->body == 128 && !s->hold;
    return nghttp2_submit_response(session, frame->hd.stream_id, is_small ? small : other, is_small ? 3 : 2, &body);
}

static int end_stream(nghttp2_session *session, int32_t id, uint32_t code, void *owner) {
    (void)code;
    struct connection *c = owner;
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (!s) return 0;
    s->next_spare = c->spare;
    c->spare = s;
    return 0;
}

// Writes what is due; 0 when the connection is gone.
static int drain(struct connection *c) {
    for (;;) {
        while (c->waiting < OUTPUT / 2) {
            const uint8_t *data;
            ssize_t n = nghttp2_session_mem_send(c->session, &data);
            if (n < 0 || (size_t)n > OUTPUT - c->waiting) return finish(c), 0;
            if (n == 0) break;
            memcpy(c->output + c->waiting, data, (size_t)n);
            c->waiting += (size_t)n;
        }
        if (!c->waiting) break;
        while (c->at < c->waiting) {
            ssize_t n = send(c->fd, c->output + c->at, c->waiting - c->at, MSG_NOSIGNAL);
            if (n < 0 && errno == EAGAIN) return watch_fd(c->epoll, c->fd, &c->interest, EPOLLIN | EPOLLOUT, c), 1;
            if (n < 0) return finish(c), 0;
            c->at += (size_t)n;
        }
        c->at = c->waiting = 0;
    }
    watch_fd(c->epoll, c->fd, &c->interest, EPOLLIN, c);
    if (!nghttp2_session_want_read(c->session)) return finish(c), 0;
    return 1;
}

static void open_connection(int fd, int epoll, nghttp2_session_callbacks *callbacks) {
    struct connection *c = calloc(1, sizeof *c);
    c->fd = fd, c->epoll = epoll;
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        c->streams[i].next_spare = c->spare;
        c->spare = &c->streams[i];
    }
    nghttp2_session_server_new(&c->session, callbacks, c);
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX}};
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 1);
    drain(c);
}

int main(int count, char **arguments) {
    if (count != 2) return fprintf(stderr, "usage: h2-upstream PORT\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    many_files();
    fill_pattern();
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_stream);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, take_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, take_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, answer);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, end_stream);
    int listener = begin_listen(atoi(arguments[1])), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    static uint8_t input[INPUT];
    for (;;) {
        int n = epoll_wait(epoll, ready, 256, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = ready[i].data.ptr;
            if (!c) {
                int fd;
                while ((fd = accept_one(listener)) >= 0) open_connection(fd, epoll, callbacks);
                continue;
            }
            if (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                ssize_t got = recv(c->fd, input, sizeof input, 0);
                if (got == 0 || (got < 0 && errno != EAGAIN) || (got > 0 && nghttp2_session_mem_recv(c->session, input, (size_t)got) < 0)) {
                    finish(c);
                    continue;
                }
            }
            drain(c);
        }
    }
}
