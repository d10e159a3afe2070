// What libnghttp2 costs for the work that Benchmarks/http2 measures of our own codec, on the same bytes.
//
//     cc -O2 -o nghttp2-codec nghttp2-codec.c -lnghttp2
//     nghttp2-codec record FILE      what a client sends: 100,000 requests, 100 streams at a time
//     nghttp2-codec measure FILE     nanoseconds per request: reading them, answering them; its HPACK alone
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REQUESTS = 100000, BATCH = 100, ROUNDS = 9 };

static void must(int ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "nghttp2-codec: %s\n", what);
        exit(1);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static nghttp2_nv nv(const char *name, const char *value) {
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

// A request's text, as a proxy keeps it.
struct request {
    size_t used, fields;
    uint8_t text[2048];
};

static struct request requests[BATCH];
static int32_t begun[BATCH];
static size_t begun_count, total_fields;

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *data) {
    (void)data;
    must(begun_count < BATCH, "more streams than a batch has");
    begun[begun_count] = frame->hd.stream_id;
    requests[begun_count].used = requests[begun_count].fields = 0;
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, &requests[begun_count++]);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_count,
                     const uint8_t *value, size_t value_count, uint8_t flags, void *data) {
    (void)flags, (void)data;
    struct request *request = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (request->used + name_count + value_count > sizeof request->text) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    memcpy(request->text + request->used, name, name_count);
    memcpy(request->text + request->used + name_count, value, value_count);
    request->used += name_count + value_count;
    request->fields++;
    total_fields++;
    return 0;
}

static nghttp2_session *server(void) {
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    must(nghttp2_session_server_new(&session, callbacks, NULL) == 0, "no server session");
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_settings_entry most = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 128};
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &most, 1);
    return session;
}

static void submit_request(nghttp2_session *session, int number) {
    char path[64], id[64];
    snprintf(path, sizeof path, "/v1/customers/%d/orders?page=%d", number % 1000, number % 7);
    snprintf(id, sizeof id, "%08x-7c1e-4f0a-9d52-%012x", number * 2654435761u, number);
    nghttp2_nv fields[] = {
        nv(":method", "GET"), nv(":scheme", "https"), nv(":authority", "api.example.com"), nv(":path", path),
        nv("user-agent", "orders-frontend/4.2 (linux; x86_64)"), nv("accept", "application/json"),
        nv("accept-encoding", "gzip, deflate, br"), nv("x-request-id", id),
    };
    must(nghttp2_submit_request(session, NULL, fields, sizeof fields / sizeof *fields, NULL, NULL) > 0, "no request");
}

static size_t answer(nghttp2_session *session) {
    static const char *lengths[] = {"0", "5", "128"};
    size_t sent = 0;
    for (size_t i = 0; i < begun_count; i++) {
        nghttp2_nv fields[] = {
            nv(":status", "200"), nv("content-type", "application/json; charset=utf-8"),
            nv("content-length", lengths[i % 3]), nv("date", "Mon, 23 Nov 2026 10:00:00 GMT"), nv("server", "orders/2.1"),
            nv("cache-control", "private, max-age=0"), nv("x-kong-upstream-latency", "3"), nv("via", "1.1 kong/3.9.1"),
        };
        must(nghttp2_submit_response(session, begun[i], fields, sizeof fields / sizeof *fields, NULL) == 0, "no response");
    }
    const uint8_t *out;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(session, &out)) > 0) sent += n;
    must(n == 0, "nothing sent");
    return sent;
}

// Each batch is preceded by its length in four bytes, least first.
static void record(const char *file) {
    FILE *out = fopen(file, "wb");
    must(out != NULL, "the file cannot be written");
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *client, *peer = server();
    nghttp2_session_callbacks_new(&callbacks);
    must(nghttp2_session_client_new(&client, callbacks, NULL) == 0, "no client session");
    nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0);
    for (int first = 0; first < REQUESTS; first += BATCH) {
        const uint8_t *bytes;
        static uint8_t batch[1 << 20];
        size_t used = 0;
        ssize_t n;
        for (int i = 0; i < BATCH; i++) submit_request(client, first + i);
        while ((n = nghttp2_session_mem_send(client, &bytes)) > 0) {
            must(used + n <= sizeof batch, "a batch too large");
            memcpy(batch + used, bytes, n);
            used += n;
        }
        begun_count = 0;
        must(nghttp2_session_mem_recv(peer, batch, used) == (ssize_t)used, "the server does not read it");
        must(begun_count == BATCH, "streams are missing");
        uint8_t length[4] = {used, used >> 8, used >> 16, used >> 24};
        fwrite(length, 1, 4, out);
        fwrite(batch, 1, used, out);
        for (size_t i = 0; i < begun_count; i++) {
            nghttp2_nv status = nv(":status", "204");
            nghttp2_submit_response(peer, begun[i], &status, 1, NULL);
        }
        while ((n = nghttp2_session_mem_send(peer, &bytes)) > 0)
            must(nghttp2_session_mem_recv(client, bytes, n) == n, "the client does not read it");
    }
    must(fclose(out) == 0, "the file cannot be written");
}

