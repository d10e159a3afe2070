// The upstream of every benchmark: one thread, one epoll, canned answers, so that it costs as little as can be.
//
//     upstream PORT
//
// A path that ends in "/1m" is answered with 1 MiB, any other with 128 bytes, of the pattern that `load` checks.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SMALL = 128, LARGE = 1 << 20, HEAD_MAX = 16384 };

struct connection {
    int fd;
    size_t used, waiting, at;
    const char *answer;
    char input[HEAD_MAX];
};

static char small_answer[512], *large_answer;
static size_t small_bytes, large_bytes;

static size_t make_answer(char *into, size_t room, size_t body) {
    int head = snprintf(into, room, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", body);
    for (size_t i = 0; i < body; i++) into[head + i] = "0123456789abcdef"[i % 16];
    return (size_t)head + body;
}

static void finish(struct connection *c) {
    close(c->fd);
    free(c);
}

// Writes what is due; 0 when the connection is gone.
static int drain(struct connection *c, int epoll) {
    while (c->at < c->waiting) {
        ssize_t n = send(c->fd, c->answer + c->at, c->waiting - c->at, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) return finish(c), 0;
            struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
            epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
            return 1;
        }
        c->at += (size_t)n;
    }
    c->waiting = c->at = 0;
    return 1;
}

static void serve(struct connection *c, int epoll) {
    for (;;) {
        char *end = c->used >= 4 ? memmem(c->input, c->used, "\r\n\r\n", 4) : NULL;
        if (!end || c->waiting) return;
        char *target = memchr(c->input, ' ', c->used);
        char *after = target ? memchr(target + 1, ' ', (size_t)(end - target - 1)) : NULL;
        int large = after && after - target > 3 && memcmp(after - 3, "/1m", 3) == 0;
        c->answer = large ? large_answer : small_answer;
        c->waiting = large ? large_bytes : small_bytes;
        size_t head = (size_t)(end + 4 - c->input);
        memmove(c->input, c->input + head, c->used - head);
        c->used -= head;
        if (!drain(c, epoll)) return;
    }
}

int main(int count, char **arguments) {
    if (count != 2) return fprintf(stderr, "usage: upstream PORT\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    small_bytes = make_answer(small_answer, sizeof small_answer, SMALL);
    large_answer = malloc(LARGE + 512);
    large_bytes = make_answer(large_answer, LARGE + 512, LARGE);

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return perror("upstream"), 1;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, ready, 256, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = ready[i].data.ptr;
            if (!c) {
                int fd;
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    c = calloc(1, sizeof *c);
                    c->fd = fd;
                    event = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
                    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
                }
                continue;
            }
            if (ready[i].events & EPOLLOUT) {
                if (!drain(c, epoll)) continue;
                if (!c->waiting) {
                    event = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
                    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
                }
            }
            if (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                ssize_t got = recv(c->fd, c->input + c->used, HEAD_MAX - c->used, 0);
                if (got == 0 || (got < 0 && errno != EAGAIN) || (got < 0 && c->used == HEAD_MAX)) {
                    finish(c);
                    continue;
                }
                if (got > 0) c->used += (size_t)got;
            }
            serve(c, epoll);
        }
    }
}
