// The upstream of the benchmarks below HTTP, and of WebSocket: one thread, one epoll.
//
//     stream-upstream PORT
//
// The first byte of a connection says what it is for:
//
//     D           bytes of the pattern, until the connection ends
//     U           all bytes are taken; after the client's end, how many those were (8 bytes, big-endian), and the end
//     E           64 bytes, this one among them, come back once, and the end
//     G           a WebSocket handshake; then every message comes back
//     0x16        a TLS record (a ClientHello), which is passed over: then one of the others
//
// So a proxy that passes TLS through by its SNI sees a real ClientHello, and nobody here spends time on ciphers.
#define _GNU_SOURCE
#include <endian.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>

#include "measure.h"

enum { EXCHANGE = 64, INPUT = 65536, OPENING_MAX = 4096 };
enum purpose { UNKNOWN, DOWNLOAD, UPLOAD, ECHO, HANDSHAKE, MESSAGES };

struct connection {
    int fd, interest, ending;
    enum purpose purpose;
    // The bytes before the purpose was known, of an exchange, a handshake or an incomplete message.
    size_t used;
    unsigned long long total;
    uint8_t opening[OPENING_MAX];
    // What the socket has not taken yet.
    size_t at, waiting;
    uint8_t output[OPENING_MAX];
};

static int epoll;
static uint8_t input[1 << 20];

static int finish(struct connection *c) {
    close(c->fd);
    free(c);
    return 0;
}

// Each of the following gives 0 when the connection is gone.

// Writes what is due.
static int drain(struct connection *c) {
    // Another connection must have its turn too.
    for (int turn = 0; c->purpose == DOWNLOAD && turn < 8; turn++) {
        ssize_t n = send(c->fd, pattern + c->total % 16, PATTERN, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return finish(c);
        if (n < 0) break;
        c->total += (unsigned long long)n;
    }
    while (c->at < c->waiting) {
        ssize_t n = send(c->fd, c->output + c->at, c->waiting - c->at, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return finish(c);
        if (n < 0) break;
        c->at += (size_t)n;
    }
    int more = c->purpose == DOWNLOAD || c->at < c->waiting;
    if (!more) {
        c->at = c->waiting = 0;
        if (c->ending) return finish(c);
    }
    watch_fd(epoll, c->fd, &c->interest, EPOLLIN | (more ? EPOLLOUT : 0), c);
    return 1;
}

static int accept_websocket(struct connection *c) {
    uint8_t *end = memmem(c->opening, c->used, "\r\n\r\n", 4);
    if (!end) return c->used < OPENING_MAX ? 1 : finish(c);
    end[3] = 0;
    char *key = strcasestr((char *)c->opening, "\r\nsec-websocket-key:");
    if (!key) return finish(c);
    key += strlen("\r\nsec-websocket-key:");
    key += strspn(key, " ");
    char text[128], accept[64];
    uint8_t digest[SHA_DIGEST_LENGTH];
    int size = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    SHA1((uint8_t *)text, (size_t)size, digest);
    EVP_EncodeBlock((uint8_t *)accept, digest, sizeof digest);
    c->waiting = (size_t)snprintf((char *)c->output, sizeof c->output,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    size_t head = (size_t)(end + 4 - c->opening);
    memmove(c->opening, c->opening + head, c->used - head);
    c->used -= head;
    c->purpose = MESSAGES;
    return drain(c);
}

// Sends every complete message of at most 125 bytes back without its mask.
static int echo_messages(struct connection *c) {
    size_t place = 0;
    while (c->used - place >= 6) {
        uint8_t *frame = c->opening + place;
        size_t n = frame[1] & 127;
        if (!(frame[1] & 128) || n > 125) return finish(c);
        if (c->used - place < 6 + n || c->waiting + 2 + n > sizeof c->output) break;
        if ((frame[0] & 15) == 8) return finish(c);
        c->output[c->waiting++] = frame[0];
        c->output[c->waiting++] = (uint8_t)n;
        for (size_t i = 0; i < n; i++) c->output[c->waiting++] = frame[6 + i] ^ frame[2 + i % 4];
        place += 6 + n;
    }
    memmove(c->opening, c->opening + place, c->used - place);
    c->used -= place;
    return drain(c);
}

static int find_purpose(struct connection *c) {
    if (c->used && c->opening[0] == 0x16) {
        size_t record = c->used < 5 ? OPENING_MAX : 5 + ((size_t)c->opening[3] << 8 | c->opening[4]);
        if (c->used < record) return c->used < OPENING_MAX ? 1 : finish(c);
        memmove(c->opening, c->opening + record, c->used - record);
        c->used -= record;
    }
    switch (c->used ? c->opening[0] : 0) {
    case 0: return 1;
    case 'D': c->purpose = DOWNLOAD; break;
    case 'U': c->purpose = UPLOAD, c->total = c->used; break;
    case 'E': c->purpose = ECHO; break;
    case 'G': c->purpose = HANDSHAKE; break;
    default: return finish(c);
    }
    return c->purpose == DOWNLOAD ? drain(c) : 1;
}

// Takes bytes of an upload; at the client's end tells how many they were.
static int take_upload(struct connection *c) {
    for (int turn = 0; turn < 8; turn++) {
        ssize_t n = recv(c->fd, input, sizeof input, 0);
        if (n < 0) return errno == EAGAIN ? 1 : finish(c);
        if (n == 0) {
            uint64_t told = htobe64(c->total);
            memcpy(c->output, &told, sizeof told);
            c->waiting = sizeof told;
            c->ending = 1;
            return drain(c);
        }
        // Beginning and end of what each read gave: enough to notice bytes that went missing.
        size_t size = (size_t)n, edge = size < 64 ? size : 64;
        if (!as_expected(input, edge, c->total - 1) || !as_expected(input + size - edge, edge, c->total - 1 + size - edge)) return finish(c);
        c->total += size;
    }
    return 1;
}

static int take(struct connection *c) {
    if (c->purpose == UPLOAD) return take_upload(c);
    ssize_t n = recv(c->fd, c->opening + c->used, OPENING_MAX - c->used, 0);
    if (n < 0) return errno == EAGAIN ? 1 : finish(c);
    if (n == 0) return finish(c);
    if (c->purpose == DOWNLOAD) return 1;
    c->used += (size_t)n;
    if (c->purpose == UNKNOWN && !find_purpose(c)) return 0;
    if (c->purpose == UPLOAD) {
        if (!as_expected(c->opening + 1, c->used - 1, 0)) return finish(c);
        return take_upload(c);
    }
    if (c->purpose == ECHO && c->used >= EXCHANGE) {
        memcpy(c->output, c->opening, EXCHANGE);
        c->waiting = EXCHANGE;
        c->ending = 1;
        return drain(c);
    }
    if (c->purpose == HANDSHAKE && !accept_websocket(c)) return 0;
    return c->purpose == MESSAGES ? echo_messages(c) : 1;
}

int main(int count, char **arguments) {
    if (count != 2) return fprintf(stderr, "usage: stream-upstream PORT\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    many_files();
    fill_pattern();
    int listener = begin_listen(atoi(arguments[1]));
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, ready, 256, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = ready[i].data.ptr;
            if (c) {
                if ((ready[i].events & EPOLLOUT) && !drain(c)) continue;
                if (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) take(c);
                continue;
            }
            int fd;
            while ((fd = accept_one(listener)) >= 0) {
                c = calloc(1, sizeof *c);
                c->fd = fd;
                watch_fd(epoll, fd, &c->interest, EPOLLIN, c);
            }
        }
    }
}