static uint8_t *stream_bytes;
static size_t stream_count;

static void load(const char *file) {
    FILE *in = fopen(file, "rb");
    must(in != NULL, "the file cannot be read");
    fseek(in, 0, SEEK_END);
    stream_count = ftell(in);
    rewind(in);
    stream_bytes = malloc(stream_count);
    must(fread(stream_bytes, 1, stream_count, in) == stream_count, "the file cannot be read");
    fclose(in);
}

static size_t length_at(size_t at) {
    const uint8_t *p = stream_bytes + at;
    return p[0] | p[1] << 8 | p[2] << 16 | (size_t)p[3] << 24;
}

static void measure_session(double *reading, double *answering, size_t *sent) {
    nghttp2_session *session = server();
    *reading = *answering = 0;
    *sent = total_fields = 0;
    for (size_t at = 0; at < stream_count;) {
        size_t count = length_at(at);
        begun_count = 0;
        double start = now();
        must(nghttp2_session_mem_recv(session, stream_bytes + at + 4, count) == (ssize_t)count, "a batch is not read");
        double middle = now();
        *sent += answer(session);
        *answering += now() - middle;
        *reading += middle - start;
        at += 4 + count;
    }
    must(total_fields == REQUESTS * 8, "fields are missing");
    nghttp2_session_del(session);
}

// The header blocks alone: each frame is HEADERS with END_HEADERS, and no priority.
static double measure_inflate(void) {
    nghttp2_hd_inflater *inflater;
    static struct request request;
    nghttp2_hd_inflate_new(&inflater);
    double spent = 0;
    size_t fields = 0;
    for (size_t at = 0; at < stream_count;) {
        size_t end = at + 4 + length_at(at), frame = at + 4;
        if (at == 0) frame += 24;
        double start = now();
        while (frame < end) {
            const uint8_t *p = stream_bytes + frame;
            size_t count = p[0] << 16 | p[1] << 8 | p[2];
            const uint8_t *block = p + 9;
            frame += 9 + count;
            if (p[3] != 1) continue;
            // A priority stands before the block.
            if (p[4] & 0x20) block += 5, count -= 5;
            request.used = 0;
            for (;;) {
                nghttp2_nv field;
                int flags = 0;
                ssize_t n = nghttp2_hd_inflate_hd2(inflater, &field, &flags, block, count, 1);
                must(n >= 0, "a block is not read");
                block += n;
                count -= n;
                if (flags & NGHTTP2_HD_INFLATE_EMIT) {
                    memcpy(request.text + request.used, field.name, field.namelen);
                    memcpy(request.text + request.used + field.namelen, field.value, field.valuelen);
                    request.used += field.namelen + field.valuelen;
                    fields++;
                }
                if (flags & NGHTTP2_HD_INFLATE_FINAL) {
                    nghttp2_hd_inflate_end_headers(inflater);
                    break;
                }
            }
        }
        spent += now() - start;
        at = end;
    }
    must(fields == REQUESTS * 8, "fields are missing");
    nghttp2_hd_inflate_del(inflater);
    return spent;
}

int main(int count, char **words) {
    must(count == 3, "say record FILE or measure FILE");
    if (strcmp(words[1], "record") == 0) {
        record(words[2]);
        return 0;
    }
    load(words[2]);
    double best[3] = {1e18, 1e18, 1e18};
    size_t sent = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double reading, answering, inflating = measure_inflate();
        measure_session(&reading, &answering, &sent);
        if (reading < best[0]) best[0] = reading;
        if (answering < best[1]) best[1] = answering;
        if (inflating < best[2]) best[2] = inflating;
    }
    printf("libnghttp2 %s, ns per request, best of %d rounds of %d\n", NGHTTP2_VERSION, ROUNDS, REQUESTS);
    printf("  session: reading %.0f, answering %.0f; a response has %zu bytes\n", best[0] / REQUESTS, best[1] / REQUESTS,
           sent / REQUESTS);
    printf("  HPACK alone, reading %.0f\n", best[2] / REQUESTS);
    return 0;
}
